export interface ConcurrencyOptions {
  /** `adaptive`: no limit but `max`, until there is evidence of overload. `fixed` keeps `max`; `off` neither limits nor queues. */
  readonly mode: 'adaptive' | 'fixed' | 'off';
  readonly min: number;
  /** Infinity: the operator has written no limit. */
  readonly max: number;
  /** Calls that may wait for a permit. */
  readonly queue: number;
  /** Longest wait in the queue (never more than a tenth of the time left to the deadline). */
  readonly waitMs: number;
  /** Latency to the head above this is evidence of overload; undefined: only silence is. */
  readonly latencyCeilingMs: number | undefined;
}
