/** How the ends of requests are told. */
export interface CallbackOptions {
  /** Where a callback may go, as `callbackRule` reads it; empty: nowhere. */
  readonly allow: readonly string[];
  /** Each signs every delivery, so that receivers can change from one to the next; `whsec_…`. */
  readonly secrets: readonly string[];
  /** Loopback and private addresses are refused unless this is true. */
  readonly allowPrivate: boolean;
  /** For one delivery, to the end of its reply. */
  readonly timeoutMs: number;
  /** Between deliveries; there is one delivery more than there are waits. */
  readonly waitsMs: readonly number[];
  /** No delivery begins later than this after the end of the request. */
  readonly deadlineMs: number;
  /** A callback is kept for so long after its own end. */
  readonly retentionMs: number;
  /** A result up to so long is sent along. */
  readonly maxResultBytes: number;
}

/** Before the origin in the name of a callback's route. */
export const CALLBACK_ROUTE = 'callback:';
