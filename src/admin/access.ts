import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIpAddress } from '../http/ip-address.ts';
import { AdminProblem } from './response.ts';

/**
 * Throws unless the caller may use the admin API.
 *
 * With a token, it must be sent as `Authorization: Bearer …` (RFC 6750). Without one the server listens on loopback, where
 * a local browser could attack it by DNS rebinding, so `Host` is checked. Other web pages are always refused.
 */
export function checkAccess(req: IncomingMessage, token: string | undefined): void {
  if (token === undefined) checkHost(req.headers.host);
  else checkToken(req.headers.authorization, { token, name: 'admin' });
  checkOrigin(req);
}

/** Throws unless the caller may read the metrics. Without a token all may, but web pages. */
export function checkReader(req: IncomingMessage, token: string | undefined): void {
  if (token !== undefined) checkToken(req.headers.authorization, { token, name: 'metrics' });
  checkOrigin(req);
}

function checkToken(
  authorization: string | undefined,
  { token, name }: { readonly token: string; readonly name: 'admin' | 'metrics' },
): void {
  if (hasToken(authorization, token)) return;
  const given = bearer(authorization);
  const error = given === undefined ? '' : ', error="invalid_token"';
  throw new AdminProblem(401, `the ${name} token is required as a bearer token`, {
    headers: { 'www-authenticate': `Bearer realm="breakwater ${name}"${error}` },
  });
}

/** Whether an Authorization header carries the admin token. False if no token is configured. */
export function hasToken(authorization: string | undefined, token: string | undefined): boolean {
  const given = bearer(authorization);
  return token !== undefined && given !== undefined && sameSecret(given, token);
}

function bearer(authorization: string | undefined): string | undefined {
  return /^Bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1];
}

/**
 * Throws 415 for a change that is not JSON. A browser sends JSON to another origin only after a preflight, which this
 * server never grants.
 */
export function checkIntent({ headers }: IncomingMessage): void {
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new AdminProblem(415, 'send content-type: application/json', {
      headers: { 'accept-post': 'application/json' },
    });
  }
}

/**
 * Throws 403 for requests from other web pages. Browsers send Origin with changes, and newer ones send Sec-Fetch-Site
 * with every request. Links to this server may be anywhere.
 */
function checkOrigin({ headers }: IncomingMessage): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'] ?? 'none';
  const foreign = site !== 'same-origin' && site !== 'none' && headers['sec-fetch-mode'] !== 'navigate';
  if (foreign || (origin !== undefined && hostOf(origin) !== host?.toLowerCase()))
    throw new AdminProblem(403, 'requests from other web pages are not accepted');
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1];
}

/** Without a token: throws 421 unless the Host is localhost or an IP address. This stops DNS rebinding. */
export function checkHost(host: string | undefined): void {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isIpAddress(name) || name.toLowerCase() === 'localhost') return;
  throw new AdminProblem(
    421,
    'without an admin token, the host of the request must be localhost or an IP address',
  );
}

/** Hashing gives both sides the same length, which timingSafeEqual requires, without revealing the length. */
function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
