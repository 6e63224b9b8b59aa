import { describe, expect, test } from 'vitest';
import { headerOf } from '../../src/http/headers.ts';
import { type ErrorCode, ProxyError } from '../../src/proxy/errors.ts';
import { problemOf } from '../../src/server/problem.ts';
import { CallRecord } from '../../src/telemetry/call-record.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { FakeClock } from '../support/fake-clock.ts';

function recordOf(): CallRecord {
  const info = { id: '1', upstream: 'api', route: 'default', method: 'GET', target: '/' };
  return new CallRecord(info, new FakeClock(), combine());
}

/** Status and RFC 9209 error type of replies that the proxy makes. Not every code need be here. */
const ANSWERS: Readonly<Partial<Record<ErrorCode, readonly [status: number, proxyStatus: string]>>> = {
  client_gone: [499, 'http_request_error'],
  not_cached: [504, 'http_request_error'],
  bad_request: [400, 'http_request_error'],
  too_many_fields: [431, 'http_request_error'],
  request_timeout: [408, 'http_request_error'],
  route_not_found: [404, 'destination_not_found'],
  idempotency_key_in_use: [409, 'http_request_error'],
  idempotency_key_reused: [422, 'http_request_error'],
  invalid_tenant: [400, 'http_request_error'],
  idempotency_key_required: [400, 'http_request_error'],
  egress_denied: [403, 'http_request_denied'],
  client_forbidden: [403, 'http_request_denied'],
  breaker_open: [503, 'destination_unavailable'],
  concurrency_limit: [503, 'connection_limit_reached'],
  tenants_busy: [503, 'connection_limit_reached'],
  quota: [429, 'http_request_error'],
  signature_age: [503, 'proxy_internal_response'],
  draining: [503, 'destination_unavailable'],
  proxy_loop: [502, 'proxy_loop_detected'],
  address_prohibited: [502, 'destination_ip_prohibited'],
  out_of_sockets: [503, 'proxy_internal_error'],
  body_not_buffered: [502, 'proxy_internal_response'],
  payload_too_large: [413, 'http_request_error'],
  callback_forbidden: [403, 'http_request_error'],
  backlog_full: [429, 'http_request_error'],
  store_unavailable: [503, 'proxy_internal_error'],
  hedge_lost: [502, 'proxy_internal_response'],
  attempt_timeout: [504, 'http_response_timeout'],
  deadline_exceeded: [504, 'http_response_timeout'],
  idle_timeout: [502, 'connection_read_timeout'],
  dns_error: [502, 'dns_error'],
  dns_timeout: [504, 'dns_timeout'],
  connect_timeout: [504, 'connection_timeout'],
  connection_refused: [502, 'connection_refused'],
  connection_failed: [502, 'destination_ip_unroutable'],
  tls_certificate_error: [502, 'tls_certificate_error'],
  tls_protocol_error: [502, 'tls_protocol_error'],
  tls_alert_received: [502, 'tls_alert_received'],
  egress_proxy_refused: [502, 'destination_unavailable'],
  connection_terminated: [502, 'connection_terminated'],
  protocol_error: [502, 'http_protocol_error'],
  response_incomplete: [502, 'http_response_incomplete'],
};

describe('each code has its reply', () => {
  test.each(Object.entries(ANSWERS))('%s', (code, [status, proxyStatus]) => {
    const problem = problemOf(new ProxyError(code as ErrorCode, 'why'), recordOf());
    expect(problem.status).toBe(status);
    expect(JSON.parse(String(problem.body))).toMatchObject({ status, code, detail: 'why' });
    expect(headerOf(problem.headers, 'proxy-status')).toBe(
      `breakwater; error=${proxyStatus}; details="why; attempts=0"`,
    );
  });
});

test('the content of body and headers', () => {
  const record = recordOf();
  record.attemptStarted(1);
  record.note('retry_denied', 'budget');
  const problem = problemOf(new ProxyError('breaker_open', 'it is open', { retryAfterMs: 1_200 }), record);
  expect(JSON.parse(String(problem.body))).toEqual({
    type: 'about:blank',
    instance: 'urn:breakwater:request:1',
    title: 'Circuit breaker open',
    status: 503,
    detail: 'it is open',
    code: 'breaker_open',
    error: { type: 'api_error', code: 'breaker_open', message: 'it is open' },
    upstream: 'api',
    route: 'default',
    attempts: 1,
    gave_up: 'budget',
    retry_after: 2,
  });
  expect(problem.headers).toEqual([
    'content-type',
    'application/problem+json',
    'content-length',
    String(problem.body?.length ?? 0),
    'retry-after',
    '2',
    'proxy-status',
    'breakwater; error=destination_unavailable; details="it is open; attempts=1; gave_up=budget"',
  ]);
});

test.each([
  [0, '1'],
  [1, '1'],
  [1_000, '1'],
  [1_001, '2'],
])('Retry-After in whole seconds, rounded up, at least 1: %i ms', (retryAfterMs, seconds) => {
  const { headers } = problemOf(new ProxyError('breaker_open', '', { retryAfterMs }), recordOf());
  expect(headerOf(headers, 'retry-after')).toBe(seconds);
});

test('a bug exposes no details', () => {
  const problem = problemOf(undefined, recordOf());
  expect(problem.status).toBe(500);
  expect(JSON.parse(String(problem.body))).toMatchObject({ code: 'internal_error', attempts: 0 });
  expect(headerOf(problem.headers, 'proxy-status')).toContain('error=proxy_internal_error');
});
