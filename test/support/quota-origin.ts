import type { OutgoingHttpHeaders } from 'node:http';
import type { FakeClock } from './fake-clock.ts';
import { type Origin, type OriginExchange, startOrigin } from './origin.ts';

export interface Enforced {
  readonly limit: number;
  readonly periodMs: number;
  /** More headers, from the units left and the time to the reset. Default: none. */
  readonly says?: (left: number, resetMs: number) => OutgoingHttpHeaders;
}

export interface QuotaOrigin {
  readonly origin: Origin;
  /** The time of each request, and its status. */
  readonly seen: readonly { readonly at: number; readonly status: number }[];
}

/** An upstream with fixed windows, which answers further requests with 429 and Retry-After. */
export async function startQuotaOrigin(clock: FakeClock, enforced: Enforced): Promise<QuotaOrigin> {
  const { limit, periodMs, says } = enforced;
  const seen: { at: number; status: number }[] = [];
  let windowAt = -Infinity;
  let used = 0;
  const origin = await startOrigin(({ response }: OriginExchange) => {
    const now = clock.now();
    if (now - windowAt >= periodMs) [windowAt, used] = [Math.floor(now / periodMs) * periodMs, 0];
    const resetMs = windowAt + periodMs - now;
    const status = used < limit ? 200 : 429;
    if (status === 200) used++;
    seen.push({ at: now, status });
    const asked = status === 429 ? { 'retry-after': String(Math.ceil(resetMs / 1000)) } : {};
    response.writeHead(status, { ...asked, ...says?.(limit - used, resetMs) }).end('ok');
  });
  return { origin, seen };
}

/** Advances time in small steps, with a turn for the sockets after each, until `done`. */
export async function passTime(clock: FakeClock, done: () => boolean, stepMs = 10): Promise<void> {
  while (!done()) {
    await clock.advance(stepMs);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}
