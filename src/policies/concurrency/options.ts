export interface ConcurrencyOptions {
  /** `fixed` keeps `initial`; `off` neither limits nor queues. */
  readonly mode: 'adaptive' | 'fixed' | 'off';
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** Calls that may wait for a permit. */
  readonly queue: number;
  /** Longest wait in the queue (never more than a tenth of the time left to the deadline). */
  readonly waitMs: number;
  /** Latency to the head above this is evidence of overload; undefined: only timeouts are. */
  readonly latencyCeilingMs: number | undefined;
}
