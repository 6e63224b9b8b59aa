import type { RawHeaders } from '../http/headers.ts';
import { proxyStatus } from '../http/proxy-status.ts';
import type { ErrorCode, ProxyError } from '../proxy/errors.ts';
import type { CallRecord } from '../telemetry/call-record.ts';

/** What a client is told when the proxy answers itself: status, title and the error type of RFC 9209 §2.3. */
interface Answer {
  readonly status: number;
  readonly title: string;
  readonly proxyStatus: string;
}

const ANSWERS: Readonly<Record<ErrorCode, Answer>> = {
  // Nobody reads this one: the client has gone. 499 is what nginx made customary for the log.
  client_gone: { status: 499, title: 'Client closed the request', proxyStatus: 'http_request_error' },
  bad_request: { status: 400, title: 'Bad request', proxyStatus: 'http_request_error' },
  too_many_fields: { status: 431, title: 'Too many header fields', proxyStatus: 'http_request_error' },
  request_timeout: { status: 408, title: 'Request body timed out', proxyStatus: 'http_request_error' },
  route_not_found: { status: 404, title: 'No route', proxyStatus: 'destination_not_found' },
  idempotency_key_required: {
    status: 400,
    title: 'Idempotency key required',
    proxyStatus: 'http_request_error',
  },
  egress_denied: { status: 403, title: 'Not allowed', proxyStatus: 'http_request_denied' },
  client_forbidden: { status: 403, title: 'Client not allowed', proxyStatus: 'http_request_denied' },
  not_cached: { status: 504, title: 'Not in the cache', proxyStatus: 'http_request_error' },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency key used for another request',
    proxyStatus: 'http_request_error',
  },
  idempotency_key_in_use: {
    status: 409,
    title: 'First request with this idempotency key still runs',
    proxyStatus: 'http_request_error',
  },
  breaker_open: { status: 503, title: 'Circuit breaker open', proxyStatus: 'destination_unavailable' },
  concurrency_limit: {
    status: 503,
    title: 'Concurrency limit reached',
    proxyStatus: 'connection_limit_reached',
  },
  quota: { status: 429, title: 'Quota used up', proxyStatus: 'http_request_error' },
  signature_age: {
    status: 503,
    title: 'Signature too old to be sent',
    proxyStatus: 'proxy_internal_response',
  },
  draining: { status: 503, title: 'Shutting down', proxyStatus: 'destination_unavailable' },
  proxy_loop: { status: 502, title: 'Proxy loop', proxyStatus: 'proxy_loop_detected' },
  address_prohibited: {
    status: 502,
    title: 'Upstream address prohibited',
    proxyStatus: 'destination_ip_prohibited',
  },
  out_of_sockets: { status: 503, title: 'Proxy out of sockets', proxyStatus: 'proxy_internal_error' },
  body_not_kept: {
    status: 502,
    title: 'Request body not kept for a retry',
    proxyStatus: 'proxy_internal_response',
  },
  payload_too_large: { status: 413, title: 'Request body too large', proxyStatus: 'http_request_error' },
  callback_forbidden: { status: 403, title: 'Callback not allowed', proxyStatus: 'http_request_error' },
  backlog_full: { status: 429, title: 'Backlog full', proxyStatus: 'http_request_error' },
  store_unavailable: { status: 503, title: 'Store unavailable', proxyStatus: 'proxy_internal_error' },
  // Never an answer: the other attempt's is.
  hedge_lost: { status: 502, title: 'Overtaken', proxyStatus: 'proxy_internal_response' },
  attempt_timeout: { status: 504, title: 'Upstream timed out', proxyStatus: 'http_response_timeout' },
  deadline_exceeded: { status: 504, title: 'Deadline exceeded', proxyStatus: 'http_response_timeout' },
  idle_timeout: { status: 502, title: 'Upstream stalled', proxyStatus: 'connection_read_timeout' },
  dns_error: { status: 502, title: 'Upstream name not resolved', proxyStatus: 'dns_error' },
  dns_timeout: { status: 504, title: 'Upstream name not resolved in time', proxyStatus: 'dns_timeout' },
  connect_timeout: { status: 504, title: 'Upstream connection timed out', proxyStatus: 'connection_timeout' },
  connection_refused: {
    status: 502,
    title: 'Upstream refused the connection',
    proxyStatus: 'connection_refused',
  },
  connection_failed: {
    status: 502,
    title: 'Upstream unreachable',
    proxyStatus: 'destination_ip_unroutable',
  },
  tls_certificate_error: {
    status: 502,
    title: 'Upstream certificate not accepted',
    proxyStatus: 'tls_certificate_error',
  },
  tls_protocol_error: { status: 502, title: 'TLS failed', proxyStatus: 'tls_protocol_error' },
  tls_alert_received: { status: 502, title: 'Upstream refused TLS', proxyStatus: 'tls_alert_received' },
  egress_proxy_refused: {
    status: 502,
    title: 'Egress proxy refused the tunnel',
    proxyStatus: 'destination_unavailable',
  },
  connection_terminated: {
    status: 502,
    title: 'Upstream closed the connection',
    proxyStatus: 'connection_terminated',
  },
  protocol_error: {
    status: 502,
    title: 'Upstream sent an invalid response',
    proxyStatus: 'http_protocol_error',
  },
  response_incomplete: {
    status: 502,
    title: 'Upstream cut its response short',
    proxyStatus: 'http_response_incomplete',
  },
};

