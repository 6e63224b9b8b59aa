import type { QuotaReading } from '../../http/rate-limit.ts';

/** Resets are given in whole seconds, so the same reset may appear to move by this much. */
const ROUNDING_MS = 2000;

/** The number of falling readings in a row, each from another scope than the one before, that shows a shared limit. */
const CROSSINGS = 2;

interface Observation {
  readonly scope: string;
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly resetAt: number;
  readonly observedAt: number;
  readonly crossings: number;
  readonly shared: boolean;
}

/** Whether a reading is about a limit that all scopes of a credential share. */
export type Meaning = 'shared' | 'own' | 'no longer shared';

/**
 * Detects whether the scopes of a credential share a limit: the limit and the reset are the same, and `remaining` falls from
 * scope to scope, as one counter does. Separate counters would do that only by chance. A rising reading shows separate counters.
 */
export class SharedLimits {
  readonly #latest = new Map<string, Observation>();

  observe(reading: QuotaReading, scope: string, startedAt: number, now: number): Meaning {
    const { bucket, policy, limit, remaining, resetMs } = reading;
    // A continuous quota rises and falls by itself.
    if (reading.continuous || remaining === undefined || resetMs === undefined) return 'own';
    const observed = { scope, limit, remaining, resetAt: now + resetMs, observedAt: now };
    return this.#compare(`${bucket}\n${policy}`, observed, startedAt);
  }

  #compare(key: string, observed: Omit<Observation, 'crossings' | 'shared'>, startedAt: number): Meaning {
    const before = this.#latest.get(key);
    const wasShared = before?.shared === true;
    // Replies that overlap in time can overtake each other.
    if (before !== undefined && startedAt < before.observedAt) return wasShared ? 'shared' : 'own';
    const next = before !== undefined && before.limit === observed.limit ? compared(before, observed) : APART;
    this.#latest.set(key, { ...observed, ...next });
    if (next.shared) return 'shared';
    return wasShared ? 'no longer shared' : 'own';
  }
}

const APART = { crossings: 0, shared: false };

function compared(
  before: Observation,
  { scope, remaining, resetAt }: Pick<Observation, 'scope' | 'remaining' | 'resetAt'>,
): Pick<Observation, 'crossings' | 'shared'> {
  const crossed = scope !== before.scope;
  const sameReset = Math.abs(resetAt - before.resetAt) <= ROUNDING_MS;
  if (!sameReset) {
    // Another window has begun, or each scope has a window of its own.
    const later = resetAt > before.resetAt && remaining >= before.remaining;
    return { crossings: 0, shared: before.shared && (later || !crossed) };
  }
  if (!crossed) return { crossings: before.crossings, shared: before.shared };
  if (remaining > before.remaining) return { crossings: 0, shared: false };
  // A quota that is used up stays at zero.
  if (remaining === before.remaining) return { crossings: 0, shared: before.shared && remaining === 0 };
  const crossings = before.crossings + 1;
  return { crossings, shared: before.shared || crossings >= CROSSINGS };
}
