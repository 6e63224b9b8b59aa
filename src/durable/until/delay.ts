import type { Random } from '../../runtime/random.ts';

export interface PollDelay {
  readonly minMs: number;
  /** At least `minMs`. */
  readonly maxMs: number;
}

/**
 * The wait before the next poll in milliseconds (Smithy waiters). It is random between `minMs` and a ceiling that
 * doubles with each poll up to `maxMs`. If less than `minMs` would then remain, the wait lasts until the deadline,
 * when the last poll is made. `poll` is 1 after the first poll; `remainingMs` is at least 0.
 */
export function pollDelayMs(poll: number, delays: PollDelay, remainingMs: number, random: Random): number {
  const { minMs } = delays;
  const delay = minMs + random() * (ceilingMs(poll, delays) - minMs);
  return remainingMs - delay <= minMs ? remainingMs : delay;
}

/** The median of the waits, far from the deadline. */
export function typicalPollDelayMs(poll: number, delays: PollDelay): number {
  return (delays.minMs + ceilingMs(poll, delays)) / 2;
}

function ceilingMs(poll: number, { minMs, maxMs }: PollDelay): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(poll - 1, 1_000));
}

/** A Retry-After of the upstream is followed up to `maxMs`. */
export function askedPollDelayMs(askedMs: number, { maxMs }: PollDelay, remainingMs: number): number {
  return Math.min(askedMs, maxMs, remainingMs);
}
