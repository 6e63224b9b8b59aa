import { headerOf } from '../http/headers.ts';
import type { ClientRequest } from './client.ts';

/** What a request asks for, and of whom. */
export interface RequestTarget {
  readonly host: string | undefined;
  /** A path and its query; `*` for the server as a whole; as it came where it is neither. */
  readonly target: string;
}

/** `http://host/path?query`; user information is not allowed there (RFC 9110 §4.2.4). */
const ABSOLUTE = /^https?:\/\/([^/?#@]+)([/?].*)?$/i;

/**
 * The target of a request in the origin form. A server must accept the absolute form, and its host counts instead of the
 * field `Host` (RFC 9112 §3.2.2). This does not make a forward proxy: the path still decides where a call goes.
 */
export function requestTarget({ method, url = '', httpVersion, rawHeaders }: ClientRequest): RequestTarget {
  const host = headerOf(rawHeaders, 'host');
  // HTTP/2 has fields of its own for the parts (RFC 9113 §8.3.1).
  const absolute = httpVersion === '2' || url.startsWith('/') ? null : ABSOLUTE.exec(url);
  if (absolute === null) return { host, target: url };
  const [, authority, path = ''] = absolute;
  // RFC 9112 §3.2.4.
  if (path === '' && method === 'OPTIONS') return { host: authority, target: '*' };
  return { host: authority, target: path.startsWith('/') ? path : `/${path}` };
}

/** A client that only wants to know whether somebody answers here (RFC 9110 §9.3.7). */
export function asksServer(method: string | undefined, target: string): boolean {
  return method === 'OPTIONS' && target === '*';
}
