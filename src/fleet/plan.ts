/** A quota window as the configuration has it. */
export interface WindowLimit {
  /** Units per period. */
  readonly limit: number;
  readonly periodMs: number;
  /** The most that may pass at once after a pause. */
  readonly burst: number;
}

/** How a window is shared. All replicas compute it from the same configuration, so it is not stored. */
export interface WindowPlan {
  /** Milliseconds per unit. */
  readonly intervalMs: number;
  /** Units that the engine may give at once after a pause. */
  readonly burst: number;
  /** A unit may be used until this long after the moment from which on it may be used. */
  readonly lateMs: number;
  /** The most units that one call may need. A higher cost counts as this. */
  readonly most: number;
  /** A replica that got its part of the units asks again after this time, so that the others get theirs too. */
  readonly apartMs?: number;
}

/** A replica that is gone holds its units for no longer. */
const LONGEST_LATE_MS = 5_000;

/** Timers and round trips take some milliseconds, so a shorter time would waste units. */
const USUAL_LATE_MS = 50;

/**
 * The written burst is divided: one part may pass at once, the other one allows units to be used late. By GCRA, at most
 * `burst − 1 + ceil(t / interval)` units become usable in `t` ms. So no period has more than the limit and the written burst.
 */
export function planOf({ limit, periodMs, burst }: WindowLimit): WindowPlan {
  const intervalMs = periodMs / limit;
  const half = ((burst + 1) / 2) * intervalMs;
  const lateMs = Math.min(LONGEST_LATE_MS, Math.max(half, Math.min(USUAL_LATE_MS, burst * intervalMs)));
  const atOnce = Math.max(1, Math.floor(burst + 1 - lateMs / intervalMs + EXACT));
  return { intervalMs, burst: atOnce, lateMs, most: Math.max(1, Math.floor((atOnce + burst) / 2)) };
}

/** All units of a learned limit are there at once. Each replica needs some round trips until it can ask for them. */
const LEARNED_APART_MS = 20;

/** Windows of a learned limit that are counted in turn. The units of one are refilled when its turn comes again. */
export const LEARNED_WINDOWS = 50;

/**
 * The plan of one window of a limit that the upstream has stated. It has no more than `limit` units until its end, and after
 * `LEARNED_WINDOWS` windows it is full again. By GCRA, at most `burst − 1 + ceil(t / interval)` units become usable in `t` ms.
 */
export function planOfLearned(limit: number, windowMs: number): WindowPlan {
  return {
    intervalMs: (LEARNED_WINDOWS * windowMs) / limit,
    burst: limit + 1 - Math.ceil(limit / LEARNED_WINDOWS),
    lateMs: Math.min(LONGEST_LATE_MS, Math.max(USUAL_LATE_MS, windowMs / 10)),
    most: Math.max(1, Math.floor(limit)),
    apartMs: LEARNED_APART_MS,
  };
}

/** Quotients of milliseconds are not exact. */
export const EXACT = 1e-6;
