import type { GrpcStatus } from '../http/grpc.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { ProxyErrorType } from '../http/proxy-status.ts';
import type { RetryDenial } from './gave-up.ts';

/** How an attempt ends with an error. */
export type AttemptEnd =
  /** No attempt was under way. */
  | 'none'
  /** No connection was made: DNS, TCP or TLS failed. */
  | 'unconnected'
  /** The connection or the reply broke off. */
  | 'broken'
  /** The reply was not valid HTTP. */
  | 'invalid'
  /** No head within the attempt's own time. */
  | 'overdue'
  /** No byte of the body for too long. */
  | 'stalled'
  /** This proxy stopped waiting: the deadline passed, or another attempt was answered first. */
  | 'cut_short'
  /** The client stopped waiting. */
  | 'client_left';

/** The effect on a durable request if its attempt is refused. No attempt is counted. */
export type DurableRefusal =
  | {
      readonly kind: 'wait';
      readonly reason: 'breaker_open' | 'concurrency' | 'quota' | 'address' | 'auth' | 'target';
      /** Milliseconds to wait if the refusal names none; otherwise half of this is the shortest wait. */
      readonly comeBackMs: number;
    }
  | { readonly kind: 'end'; readonly code: 'not_retryable' | 'cancelled' };

/** The answer to the client. */
interface Answer {
  /** Of an HTTP reply. */
  readonly status: number;
  /** Of the problem details (RFC 9457 §3.1.3). */
  readonly title: string;
  /** Of the Proxy-Status field (RFC 9209 §2.3). */
  readonly proxyStatus: ProxyErrorType;
  /** Of a gRPC reply. */
  readonly grpc: GrpcStatus;
  /** Whether the client should not retry either. */
  readonly final: boolean;
  /** Further fields of the reply. */
  readonly fields?: RawHeaders;
}

/** A failure of the upstream: the retry rules classify it, a fallback can answer, a durable request counts an attempt. */
interface UpstreamFailure {
  readonly blame: 'upstream';
  readonly attempt: Exclude<AttemptEnd, 'none' | 'client_left'>;
}

/** A failure that says nothing about the upstream. */
interface OtherFailure {
  /** `client`: its request cannot be served. `proxy`: a refusal of this proxy. `none`: neither. */
  readonly blame: 'client' | 'proxy' | 'none';
  readonly attempt: 'none' | 'cut_short' | 'client_left';
  /** The reason to report if this ends the retries of a call. */
  readonly gaveUp: RetryDenial;
  readonly durable: DurableRefusal;
  /** Whether a fallback can answer, because the upstream was not asked. */
  readonly fallback: boolean;
  /** The part of a target that the refusal is about, so that another target may not repeat it: its credential, or its host. */
  readonly about?: 'credential' | 'host';
}

/** All that depends on the code of an error. */
export type ErrorFacts = Answer & (UpstreamFailure | OtherFailure);

/** A later attempt would be refused too. */
const NEVER = { kind: 'end', code: 'not_retryable' } as const;

/** The call may be accepted after this time. */
const SOON_MS = 1_000;

/** A person has to change something before the call is accepted. */
const PERSON_MS = 60_000;

/** An error in the client's request. */
const CLIENT = {
  proxyStatus: 'http_request_error',
  blame: 'client',
  attempt: 'none',
  final: false,
  gaveUp: 'refused',
  durable: NEVER,
  fallback: false,
} as const;

/** A refusal: this proxy cannot or must not send the call now. */
const REFUSAL = {
  blame: 'proxy',
  attempt: 'none',
  final: false,
  gaveUp: 'refused',
  durable: { kind: 'wait', reason: 'concurrency', comeBackMs: SOON_MS },
  fallback: false,
} as const;

const NEITHER = { ...REFUSAL, blame: 'none' } as const;

const UNCONNECTED = {
  grpc: 'unavailable',
  blame: 'upstream',
  attempt: 'unconnected',
  final: false,
} as const;

const EXCHANGE = { grpc: 'unavailable', blame: 'upstream', final: false } as const;

