import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Content of a reply, before `requests_seen` is added. */
export type Resource = Readonly<Record<string, unknown>>;

const CREATES: ReadonlySet<string> = new Set(['/charges', '/payments']);

/** Payments are settled from this request for their status on. */
const SETTLED_AT_LOOK = 3;

/** The number of requests for the status of each payment. */
export type Looks = Map<string, number>;

/** The status of a request that succeeds. */
export function usualStatus(request: IncomingMessage, path: string): number {
  return CREATES.has(path) && request.method === 'POST' ? 201 : 200;
}

/** Replies of the API without a scripted failure. Every path exists; two of them resemble a shop. */
export function resourceFor(
  request: IncomingMessage,
  path: string,
  body: Buffer,
  { random, looks }: { readonly random: () => number; readonly looks: Looks },
): Resource {
  const [, order] = /^\/orders\/([^/]+)$/.exec(path) ?? [];
  if (order !== undefined) {
    return { id: order, status: 'paid', total: 4200, currency: 'eur' };
  }
  if (path === '/rates/latest') {
    return {
      base: 'EUR',
      at: new Date().toISOString(),
      rates: { USD: 1.04 + random() / 10, GBP: 0.83 + random() / 10 },
    };
  }
  const [, payment] = /^\/payments\/([^/]+)$/.exec(path) ?? [];
  if (payment !== undefined) return { id: payment, status: statusAt(payment, looks) };
  if (usualStatus(request, path) === 201) {
    const made = path === '/payments' ? 'pending' : 'succeeded';
    return { id: idOf(request, random), status: made, ...echo(body) };
  }
  return { ok: true, method: request.method, path, ...echo(body) };
}

function statusAt(payment: string, looks: Looks): 'pending' | 'settled' {
  const look = (looks.get(payment) ?? 0) + 1;
  looks.set(payment, look);
  return look < SETTLED_AT_LOOK ? 'pending' : 'settled';
}

/** The same idempotency key is the same charge, however often it arrives; without a key each arrival is a new one. */
function idOf(request: IncomingMessage, random: () => number): string {
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
