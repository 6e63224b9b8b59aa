import type { RequestBody } from '../http/bodies/request-body.ts';
import type { GrpcCall } from '../http/grpc.ts';
import type { RawHeaders } from '../http/headers.ts';
import { isIdempotent } from '../http/methods.ts';
import type { Journal } from './journal.ts';
import type { CallOverrides } from './overrides.ts';

/** What a client asked for, on its way to an upstream. Immutable: a policy that changes it passes on a copy. */
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
  /** Where the client is: its address. */
  readonly client?: string | undefined;
  readonly journal: Journal;
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

/** Whether the call only reads, so that sending it twice at the same time does no more than sending it once. */
export function isRead({ method, safe = false }: Pick<Call, 'method' | 'safe'>): boolean {
  return safe || method === 'GET' || method === 'HEAD';
}

/** Which calls count as one client where clients take turns: those of one host. A caller could change anything else with each call. */
export function clientOf({ client = '' }: Pick<Call, 'client'>): string {
  return client;
}
