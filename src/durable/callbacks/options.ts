/** Options of callbacks. */
export interface CallbackOptions {
  /** Where callbacks may go, in the syntax of `callbackRule`. Empty: nowhere. */
  readonly allow: readonly string[];
  /** Each secret (`whsec_…`) signs every delivery, so that receivers can rotate secrets. */
  readonly secrets: readonly string[];
  /** True allows loopback and private addresses. */
  readonly allowPrivate: boolean;
  /** Milliseconds for one delivery, up to the end of its reply. */
  readonly timeoutMs: number;
  /** Waits between deliveries in milliseconds. There is one delivery more than waits. */
  readonly waitsMs: readonly number[];
  /** Milliseconds after the end of the request. No delivery begins later. */
  readonly deadlineMs: number;
  /** Milliseconds for which a callback is retained after its own end. */
  readonly retentionMs: number;
  /** A longer result is not included in the message. */
  readonly maxResultBytes: number;
}

/** Prefix of a callback route's name. The origin follows. */
export const CALLBACK_ROUTE = 'callback:';
