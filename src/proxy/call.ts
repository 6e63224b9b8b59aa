import type { RawHeaders } from '../http/headers.ts';
import type { RequestBody } from '../http/request-body.ts';
import type { Abort } from '../runtime/abort.ts';
import type { CallEvent } from './events.ts';

/** One client request on its way to an upstream. Immutable: a policy passes on a changed copy. */
export interface Call {
  readonly method: string;
  /** Path and query as the upstream will see them, byte for byte what the client sent below the mount. */
  readonly target: string;
  /** End-to-end fields only, as the upstream will see them. */
  readonly headers: RawHeaders;
  readonly body: RequestBody;
  /** The protocol that the connection is to speak instead of HTTP (RFC 9110 §7.8). */
  readonly upgrade?: 'websocket' | undefined;
  /** The key that makes this call safe to repeat, on a route that trusts it. */
  readonly idempotencyKey: string | undefined;
  /** 1 for the first try. */
  readonly attempt: number;
  /** No other attempt could follow a timeout of this one, so it may use all the time that is left. */
  readonly lastAttempt: boolean;
  /** The moment by which the head must be here, on `clock.now()`'s scale. */
  readonly deadline: number;
  readonly signal: Abort;
  readonly report: (event: CallEvent) => void;
}
