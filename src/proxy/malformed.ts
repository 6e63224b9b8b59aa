import type { IncomingMessage } from 'node:http';
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
  if (major !== 1 || minor > 1) return 'only HTTP/1.1 and HTTP/1.0 are spoken here';
  if (url.includes('#')) return 'the request target has a fragment';
  const { hosts, codings, length } = framing(rawHeaders);
  if (!validHost(hosts, minor)) return 'a request needs exactly one valid Host';
  if (codings !== '' && (minor === 0 || codings.toLowerCase() !== 'chunked'))
    return 'the only transfer coding understood is chunked, in HTTP/1.1';
  return Number.isSafeInteger(Number(length)) ? undefined : 'the Content-Length is beyond measure';
}

function validHost([host, ...others]: readonly string[], minor: number): boolean {
  if (host === undefined) return minor === 0;
  return others.length === 0 && HOST.test(host);
}

/** The fields that say where a message goes and where it ends. node:http drops all Hosts but the first. */
function framing(rawHeaders: readonly string[]) {
  const hosts: string[] = [];
  const codings: string[] = [];
  let length = '0';
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    // By length first: hardly a name needs to be lowered.
    if (name.length === 4 && name.toLowerCase() === 'host') hosts.push(value);
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') codings.push(value || '?');
    else if (name.length === 14 && name.toLowerCase() === 'content-length') length = value;
  }
  return { hosts, codings: codings.join(), length };
}
