import type { Random } from '../../runtime/random.ts';
import type { BreakerOptions } from './options.ts';

/** A Retry-After delays the next probe at most this long: longer ones are mistakes more often than plans. */
const MAX_ASKED_MS = 5 * 60_000;

/**
 * The wait before the next probe, proportional to the age of the outage: a short fault is left soon, a long one is
 * asked about rarely, and what is lost after the end of either is at most about `waitRatio` of its length. ±20 % keeps many
 * proxies apart. `askedMs` is the upstream's Retry-After, a floor of up to five minutes.
 */
export function probeWaitMs(
  outageAgeMs: number,
  askedMs: number | undefined,
  { waitRatio, minWaitMs, maxWaitMs }: BreakerOptions,
  random: Random,
): number {
  const wait = Math.min(maxWaitMs, Math.max(minWaitMs, waitRatio * outageAgeMs)) * (0.8 + 0.4 * random());
  return Math.max(wait, Math.min(askedMs ?? 0, MAX_ASKED_MS));
}
