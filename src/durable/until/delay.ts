import type { Random } from '../../runtime/random.ts';

export interface PollDelay {
  readonly minMs: number;
  /** At least `minMs`. */
  readonly maxMs: number;
}

/**
 * The wait before the next poll, in milliseconds, after the AWS waiter specification (Smithy, "Waiters"): between `minMs` and a
 * ceiling that doubles with each poll up to `maxMs`. What would leave less than `minMs` until the deadline is the whole
 * rest: the last poll is made exactly then. `poll` is 1 after the first one; `remainingMs` is at least 0.
 */
export function pollDelayMs(poll: number, delays: PollDelay, remainingMs: number, random: Random): number {
  const { minMs } = delays;
  const delay = minMs + random() * (ceilingMs(poll, delays) - minMs);
  return remainingMs - delay <= minMs ? remainingMs : delay;
}

/** Half of these waits are longer, where the deadline is far. */
export function typicalPollDelayMs(poll: number, delays: PollDelay): number {
  return (delays.minMs + ceilingMs(poll, delays)) / 2;
}

function ceilingMs(poll: number, { minMs, maxMs }: PollDelay): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(poll - 1, 1_000));
}

/** An upstream that says when to ask again is believed, up to `maxMs`. */
export function askedPollDelayMs(askedMs: number, { maxMs }: PollDelay, remainingMs: number): number {
  return Math.min(askedMs, maxMs, remainingMs);
}
