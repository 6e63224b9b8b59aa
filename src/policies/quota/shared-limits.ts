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
    const { limit, remaining, resetMs } = reading;
    // A continuous quota rises and falls by itself.
    if (reading.continuous || remaining === undefined || resetMs === undefined) return 'own';
    const key = keyOf(reading);
    const before = this.#latest.get(key);
    // Replies that overlap in time can overtake each other.
    if (before !== undefined && startedAt < before.observedAt) return before.shared ? 'shared' : 'own';
    const observed = { scope, limit, remaining, resetAt: now + resetMs, observedAt: now };
    const next = { ...observed, ...following(before, observed) };
    this.#latest.set(key, next);
    if (next.shared) return 'shared';
    return before?.shared === true ? 'no longer shared' : 'own';
  }
}

const keyOf = ({ bucket, policy }: QuotaReading): string => (policy === '' ? bucket : `${bucket}\n${policy}`);

type Findings = Pick<Observation, 'crossings' | 'shared'>;
type Observed = Omit<Observation, keyof Findings>;

function following(before: Observation | undefined, observed: Observed): Findings {
  return before !== undefined && before.limit === observed.limit ? compared(before, observed) : APART;
}

const APART = { crossings: 0, shared: false };

function compared(before: Observation, { scope, remaining, resetAt }: Observed): Findings {
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
