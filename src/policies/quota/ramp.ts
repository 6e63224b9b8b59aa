/** After a limit ends, calls start at half the rate that the upstream served before, and at least at this many per second. */
const FIRST_SHARE = 0.5;
const FIRST_RATE = 10;

/** The rate doubles every second up to the rate before the limit (or this). Above that it grows by 10 % per second. */
const KNEE_RATE = 20;
const GROWTH = 1.1;

/**
 * Calls per second, `sinceMs` after the probe was answered. The upstream served `served` calls per second before the limit and
 * serves `serving` now. The rate stays within 110 % of that, because the queued calls would overload the upstream otherwise.
 * `replicas` do so at once.
 */
export function rampRate(sinceMs: number, served: number, serving: number, replicas = 1): number {
  const first = Math.max(FIRST_RATE / replicas, FIRST_SHARE * served);
  const knee = Math.max(KNEE_RATE / replicas, served);
  const doubled = first * 2 ** (sinceMs / 1000);
  if (doubled < knee) return doubled;
  const grown = knee * GROWTH ** (sinceMs / 1000 - Math.log2(knee / first));
  return Math.min(grown, GROWTH * Math.max(knee, serving));
}
