import { TURNED_AWAY } from '../../http/status.ts';
import type { BackoffOptions, RetryOptions } from './options.ts';

/** The retry rules of a route for its durable requests. They retry more, because no client can send a durable request again. */
export function durableRules(
  retry: RetryOptions,
  { backoff, options }: { readonly backoff: BackoffOptions; readonly options: { readonly attempts: number } },
): RetryOptions {
  const notProcessed = new Set([...retry.notProcessed, ...TURNED_AWAY]);
  const { attempts } = options;
  return { ...retry, backoff, attempts, notProcessed, retryAfterMaxMs: Number.POSITIVE_INFINITY };
}
