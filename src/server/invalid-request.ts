import { framingError, framingOf } from '../http/framing.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { ClientRequest } from './client.ts';

/** RFC 9110 §7.2, with the host of RFC 3986 §3.2.2; a comma would make two of it where fields are joined. */
const HOST = /^(?:[\w\-.~!$&'()*+;=%]*|\[[\da-f:.]+\])(?::\d{0,5})?$/i;

/** RFC 3986 §2: all else is percent-encoded. HTTP/2 lets any byte through, and upstreams differ in what they read there. */
const TARGET = /^[\x21-\x7e]*$/;

/** HTTP/2 has no minor version; the 2.0 that node's parser lets through is a claim in a request line. */
const VERSIONS: ReadonlySet<string> = new Set(['1.1', '1.0', '2']);

/** More fields than any message needs; node's parser bounds their bytes, to 16 KiB of names and values. */
const MAX_FIELDS = 1_000;

/**
 * What is wrong with a request that node's parser has let through, if anything: it must not be passed on, and its
 * connection not be used any more, for others would read it in another way (RFC 9112 §3.2, §6.1, §6.3).
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
  const framing = framingOf(rawHeaders);
  if (!validHost(framing.hosts, old)) return 'a request must have exactly one valid Host header';
  if (framing.codings !== '' && old) return 'Transfer-Encoding is not allowed in HTTP/1.0';
  return framingError(framing);
}

/** node:http keeps the first of several and drops the rest. */
function validHost([host, ...others]: readonly string[], old: boolean): boolean {
  if (host === undefined) return old;
  return others.length === 0 && HOST.test(host);
}