/**
 * THE table of error codes: every way in which a call can fail without a reply of the upstream, and all that depends on it. A new
 * code needs one row here. A group (`...CLIENT`) has the common values of its rows; a row overrides some of them.
 */
const ERRORS = {
  // --- the client ---
  client_gone: {
    ...NEITHER,
    // Only the log shows this, because the client has left. nginx introduced 499 for it.
    status: 499,
    title: 'Client closed the request',
    proxyStatus: 'http_request_error',
    grpc: 'cancelled',
    attempt: 'client_left',
    gaveUp: 'client_gone',
    durable: { kind: 'end', code: 'cancelled' },
  },
  bad_request: { ...CLIENT, status: 400, title: 'Bad request', grpc: 'internal' },
  too_many_fields: { ...CLIENT, status: 431, title: 'Too many header fields', grpc: 'resource_exhausted' },
  /** The client sends its body too slowly. */
  request_timeout: { ...CLIENT, status: 408, title: 'Request body timed out', grpc: 'cancelled' },
  route_not_found: {
    ...CLIENT,
    status: 404,
    title: 'No matching route',
    proxyStatus: 'destination_not_found',
    grpc: 'unimplemented',
  },
  /** The call names no tenant, or one whose host would not be allowed. */
  invalid_tenant: {
    ...CLIENT,
    status: 400,
    title: 'Tenant not valid',
    grpc: 'invalid_argument',
    final: true,
  },
  idempotency_key_required: {
    ...CLIENT,
    status: 400,
    title: 'Idempotency key required',
    grpc: 'invalid_argument',
  },
  idempotency_key_reused: {
    ...CLIENT,
    status: 422,
    title: 'Idempotency key used for another request',
    grpc: 'invalid_argument',
  },
  idempotency_key_in_use: {
    ...CLIENT,
    status: 409,
    title: 'First request with this idempotency key still running',
    grpc: 'aborted',
    durable: REFUSAL.durable,
  },
  /** Clients are known by their tokens, and this one has sent none of them. */
  client_unknown: {
    ...CLIENT,
    status: 401,
    title: 'Client not known',
    proxyStatus: 'http_request_denied',
    grpc: 'unauthenticated',
    final: true,
    fields: ['www-authenticate', 'Breakwater-Token realm="breakwater"'],
  },
  /** The same for a client that has sent `Proxy-Authorization`. */
  proxy_auth_unknown: {
    ...CLIENT,
    status: 407,
    title: 'Proxy credentials not known',
    proxyStatus: 'http_request_denied',
    grpc: 'unauthenticated',
    final: true,
    fields: ['proxy-authenticate', 'Bearer realm="breakwater"'],
  },
  /** The allow-list of the upstream does not have this call. */
  egress_denied: {
    ...CLIENT,
    status: 403,
    title: 'Call not allowed',
    proxyStatus: 'http_request_denied',
    grpc: 'permission_denied',
    final: true,
  },
  /** A client whose token does not allow the upstream. Or a web page, or an unknown Host, on a route that adds a credential. */
  client_forbidden: {
    ...CLIENT,
    status: 403,
    title: 'Client not allowed',
    proxyStatus: 'http_request_denied',
    grpc: 'permission_denied',
    final: true,
  },
  /** `Cache-Control: only-if-cached`, and nothing fresh is cached. */
  not_cached: { ...CLIENT, status: 504, title: 'Not in the cache', grpc: 'unavailable' },
  payload_too_large: {
    ...CLIENT,
    status: 413,
    title: 'Request body too large',
    grpc: 'resource_exhausted',
  },
  callback_forbidden: { ...CLIENT, status: 403, title: 'Callback not allowed', grpc: 'permission_denied' },

  // --- this proxy ---
  breaker_open: {
    ...REFUSAL,
    about: 'host',
    status: 503,
    title: 'Circuit breaker open',
    proxyStatus: 'destination_unavailable',
    grpc: 'unavailable',
    final: true,
    gaveUp: 'breaker',
    durable: { kind: 'wait', reason: 'breaker_open', comeBackMs: SOON_MS },
    fallback: true,
  },
  concurrency_limit: {
    ...REFUSAL,
    about: 'host',
    status: 503,
    title: 'Concurrency limit reached',
    proxyStatus: 'connection_limit_reached',
    grpc: 'resource_exhausted',
    final: true,
    gaveUp: 'concurrency',
    fallback: true,
  },
  /** Each tenant whose state is in memory has calls, and there is room for no further one. */
  tenants_busy: {
    ...REFUSAL,
    status: 503,
    title: 'Too many tenants at once',
    proxyStatus: 'connection_limit_reached',
    grpc: 'resource_exhausted',
    final: true,
    gaveUp: 'concurrency',
  },
  quota: {
    ...REFUSAL,
    about: 'credential',
    status: 429,
    title: 'Quota used up',
    proxyStatus: 'http_request_error',
    grpc: 'resource_exhausted',
    final: true,
    gaveUp: 'quota',
    durable: { kind: 'wait', reason: 'quota', comeBackMs: SOON_MS },
    fallback: true,
  },
  /** No target may get the call. */
  no_target: {
    ...REFUSAL,
    status: 503,
    title: 'No target in service',
    proxyStatus: 'destination_unavailable',
    grpc: 'unavailable',
    durable: { kind: 'wait', reason: 'target', comeBackMs: PERSON_MS },
    fallback: true,
  },
  /** The call waited for longer than its signature is valid. */
  signature_age: {
    ...REFUSAL,
    status: 503,
    title: 'Signature too old to send',
    proxyStatus: 'proxy_internal_response',
    grpc: 'unavailable',
    gaveUp: 'signature_age',
  },
  draining: {
    ...REFUSAL,
    status: 503,
    title: 'Shutting down',
    proxyStatus: 'destination_unavailable',
    grpc: 'unavailable',
    gaveUp: 'draining',
    durable: { kind: 'wait', reason: 'concurrency', comeBackMs: 0 },
  },
  /** The credential that the proxy adds is not to be had: its issuer fails or refuses, or the request cannot be signed. */
  auth_failed: {
    ...REFUSAL,
    about: 'credential',
    status: 502,
    title: 'No credential for the upstream',
    proxyStatus: 'proxy_internal_response',
    grpc: 'unauthenticated',
    final: true,
    // A wrong secret can be corrected, and the issuer may come back. An accepted request waits for both.
    durable: { kind: 'wait', reason: 'auth', comeBackMs: PERSON_MS },
    fallback: true,
  },
  proxy_loop: {
    ...REFUSAL,
    status: 502,
    title: 'Proxy loop',
    proxyStatus: 'proxy_loop_detected',
    grpc: 'internal',
    final: true,
    durable: NEVER,
  },
  address_prohibited: {
    ...REFUSAL,
    about: 'host',
    status: 502,
    title: 'Upstream address prohibited',
    proxyStatus: 'destination_ip_prohibited',
    grpc: 'permission_denied',
    final: true,
    // A wrong DNS answer may last an hour, and a configuration can be corrected. An accepted request waits for both.
    durable: { kind: 'wait', reason: 'address', comeBackMs: PERSON_MS },
  },
  /** This machine has no file descriptor or port left for a connection. */
  out_of_sockets: {
    ...REFUSAL,
    status: 503,
    title: 'Proxy out of sockets',
    proxyStatus: 'proxy_internal_error',
    grpc: 'resource_exhausted',
  },
  backlog_full: {
    ...REFUSAL,
    status: 429,
    title: 'Too many unfinished durable requests',
    proxyStatus: 'http_request_error',
    grpc: 'resource_exhausted',
  },
  store_unavailable: {
    ...REFUSAL,
    status: 503,
    title: 'Durable store unavailable',
    proxyStatus: 'proxy_internal_error',
    grpc: 'unavailable',
  },

  // --- neither an error of the client nor a refusal ---
  /** A retry needs the request body, which is no longer in memory. */
  body_not_buffered: {
    ...NEITHER,
    status: 502,
    title: 'Request body not buffered for a retry',
    proxyStatus: 'proxy_internal_response',
    grpc: 'unavailable',
    gaveUp: 'body_not_replayable',
    durable: NEVER,
  },
  /** Another attempt of the call was answered first, so no client sees this. */
  hedge_lost: {
    ...NEITHER,
    status: 502,
    title: 'Hedge lost',
    proxyStatus: 'proxy_internal_response',
    grpc: 'unavailable',
    attempt: 'cut_short',
  },

  // --- the upstream ---
  dns_error: { ...UNCONNECTED, status: 502, title: 'Upstream name not resolved', proxyStatus: 'dns_error' },
  dns_timeout: {
    ...UNCONNECTED,
    status: 504,
    title: 'Upstream name not resolved in time',
    proxyStatus: 'dns_timeout',
  },
  connect_timeout: {
    ...UNCONNECTED,
    status: 504,
    title: 'Upstream connection timed out',
    proxyStatus: 'connection_timeout',
  },
  connection_refused: {
    ...UNCONNECTED,
    status: 502,
    title: 'Upstream refused the connection',
    proxyStatus: 'connection_refused',
  },
  connection_failed: {
    ...UNCONNECTED,
    status: 502,
    title: 'Upstream unreachable',
    proxyStatus: 'destination_ip_unroutable',
  },
  tls_certificate_error: {
    ...UNCONNECTED,
    status: 502,
    title: 'Upstream certificate not accepted',
    proxyStatus: 'tls_certificate_error',
  },
  tls_protocol_error: {
    ...UNCONNECTED,
    status: 502,
    title: 'TLS handshake failed',
    proxyStatus: 'tls_protocol_error',
  },
  tls_alert_received: {
    ...UNCONNECTED,
    status: 502,
    title: 'Upstream refused TLS',
    proxyStatus: 'tls_alert_received',
  },
  egress_proxy_refused: {
    ...UNCONNECTED,
    status: 502,
    title: 'Egress proxy refused the tunnel',
    proxyStatus: 'destination_unavailable',
  },
  attempt_timeout: {
    ...EXCHANGE,
    status: 504,
    title: 'Upstream timed out',
    proxyStatus: 'http_response_timeout',
    grpc: 'deadline_exceeded',
    attempt: 'overdue',
  },
  /** The head of a stream has arrived, and no meaningful event within `stream.first_event`. */
  first_event_timeout: {
    ...EXCHANGE,
    status: 504,
    title: 'Upstream stream without an event',
    proxyStatus: 'http_response_timeout',
    grpc: 'deadline_exceeded',
    attempt: 'overdue',
  },
  deadline_exceeded: {
    ...EXCHANGE,
    status: 504,
    title: 'Deadline exceeded',
    proxyStatus: 'http_response_timeout',
    grpc: 'deadline_exceeded',
    attempt: 'cut_short',
    final: true,
  },
  idle_timeout: {
    ...EXCHANGE,
    status: 502,
    title: 'Upstream stalled',
    proxyStatus: 'connection_read_timeout',
    attempt: 'stalled',
  },
  connection_terminated: {
    ...EXCHANGE,
    status: 502,
    title: 'Upstream closed the connection',
    proxyStatus: 'connection_terminated',
    attempt: 'broken',
  },
  protocol_error: {
    ...EXCHANGE,
    status: 502,
    title: 'Upstream sent an invalid response',
    proxyStatus: 'http_protocol_error',
    attempt: 'invalid',
  },
  response_incomplete: {
    ...EXCHANGE,
    status: 502,
    title: 'Upstream cut its response short',
    proxyStatus: 'http_response_incomplete',
    attempt: 'broken',
  },
} as const satisfies Record<string, ErrorFacts>;

export type ErrorCode = keyof typeof ERRORS;

/** The row of a code. */
export const factsOf = (code: ErrorCode): ErrorFacts => ERRORS[code];

/** All codes, in the order of the table. */
export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];
