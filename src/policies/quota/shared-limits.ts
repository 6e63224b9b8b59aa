import type { QuotaReading } from '../../http/rate-limit.ts';

/** Resets are told in whole seconds: the same one may seem to move by as much. */
const ROUNDING_MS = 2000;

/** So many readings in a row, each of another scope than the one before, must go down one after the other. */
const CROSSINGS = 2;

interface Told {
  readonly scope: string;
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly resetAt: number;
  readonly heardAt: number;
  readonly crossings: number;
  readonly shared: boolean;
}

/** What a reading means for the whole credential. */
export type Meaning = 'shared' | 'own' | 'no longer shared';

/**
 * Finds out whether the scopes of a credential share a limit: the same limit and reset, and `remaining` goes down from one scope to the
 * next and back, as one counter does. Counters of their own would have to agree by chance. A reading that rises says that they do not share.
 */
export class SharedLimits {
  readonly #told = new Map<string, Told>();

  heard(reading: QuotaReading, scope: string, startedAt: number, now: number): Meaning {
    const { bucket, policy, limit, remaining, resetMs } = reading;
    // What flows back rises and falls by itself.
    if (reading.continuous || remaining === undefined || resetMs === undefined) return 'own';
    const told = { scope, limit, remaining, resetAt: now + resetMs, heardAt: now };
    return this.#compare(`${bucket}\n${policy}`, told, startedAt);
  }

  #compare(key: string, told: Omit<Told, 'crossings' | 'shared'>, startedAt: number): Meaning {
    const before = this.#told.get(key);
    const wasShared = before?.shared === true;
    // Replies that overlap in time can overtake each other.
    if (before !== undefined && startedAt < before.heardAt) return wasShared ? 'shared' : 'own';
    const next = before !== undefined && before.limit === told.limit ? judged(before, told) : APART;
    this.#told.set(key, { ...told, ...next });
    if (next.shared) return 'shared';
    return wasShared ? 'no longer shared' : 'own';
  }
}

const APART = { crossings: 0, shared: false };

function judged(
  before: Told,
  { scope, remaining, resetAt }: Pick<Told, 'scope' | 'remaining' | 'resetAt'>,
): Pick<Told, 'crossings' | 'shared'> {
  const crossed = scope !== before.scope;
  const sameReset = Math.abs(resetAt - before.resetAt) <= ROUNDING_MS;
  if (!sameReset) {
    // Another window has begun, or each scope has its own.
    const later = resetAt > before.resetAt && remaining >= before.remaining;
    return { crossings: 0, shared: before.shared && (later || !crossed) };
  }
  if (!crossed) return { crossings: before.crossings, shared: before.shared };
  if (remaining > before.remaining) return { crossings: 0, shared: false };
  // One that is used up stays at zero.
  if (remaining === before.remaining) return { crossings: 0, shared: before.shared && remaining === 0 };
  const crossings = before.crossings + 1;
  return { crossings, shared: before.shared || crossings >= CROSSINGS };
}
