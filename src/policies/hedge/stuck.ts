import type { Expectation } from '../../proxy/attempt-watch.ts';

/** An attempt is not stuck before this time, however fast the others are: a second one costs an API its work twice. */
const MIN_STUCK_MS = 20_000;

/** An attempt may take this many times as long as the slowest of late. It was one of its kind, so the next may take longer. */
const LONGEST_FACTOR = 2;

/** The time between two looks at an attempt that is silent for long, while the upstream is silent to others too. */
const OVERTAKEN_MS = 5_000;

/** The time between two tries to send a second attempt: a breaker may close, and a budget may earn a token. */
export const REFUSED_MS = 5_000;

/** Less than a timer can tell apart is no time. */
const NO_TIME_MS = 1;

/** What is known of an attempt without a head. */
export interface Silence extends Pick<Expectation, 'patienceMs' | 'longestMs'> {
  readonly silentMs: number;
  /** The upstream has answered an attempt of the same kind well that left later. */
  readonly overtaken: boolean;
}

/**
 * Milliseconds until the next look at the attempt; 0: it is stuck. It is stuck if it has been silent for far longer than is
 * usual for its path, and the upstream has answered a later attempt of the same path well. So an upstream, or a path,
 * that is silent to all gets no attempts on top.
 */
export function lookAgainMs({ silentMs, patienceMs, longestMs, overtaken }: Silence): number {
  const leftMs = Math.max(MIN_STUCK_MS, patienceMs, LONGEST_FACTOR * longestMs) - silentMs;
  if (leftMs >= NO_TIME_MS) return leftMs;
  return overtaken ? 0 : OVERTAKEN_MS;
}
