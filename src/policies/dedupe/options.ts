export interface DedupeOptions {
  /** How long a reply answers repeats of its request; undefined: not at all. */
  readonly windowMs: number | undefined;
  /** A larger reply is not kept. */
  readonly maxReplyBytes: number;
  /** All kept replies together. */
  readonly memoryBytes: number;
}
