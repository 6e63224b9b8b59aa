import type { Random } from '../../runtime/random.ts';
import type { BreakerOptions } from './options.ts';

/**
 * The wait before the next probe, proportional to the age of the outage: a short fault is left soon, a long one is
 * asked about rarely, and what is lost after the end of either is at most about `waitRatio` of its length. ±20 % keeps many
 * proxies apart. A Retry-After does not lengthen it: it is an estimate (RFC 9110 §10.2.3) that is often too long by a minute, and a
 * probe is a call that the upstream would otherwise get anyway, with all the others.
 */
export function probeWaitMs(
  outageAgeMs: number,
  { waitRatio, minWaitMs, maxWaitMs }: BreakerOptions,
  random: Random,
): number {
  return Math.min(maxWaitMs, Math.max(minWaitMs, waitRatio * outageAgeMs)) * (0.8 + 0.4 * random());
}
