import type { RequestBody } from '../http/bodies/request-body.ts';
import type { GrpcCall } from '../http/grpc.ts';
import type { RawHeaders } from '../http/headers.ts';
import { isIdempotent } from '../http/methods.ts';
import type { Interim } from '../http/reply.ts';
import type { Abort } from '../runtime/abort.ts';
import type { AttemptWatch } from './attempt-watch.ts';
import type { Journal } from './journal.ts';
import type { CallOverrides } from './overrides.ts';

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
  /** Undefined where it is not gRPC. */
  readonly grpc?: GrpcCall | undefined;
  /** The key that makes this call safe to repeat, on a route that trusts it. */
  readonly idempotencyKey: string | undefined;
  /** The key is the client's own, so that another call with it means the same operation. */
  readonly keyedByClient?: boolean | undefined;
  /** On this route a call changes nothing at the upstream, whatever its method (RFC 9110 §9.2.1). */
  readonly safe?: boolean | undefined;
  /** How many retries of its own the client says it has made. */
  readonly clientRetries?: number | undefined;
  /** What the client asked for besides; undefined where it asked for nothing or may not. */
  readonly overrides?: CallOverrides | undefined;
  /** 1 for the first try. */
  readonly attempt: number;
  /** No other attempt follows when this one brings no reply, so its interim replies need not wait for its head. */
  readonly lastAttempt: boolean;
  /** The moment by which the head must be here, on `clock.now()`'s scale. */
  readonly deadline: number;
  /** On the same scale: no attempt may leave from then on, because its signature is too old; undefined: any time. */
  readonly sendBefore?: number | undefined;
  /** Counts the hedges that are sent beside this attempt; undefined: there may be none. */
  readonly tally?: { hedges: number } | undefined;
  readonly signal: Abort;
  /** Where the client is: its address. */
  readonly client?: string | undefined;
  /** What this attempt has taken of the upstream's quota. `start`: just before it leaves; false calls it back. */
  readonly ticket?: { start(): boolean } | undefined;
  /** Of this attempt; undefined outside of an attempt. */
  readonly watch?: AttemptWatch | undefined;
  readonly journal: Journal;
  /** Told when the attempt leaves for the upstream. */
  readonly onStart?: (() => void) | undefined;
  /** Takes an interim reply to the client at once; undefined where nobody wants one. */
  readonly onInterim?: ((interim: Interim) => void) | undefined;
}

/**
 * Whether the call may be sent again when it is unknown what became of it: by its method, its key, its route, or its
 * client's word. A handshake is a GET by name only: it may have begun a session.
 */
export function isRepeatable(
  call: Pick<Call, 'method' | 'safe' | 'idempotencyKey' | 'upgrade' | 'overrides'>,
): boolean {
  if (call.upgrade !== undefined) return false;
  const { idempotencyKey, method, overrides, safe = false } = call;
  return overrides?.idempotent ?? (safe || idempotencyKey !== undefined || isIdempotent(method));
}

/** Which calls count as one client where clients take turns: those of one host. A caller could change anything else with each call. */
export function clientOf({ client = '' }: Pick<Call, 'client'>): string {
  return client;
}
