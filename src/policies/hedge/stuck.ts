import type { Expectation } from '../../proxy/attempt-watch.ts';

/** The shortest silence of a stuck attempt, however fast others are: a second attempt costs the API the same work again. */
const MIN_STUCK_MS = 20_000;

/** An attempt may take this multiple of the slowest recent one. That is one sample, so the next may take longer. */
const LONGEST_FACTOR = 2;

/** The time between two checks of an attempt that is silent for long, while the upstream answers no later attempt. */
const OVERTAKEN_MS = 5_000;

/** The time between two tries to send a second attempt. Meanwhile a breaker may close, or a budget may earn a token. */
export const REFUSED_MS = 5_000;

/** A timer cannot measure a shorter time. */
const NO_TIME_MS = 1;

/** The state of an attempt without a head. */
export interface Silence extends Pick<Expectation, 'patienceMs' | 'longestMs'> {
  readonly silentMs: number;
  /** The upstream has answered a later attempt of the same kind well. */
  readonly overtaken: boolean;
}

/**
 * Milliseconds until the next check of the attempt; 0: it is stuck. An attempt is stuck after a silence far longer than usual on
 * its path, if a later attempt of that path was answered well. So an upstream, or a path, that answers nothing gets no
 * additional attempts.
 */
export function lookAgainMs({ silentMs, patienceMs, longestMs, overtaken }: Silence): number {
  const leftMs = Math.max(MIN_STUCK_MS, patienceMs, LONGEST_FACTOR * longestMs) - silentMs;
  if (leftMs >= NO_TIME_MS) return leftMs;
  return overtaken ? 0 : OVERTAKEN_MS;
}
