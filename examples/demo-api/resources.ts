import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What a reply says, before `requests_seen` is added. */
export type Resource = Readonly<Record<string, unknown>>;

/** The status of a request that succeeds. */
export function usualStatus(request: IncomingMessage, path: string): number {
  return path === '/charges' && request.method === 'POST' ? 201 : 200;
}

/** What the API answers when nothing was asked to fail. Every path exists; two of them look like a shop's. */
export function resourceFor(
  request: IncomingMessage,
  path: string,
  body: Buffer,
  random: () => number,
): Resource {
  const [, order] = /^\/orders\/([^/]+)$/.exec(path) ?? [];
  if (order !== undefined) {
    return { id: order, status: 'paid', total: 4200, currency: 'eur' };
  }
  if (usualStatus(request, path) === 201) {
    return { id: chargeId(request, random), status: 'succeeded', ...echo(body) };
  }
  return { ok: true, method: request.method, path, ...echo(body) };
}

/** The same idempotency key is the same charge, however often it arrives; without a key each arrival is a new one. */
function chargeId(request: IncomingMessage, random: () => number): string {
  const key = request.headers['idempotency-key'];
  const digest = createHash('sha256').update(key === undefined ? String(random()) : `key:${String(key)}`);
  return `ch_${digest.digest('hex').slice(0, 12)}`;
}

function echo(body: Buffer): Readonly<Record<string, unknown>> {
  if (body.length === 0) return {};
  const text = body.toString();
  try {
    return { received: JSON.parse(text) };
  } catch {
    return { received: text };
  }
}
