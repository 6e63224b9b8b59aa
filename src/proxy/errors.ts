/**
 * Every way a call can fail without an upstream's reply. The HTTP status is decided at the edge (`problem.ts`).
 *
 * - the client: `client_gone`, `bad_request`, `too_many_fields`, `request_timeout` (in its body), `route_not_found`,
 *   `idempotency_key_required`, `idempotency_key_reused`, `idempotency_key_in_use`, `egress_denied` (not on the allow-list), `client_forbidden` (a web page, or an unknown Host, where a credential is added),
 *   `not_cached` (`only-if-cached`)
 * - the proxy would not: `breaker_open`, `concurrency_limit`, `quota`, `draining`, `proxy_loop`, `address_prohibited`,
 *   `out_of_sockets` (this machine has no file descriptor or port left for a connection),
 *   `signature_age` (it waited for longer than its signature holds),
 *   `body_not_kept` (a retry whose request body is no longer here), `hedge_lost` (another attempt of
 *   the call was answered first)
 * - a durable request that is not accepted: `payload_too_large`, `callback_forbidden`,
 *   `backlog_full`, `store_unavailable`
 * - time ran out: `attempt_timeout`, `deadline_exceeded`, `idle_timeout` (in a body)
 * - the upstream's side: all others
 */
export type ErrorCode =
  | 'client_gone'
  | 'bad_request'
  | 'too_many_fields'
  | 'request_timeout'
  | 'route_not_found'
  | 'idempotency_key_required'
  | 'idempotency_key_reused'
  | 'idempotency_key_in_use'
  | 'egress_denied'
  | 'client_forbidden'
  | 'not_cached'
  | 'breaker_open'
  | 'concurrency_limit'
  | 'quota'
  | 'signature_age'
  | 'draining'
  | 'proxy_loop'
  | 'address_prohibited'
  | 'out_of_sockets'
  | 'body_not_kept'
  | 'payload_too_large'
  | 'callback_forbidden'
  | 'backlog_full'
  | 'store_unavailable'
  | 'hedge_lost'
  | 'attempt_timeout'
  | 'deadline_exceeded'
  | 'idle_timeout'
  | 'dns_error'
  | 'dns_timeout'
  | 'connect_timeout'
  | 'connection_refused'
  | 'connection_failed'
  | 'tls_certificate_error'
  | 'tls_protocol_error'
  | 'tls_alert_received'
  | 'egress_proxy_refused'
  | 'connection_terminated'
  | 'protocol_error'
  | 'response_incomplete';

/**
 * What the upstream may have seen of an attempt that brought no reply.
 * `not_sent`: not one request byte left us, so any method may be tried again. `sent_unknown`: bytes left, fate unknown.
 */
export type Sent = 'not_sent' | 'sent_unknown';

export interface ProxyErrorOptions {
  readonly cause?: unknown;
  /** Default `not_sent`, which is what every refusal of our own is. */
  readonly sent?: Sent;
  /** When the caller may usefully try again, if we know. */
  readonly retryAfterMs?: number | undefined;
}

/** The proxy could not, or would not, bring a reply. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ErrorCode;
  readonly sent: Sent;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.sent = options.sent ?? 'not_sent';
    this.retryAfterMs = options.retryAfterMs;
  }
}

const NOT_THE_UPSTREAMS_FAULT: ReadonlySet<ErrorCode> = new Set([
  'client_gone',
  'bad_request',
  'too_many_fields',
  'request_timeout',
  'route_not_found',
  'idempotency_key_required',
  'idempotency_key_reused',
  'idempotency_key_in_use',
  'egress_denied',
  'client_forbidden',
  'not_cached',
  'breaker_open',
  'concurrency_limit',
  'quota',
  'signature_age',
  'draining',
  'proxy_loop',
  'address_prohibited',
  'out_of_sockets',
  'body_not_kept',
  'payload_too_large',
  'callback_forbidden',
  'backlog_full',
  'store_unavailable',
  'hedge_lost',
]);

/** True when the failure says something about the upstream; false for the client's leaving and our own refusals. */
export function blamesUpstream(error: ProxyError): boolean {
  return !NOT_THE_UPSTREAMS_FAULT.has(error.code);
}

const CONNECT_CLASS: ReadonlySet<ErrorCode> = new Set([
  'dns_error',
  'dns_timeout',
  'connect_timeout',
  'connection_refused',
  'connection_failed',
  'tls_certificate_error',
  'tls_protocol_error',
  'tls_alert_received',
  'egress_proxy_refused',
]);

/** True when no connection came about: DNS, TCP or TLS. */
export function isConnectFailure(error: ProxyError): boolean {
  return CONNECT_CLASS.has(error.code);
}

/** Neither the upstream's fault nor a refusal: somebody left, or a body could no longer be had. */
const ENDED_OTHERWISE: ReadonlySet<ErrorCode> = new Set(['client_gone', 'hedge_lost', 'body_not_kept']);

/** True for what we would not do, with the upstream untouched. */
export const isRefusal = (code: ErrorCode): boolean =>
  NOT_THE_UPSTREAMS_FAULT.has(code) && !ENDED_OTHERWISE.has(code);
