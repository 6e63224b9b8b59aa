import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { AdminProblem } from './response.ts';

/**
 * Throws unless the request comes from whom it should.
 *
 * With a token: it must be there as `Authorization: Bearer …` (RFC 6750). Without one the server is on loopback, and what
 * threatens it is a web page in a browser on the same machine: a DNS name that is rebound to loopback shows in `Host`. With
 * or without, other web pages than our own may ask nothing.
 */
export function checkAccess(req: IncomingMessage, token: string | undefined): void {
  if (token === undefined) checkHost(req.headers.host);
  else checkToken(req.headers.authorization, token);
  checkOrigin(req);
}

function checkToken(authorization: string | undefined, token: string): void {
  if (hasToken(authorization, token)) return;
  const given = bearer(authorization);
  const error = given === undefined ? '' : ', error="invalid_token"';
  throw new AdminProblem(401, 'the admin token is required as a bearer token', {
    headers: { 'www-authenticate': `Bearer realm="breakwater admin"${error}` },
  });
}

/** Whether an Authorization carries the admin token; never where there is none. */
export function hasToken(authorization: string | undefined, token: string | undefined): boolean {
  const given = bearer(authorization);
  return token !== undefined && given !== undefined && sameSecret(given, token);
}

function bearer(authorization: string | undefined): string | undefined {
  return /^Bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1];
}

/**
 * Throws unless a request that changes something is meant: browsers send JSON to another origin only after asking, which we
 * never allow.
 */
export function checkIntent({ headers }: IncomingMessage): void {
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new AdminProblem(415, 'send content-type: application/json', {
      headers: { 'accept-post': 'application/json' },
    });
  }
}

/**
 * Throws for requests of other web pages than our own: browsers say where one that changes something comes from (Origin),
 * and newer ones of each whose server it is (Sec-Fetch-Site). Links to us may be anywhere.
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

/** Without a token: throws unless the request was made for this machine's own name or an address. */
export function checkHost(host: string | undefined): void {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isIP(name) !== 0 || name.toLowerCase() === 'localhost') return;
  throw new AdminProblem(
    421,
    'without an admin token, the host of the request must be localhost or an IP address',
  );
}

/** Hashing makes both sides equally long, which timingSafeEqual demands, without telling the length. */
function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
