import { TURNED_AWAY } from '../../http/status.ts';
import type { BackoffOptions, RetryOptions } from './options.ts';

/**
 * The retry rules of a route for its durable requests. A client that waits can send its call again; a durable request has
 * only us to do it.
 */
export function durableRules(
  retry: RetryOptions,
  { backoff, options }: { readonly backoff: BackoffOptions; readonly options: { readonly attempts: number } },
): RetryOptions {
  const notProcessed = new Set([...retry.notProcessed, ...TURNED_AWAY]);
  const { attempts } = options;
  return { ...retry, backoff, attempts, notProcessed, retryAfterMaxMs: Number.POSITIVE_INFINITY };
}
