import type { Random } from '../../runtime/random.ts';

/** Right after the end of a limit calls go at half the rate that the upstream served before it, a second, and at least this. */
const FIRST_SHARE = 0.5;
const FIRST_RATE = 10;

/** The rate doubles every second up to what was served before (or this), and grows by a tenth a second from there. */
const KNEE_RATE = 20;
const GROWTH = 1.1;

/** Calls a second, `sinceMs` after the probe was answered, to an upstream that served `served` a second before. */
export function rampRate(sinceMs: number, served: number): number {
  const first = Math.max(FIRST_RATE, FIRST_SHARE * served);
  const knee = Math.max(KNEE_RATE, served);
  const doubled = first * 2 ** (sinceMs / 1000);
  return doubled < knee ? doubled : knee * GROWTH ** (sinceMs / 1000 - Math.log2(knee / first));
}

/** As after a Retry-After in a retry: a tenth on top, so that all who were told the same do not come at the same moment. */
export function jitterMs(waitMs: number, random: Random): number {
  return random() * Math.min(5000, Math.max(50, 0.1 * waitMs));
}
