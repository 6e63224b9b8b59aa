import { codingsOf, framingError } from '../http/framing.ts';
import { countOf, headerOf, type RawHeaders } from '../http/headers.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { ClientRequest } from './client.ts';

/** RFC 9110 §7.2, with the host of RFC 3986 §3.2.2, but without commas: joined fields would read as two hosts. */
const HOST = /^(?:[\w\-.~!$&'()*+;=%]*|\[[\da-f:.]+\])(?::\d{0,5})?$/i;

/** RFC 3986 §2: other characters must be percent-encoded. HTTP/2 accepts any byte, and upstreams read them differently. */
const TARGET = /^[\x21-\x7e]*$/;

/** HTTP/2 requests have version `2`. Node's parser also accepts `2.0` in an HTTP/1 request line, which is refused. */
const VERSIONS: ReadonlySet<string> = new Set(['1.1', '1.0', '2']);

/** Maximum number of header fields. Node's parser bounds their total size to 16 KiB. */
const MAX_FIELDS = 1_000;

/**
 * The error of an ambiguous request that node's parser has accepted; undefined if it is valid. An ambiguous request must
 * not be forwarded, and its connection must close, because other servers read it differently (RFC 9112 §3.2, §6.1, §6.3).
 */
export function requestError(req: ClientRequest): ProxyError | undefined {
  if (req.rawHeaders.length > 2 * MAX_FIELDS)
    return new ProxyError('too_many_fields', `a request can have at most ${MAX_FIELDS} header fields`);
  const why = ambiguity(req);
  return why === undefined ? undefined : new ProxyError('bad_request', why);
}

function ambiguity(req: ClientRequest): string | undefined {
  const { httpVersion, rawHeaders, url = '' } = req;
  if (!VERSIONS.has(httpVersion))
    return 'the supported versions are HTTP/1.0, HTTP/1.1 and, if enabled, HTTP/2';
  const old = httpVersion === '1.0';
  if (!TARGET.test(url)) return 'the request target contains characters that must be percent-encoded';
  if (url.includes('#')) return 'the request target contains a fragment';
  if (!validHost(rawHeaders, old)) return 'a request must have exactly one valid Host header';
  if (old && codingsOf(rawHeaders) !== '') return 'Transfer-Encoding is not allowed in HTTP/1.0';
  return framingError(rawHeaders);
}

/** Checks all Host fields, because node:http uses the first and drops the others. */
function validHost(headers: RawHeaders, old: boolean): boolean {
  const host = headerOf(headers, 'host');
  if (host === undefined) return old;
  return countOf(headers, 'host') === 1 && HOST.test(host);
}
