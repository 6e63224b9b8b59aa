export interface ConcurrencyOptions {
  /**
   * `adaptive`: no limit but `max` until there is a sign of overload. `fixed`: always `max`. `shadow`: as `adaptive`, but attempts
   * beyond the limit are only reported. `off`: no limit and no queue.
   */
  readonly mode: 'adaptive' | 'fixed' | 'shadow' | 'off';
  readonly min: number;
  /** Infinity if no limit is configured. */
  readonly max: number;
  /** The most calls that may wait for a permit. */
  readonly queue: number;
  /** The longest wait in the queue, and at most a tenth of the time to the deadline. */
  readonly waitMs: number;
  /** A longer time to the head is a sign of overload; undefined: only a missing head is one. */
  readonly latencyCeilingMs: number | undefined;
}
