import { headerOf, type RawHeaders } from './headers.ts';

/** Longer ids of clients are not used. A UUID has 36 characters, and ids of load balancers are below 100. */
const MAX_CHARACTERS = 128;

/** Visible ASCII, so that an id is one word in a header and in a log. */
const SANE = /^[\x21-\x7e]+$/;

/** The client's own id of a request (`X-Request-Id`); undefined without one, or if it is too long or has other characters. */
export function requestIdOf(headers: RawHeaders): string | undefined {
  const id = headerOf(headers, 'x-request-id');
  return id !== undefined && id.length <= MAX_CHARACTERS && SANE.test(id) ? id : undefined;
}

/**
 * The id as the member `instance` of a problem. RFC 9457 §3.1.5 wants a URI that names the occurrence, and recommends absolute
 * ones (§3.1). A path would lead to an upstream, so it is a URN, which cannot be looked up.
 */
export const requestUrn = (id: string): string => `urn:breakwater:request:${encodeURIComponent(id)}`;
