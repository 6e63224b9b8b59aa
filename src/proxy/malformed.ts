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

function ambiguityOf({
  httpVersionMajor,
  httpVersionMinor,
  rawHeaders,
  url = '',
}: IncomingMessage): string | undefined {
  if (httpVersionMajor !== 1 || httpVersionMinor > 1) return 'only HTTP/1.1 and HTTP/1.0 are spoken here';
  if (url.includes('#')) return 'the request target has a fragment';
  const { hosts, codings, length } = framing(rawHeaders);
  const [host, ...others] = hosts;
  if (host === undefined ? httpVersionMinor === 1 : others.length > 0 || !HOST.test(host))
    return 'a request needs exactly one valid Host';
  if (codings.length > 0 && (httpVersionMinor === 0 || codings.join().toLowerCase() !== 'chunked'))
    return 'the only transfer coding understood is chunked, in HTTP/1.1';
  if (length !== undefined && !Number.isSafeInteger(Number(length)))
    return 'the Content-Length is beyond measure';
  return undefined;
}

/** The fields that say where a message goes and where it ends. node:http drops all Hosts but the first. */
function framing(rawHeaders: readonly string[]) {
  const hosts: string[] = [];
  const codings: string[] = [];
  let length: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    // By length first: hardly a name needs to be lowered.
    if (name.length === 4 && name.toLowerCase() === 'host') hosts.push(value);
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') codings.push(value);
    else if (name.length === 14 && name.toLowerCase() === 'content-length') length = value;
  }
  return { hosts, codings, length };
}
