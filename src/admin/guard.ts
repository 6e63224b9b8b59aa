import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { AdminProblem } from './response.ts';

/**
 * Throws unless the request comes from whom it should.
 *
 * With a token: it must be there as `Authorization: Bearer …` (RFC 6750). Without one the server is on loopback, and what
 * threatens it is a web page in a browser on the same machine: a DNS name that is rebound to loopback shows in `Host`.
 */
export function checkAccess(req: IncomingMessage, token: string | undefined): void {
  if (token === undefined) return checkHost(req.headers.host);
  const given = /^Bearer +([^ ]+) *$/i.exec(req.headers.authorization ?? '')?.[1];
  if (given !== undefined && sameSecret(given, token)) return;
  const error = given === undefined ? '' : ', error="invalid_token"';
  throw new AdminProblem(401, 'this server needs its admin token as a bearer token', {
    headers: { 'www-authenticate': `Bearer realm="breakwater admin"${error}` },
  });
}

/**
 * Throws unless a request that changes something is meant: browsers send JSON to another origin only after asking (which we
 * never allow), and they say where it comes from.
 */
export function checkIntent({ headers }: IncomingMessage): void {
  if (headers.origin !== undefined) throw new AdminProblem(403, 'requests of web pages are not accepted');
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new AdminProblem(415, 'send content-type: application/json', {
      headers: { 'accept-post': 'application/json' },
    });
  }
}

function checkHost(host: string | undefined): void {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isIP(name) !== 0 || name.toLowerCase() === 'localhost') return;
  throw new AdminProblem(
    421,
    'without an admin token this server answers to localhost and IP addresses only',
  );
}

/** Hashing makes both sides equally long, which timingSafeEqual demands, without telling the length. */
function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