const BUG: Answer = { status: 500, title: 'Internal error', proxyStatus: 'proxy_internal_error' };

/** An answer of our own, ready to be written. */
export interface Problem {
  readonly status: number;
  /** What goes out as the status: another one only to gRPC. */
  readonly sentStatus: number;
  readonly headers: RawHeaders;
  /** RFC 9457 problem details, with the members of ours that a caller may want to read. */
  readonly body: Buffer | undefined;
}

/** The one place where an error becomes an answer; undefined means a bug of ours. */
export function problemOf(error: ProxyError | undefined, { info, attempts, gaveUp }: CallRecord): Problem {
  const answer = error === undefined ? BUG : ANSWERS[error.code];
  const detail = error?.message ?? 'the proxy failed; its log says more';
  const retryAfter = retryAfterSeconds(error);
  const code = error?.code ?? 'internal_error';
  const body = {
    type: 'about:blank',
    title: answer.title,
    status: answer.status,
    detail,
    code,
    // Where SDKs look. Stripe's takes any JSON without this member for a success, whatever the status.
    error: { type: 'api_error', code, message: detail },
    upstream: info.upstream || undefined,
    route: info.route || undefined,
    attempts,
    gave_up: gaveUp,
    retry_after: retryAfter,
  };
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  const headers = ['content-type', 'application/problem+json', 'content-length', String(bytes.length)];
  if (retryAfter !== undefined) headers.push('retry-after', String(retryAfter));
  const story = gaveUp === undefined ? `attempts=${attempts}` : `attempts=${attempts}; gave_up=${gaveUp}`;
  headers.push('proxy-status', proxyStatus({ error: answer.proxyStatus, details: `${detail}; ${story}` }));
  return { status: answer.status, sentStatus: answer.status, headers, body: bytes };
}

/** What is said of a reply that another than the upstream made. */
export function fallbackStatus({ attempts, fallback, gaveUp }: CallRecord): string {
  const told = [`fallback=${fallback?.to ?? 'static'}`, `attempts=${attempts}`];
  if (gaveUp !== undefined) told.push(`gave_up=${gaveUp}`);
  return proxyStatus({ details: told.join('; ') });
}

/** Whole seconds, as HTTP wants them, and never zero: nobody should come back at once. */
function retryAfterSeconds(error: ProxyError | undefined): number | undefined {
  if (error?.retryAfterMs === undefined) return undefined;
  return Math.max(1, Math.ceil(error.retryAfterMs / 1000));
}
