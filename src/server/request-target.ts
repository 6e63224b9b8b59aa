import { headerOf } from '../http/headers.ts';
import type { ClientRequest } from './client.ts';

/** The target of a request and its host. */
export interface RequestTarget {
  readonly host: string | undefined;
  /** A path with its query, or `*` for the server as a whole. Other forms are unchanged. */
  readonly target: string;
}

/** `http://host/path?query`, without user information (RFC 9110 §4.2.4). */
const ABSOLUTE = /^https?:\/\/([^/?#@]+)([/?].*)?$/i;

/**
 * The target of a request in origin form. A server must accept the absolute form, whose host has priority over `Host`
 * (RFC 9112 §3.2.2). This is not a forward proxy: the path still selects the upstream.
 */
export function requestTarget({ method, url = '', httpVersion, rawHeaders }: ClientRequest): RequestTarget {
  const host = headerOf(rawHeaders, 'host');
  // HTTP/2 has pseudo-fields for the parts (RFC 9113 §8.3.1).
  const absolute = httpVersion === '2' || url.startsWith('/') ? null : ABSOLUTE.exec(url);
  if (absolute === null) return { host, target: url };
  const [, authority, path = ''] = absolute;
  // RFC 9112 §3.2.4.
  if (path === '' && method === 'OPTIONS') return { host: authority, target: '*' };
  return { host: authority, target: path.startsWith('/') ? path : `/${path}` };
}

/** Whether a request is `OPTIONS *`, which is about the server as a whole (RFC 9110 §9.3.7). */
export function asksServer(method: string | undefined, target: string): boolean {
  return method === 'OPTIONS' && target === '*';
}
