import type { IncomingMessage } from 'node:http';
import { framingFlaw, framingOf } from '../http/framing.ts';
import { ProxyError } from './errors.ts';

/** RFC 9110 §7.2, with the host of RFC 3986 §3.2.2; a comma would make two of it where fields are joined. */
const HOST = /^(?:[\w\-.~!$&'()*+;=%]*|\[[\da-f:.]+\])(?::\d{0,5})?$/i;

/** More fields than any message needs; node's parser bounds their bytes, to 16 KiB of names and values. */
const MAX_FIELDS = 1_000;

/**
 * What is wrong with a request that node's parser has let through, if anything: it must not be passed on, and its
 * connection not be used any more, for others would read it in another way (RFC 9112 §3.2, §6.1, §6.3).
 */
export function flawOf(req: IncomingMessage): ProxyError | undefined {
  if (req.rawHeaders.length > 2 * MAX_FIELDS)
    return new ProxyError('too_many_fields', `a request may have ${MAX_FIELDS} header fields`);
  const ambiguity = ambiguityOf(req);
  return ambiguity === undefined ? undefined : new ProxyError('bad_request', ambiguity);
}

function ambiguityOf(req: IncomingMessage): string | undefined {
  const { httpVersionMajor: major, httpVersionMinor: minor, rawHeaders, url = '' } = req;
  if (major !== 1) return 'only HTTP/1.1 and HTTP/1.0 are spoken here';
  if (url.includes('#')) return 'the request target has a fragment';
  const framing = framingOf(rawHeaders);
  if (!validHost(framing.hosts, minor)) return 'a request needs exactly one valid Host';
  if (framing.codings !== '' && minor === 0) return 'HTTP/1.0 has no transfer codings';
  return framingFlaw(framing);
}

/** node:http keeps the first of several and drops the rest. */
function validHost([host, ...others]: readonly string[], minor: number): boolean {
  if (host === undefined) return minor === 0;
  return others.length === 0 && HOST.test(host);
}
