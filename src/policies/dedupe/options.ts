export interface DedupeOptions {
  /** How long a reply is stored for repeats of its request, in milliseconds; undefined: deduplication is off. */
  readonly windowMs: number | undefined;
  /** A larger reply is not stored. */
  readonly maxReplyBytes: number;
  /** The most bytes of all stored replies. */
  readonly memoryBytes: number;
}
