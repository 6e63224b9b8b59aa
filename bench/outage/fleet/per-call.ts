import type { Send } from '../../../src/proxy/pipeline.ts';
import { ProxyError } from '../../../src/proxy/errors.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import type { StoreLink } from './store-link.ts';

/** A counter per window, as `INCR` and `EXPIRE` keep it. */
export class Counter {
  requests = 0;
  #window = 0;
  #count = 0;

  /** Counts one call in `window`. */
  increase(window: number): number {
    this.requests++;
    if (window !== this.#window) [this.#window, this.#count] = [window, 0];
    return ++this.#count;
  }
}

/** The limit of all callers, and the patience of each call. */
interface Limit {
  readonly limit: number;
  readonly periodMs: number;
  /** The longest wait of a call, in milliseconds. */
  readonly waitMs: number;
}

/**
 * The usual limiter on Redis: each call asks one counter of a fixed window for all replicas. A call that is refused waits for the next
 * window, as long as its wait lasts. If the store fails, all calls pass.
 */
export function perCall(
  { limit, periodMs, waitMs }: Limit,
  clock: Clock,
  { counter, link }: { counter: Counter; link: StoreLink },
  send: Send,
): Send {
  return async (call, attempt) => {
    const until = clock.now() + waitMs;
    for (;;) {
      const number = await link
        .pass(clock, 0, () => counter.increase(Math.floor(clock.now() / periodMs)))
        .catch(() => 0);
      if (number <= limit) return send(call, attempt);
      const next = (Math.floor(clock.now() / periodMs) + 1) * periodMs;
      if (next > until) throw new ProxyError('quota', 'the window is used up', { sent: 'not_sent' });
      await clock.sleep(next - clock.now(), new Abort());
    }
  };
}
