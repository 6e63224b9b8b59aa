import type { ByteBudget } from '../../http/byte-budget.ts';
import { isSafe } from '../../http/methods.ts';
import type { Call } from '../../proxy/call.ts';
import type { Wrapper } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { cachedBody } from './cached-body.ts';
import { type Caller, keyOf } from './key.ts';
import type { CacheOptions } from './options.ts';
import { isLookedUp } from './request.ts';
import type { CacheStore } from './store.ts';

export interface RefillDeps {
  readonly store: CacheStore;
  readonly callerOf: (call: Call) => Caller;
  readonly clock: Clock;
  readonly memory: ByteBudget;
}

/**
 * The cache for calls that are always sent: durable requests and schedules. Their replies are cached for other calls, and their
 * changes invalidate cached replies. The reply is passed on unchanged.
 */
export function cacheRefill(options: CacheOptions, { store, callerOf, clock, memory }: RefillDeps): Wrapper {
  const parts = { callerOf, vary: options.vary };
  return (next) => async (call, attempt) => {
    const key = keyOf(call, parts);
    const { changes: asked } = store;
    const reply = await next(call, attempt);
    if (!isSafe(call.method)) {
      if (reply.status < 400) store.drop(call.target);
      return reply;
    }
    if (call.method !== 'GET' || !isLookedUp(call)) return reply;
    const body = cachedBody(call, attempt, reply, {
      store,
      memory,
      options,
      clock,
      key,
      asked,
      onDone: () => {},
    });
    return body === undefined ? reply : { ...reply, body };
  };
}
