import type { ByteBudget } from '../../http/byte-budget.ts';
import { isSafe } from '../../http/methods.ts';
import type { Wrapper } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { cachedBody } from './cached-body.ts';
import { type Callers, CacheKeys } from './key.ts';
import type { CacheOptions } from './options.ts';
import { isLookedUp } from './request.ts';
import type { CacheStore } from './store.ts';

export interface RefillDeps {
  readonly store: CacheStore;
  readonly callers: Callers;
  readonly clock: Clock;
  readonly memory: ByteBudget;
}

/**
 * The cache for calls that are always sent: durable requests and schedules. Their replies are cached for other calls, and their
 * changes invalidate cached replies. The reply is passed on unchanged.
 */
export function cacheRefill(options: CacheOptions, { store, callers, clock, memory }: RefillDeps): Wrapper {
  const keys = new CacheKeys(callers, options.vary);
  return (next) => async (call, attempt) => {
    const key = keys.of(call);
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
