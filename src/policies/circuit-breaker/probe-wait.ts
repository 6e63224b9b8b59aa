import type { Random } from '../../runtime/random.ts';
import type { BreakerOptions } from './options.ts';

/**
 * Milliseconds until the next probe, proportional to the age of the outage: the breaker closes at most about `waitRatio` of its
 * length too late. ±20 % spreads many proxies.
 *
 * A Retry-After does not lengthen the wait. It is an estimate (RFC 9110 §10.2.3) and often too long by a minute. A probe adds no
 * load: without a breaker, the upstream would get this call and all others.
 */
export function probeWaitMs(
  outageAgeMs: number,
  { waitRatio, minWaitMs, maxWaitMs }: BreakerOptions,
  random: Random,
): number {
  return Math.min(maxWaitMs, Math.max(minWaitMs, waitRatio * outageAgeMs)) * (0.8 + 0.4 * random());
}
