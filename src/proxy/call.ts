import type { RequestBody } from '../http/bodies/request-body.ts';
import type { GrpcCall } from '../http/grpc.ts';
import { headerOf, type RawHeaders } from '../http/headers.ts';
import { isIdempotent } from '../http/methods.ts';
import { PRIORITIES, type Priority } from './client.ts';
import type { Turn } from '../runtime/fair-queue.ts';
import type { Journal } from './journal.ts';
import type { CallOverrides } from './overrides.ts';

/** By which a call is found in logs and traces. */
export interface CallIdentity {
  /** The client's `X-Request-Id` if it is sane, else one of this proxy. Of an attempt of a durable request: its id. */
  readonly id: string;
  /** Of a traced call, its own span; else the client's `traceparent` field, unchecked. */
  readonly traceparent?: string | undefined;
  /** The client's name, by its token; undefined if none is known. */
  readonly clientName?: string | undefined;
}

/** A client's request on its way to an upstream. Immutable: a policy that changes it passes on a copy. */
export interface Call {
  readonly method: string;
  /** Path and query for the upstream: byte for byte as the client sent them, without the mount. */
  readonly target: string;
  /** End-to-end fields only, as the upstream receives them. */
  readonly headers: RawHeaders;
  readonly body: RequestBody;
  /** The protocol to which the connection switches (RFC 9110 §7.8). */
  readonly upgrade?: 'websocket' | undefined;
  /** Undefined if the call is not gRPC. */
  readonly grpc?: GrpcCall | undefined;
  /** The key that makes this call safe to repeat, on a route that trusts it. */
  readonly idempotencyKey: string | undefined;
  /** The key is the client's own, so another call with it is the same operation. */
  readonly keyedByClient?: boolean | undefined;
  /** On this route a call changes nothing at the upstream, whatever its method (RFC 9110 §9.2.1). */
  readonly safe?: boolean | undefined;
  /** The number of its own retries that the client reports. */
  readonly clientRetries?: number | undefined;
  /** Settings that the client overrides; undefined if there are none or none are allowed. */
  readonly overrides?: CallOverrides | undefined;
  /** The client's address. */
  readonly client?: string | undefined;
  /** The part of the client that the call is for, such as a tenant, by which calls take turns; undefined if it has none. */
  readonly clientPart?: string | undefined;
  /** The only target of the upstream that may get the call; undefined: any. */
  readonly targetName?: string | undefined;
  /** Default `normal`. */
  readonly priority?: Priority | undefined;
  readonly identity?: CallIdentity | undefined;
  readonly journal: Journal;
}

/**
 * Whether the call may be sent again if the outcome of an attempt is unknown: by its method, its key, its route, or its client's
 * override. A handshake is never repeated, although it is a GET, because it may have started a session.
 */
export function isRepeatable(
  call: Pick<Call, 'method' | 'safe' | 'idempotencyKey' | 'upgrade' | 'overrides'>,
): boolean {
  if (call.upgrade !== undefined) return false;
  const { idempotencyKey, method, overrides, safe = false } = call;
  return overrides?.idempotent ?? (safe || idempotencyKey !== undefined || isIdempotent(method));
}

/** Whether the call only reads, so that two attempts at the same time do no harm. */
export function isRead({ method, safe = false }: Pick<Call, 'method' | 'safe'>): boolean {
  return safe || method === 'GET' || method === 'HEAD';
}

/** In characters. A longer name of a part is cut, because it comes from a client and is in memory while its calls wait. */
const LONGEST_PART = 64;

/** The part of the client that a call is for. `header`: lower-case name of the header that names it. */
export function clientPartOf(headers: RawHeaders, header: string | undefined): string | undefined {
  return header === undefined ? undefined : headerOf(headers, header)?.slice(0, LONGEST_PART);
}

/**
 * The place of a call in queues. Without a name, the client is the host: a caller could change any other property with each
 * call.
 */
export function turnOf({ client, clientPart = '', identity, priority = 'normal' }: Call): Turn {
  return {
    client: identity?.clientName ?? client ?? '',
    part: clientPart,
    rank: PRIORITIES.indexOf(priority),
  };
}
