/** Right after the end of a limit calls go at half the rate that the upstream served before it, a second, and at least this. */
const FIRST_SHARE = 0.5;
const FIRST_RATE = 10;

/** The rate doubles every second up to what was served before (or this), and grows by a tenth a second from there. */
const KNEE_RATE = 20;
const GROWTH = 1.1;

/**
 * Calls a second, `sinceMs` after the probe was answered, to an upstream that served `served` a second before the limit and
 * serves `serving` now. The rate is never more than a tenth above what the upstream has shown that it serves: calls that have
 * waited would overload it otherwise.
 */
export function rampRate(sinceMs: number, served: number, serving: number): number {
  const first = Math.max(FIRST_RATE, FIRST_SHARE * served);
  const knee = Math.max(KNEE_RATE, served);
  const doubled = first * 2 ** (sinceMs / 1000);
  if (doubled < knee) return doubled;
  const grown = knee * GROWTH ** (sinceMs / 1000 - Math.log2(knee / first));
  return Math.min(grown, GROWTH * Math.max(knee, serving));
}
