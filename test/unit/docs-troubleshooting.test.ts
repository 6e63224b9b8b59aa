import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { JOB_ERROR_CODES, WAIT_REASONS } from '../../src/durable/job.ts';
import type { ErrorCode } from '../../src/proxy/errors.ts';
import type { RetryDenial } from '../../src/proxy/events.ts';

/** The names in the first column of the tables of a chapter. */
function listed(heading: string): string[] {
  const [, rest = ''] = readFileSync('docs/troubleshooting.md', 'utf8').split(`\n## ${heading}\n`);
  const [chapter = ''] = rest.split('\n## ');
  const cells = [...chapter.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell = '']) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)).sort();
}

/** Each code once; the compiler asks for a new one here, and the test then asks for its row. */
const CODES: Readonly<Record<ErrorCode, true>> = {
  client_gone: true,
  bad_request: true,
  too_many_fields: true,
  request_timeout: true,
  route_not_found: true,
  idempotency_key_required: true,
  idempotency_key_reused: true,
  idempotency_key_in_use: true,
  egress_denied: true,
  client_forbidden: true,
  not_cached: true,
  breaker_open: true,
  concurrency_limit: true,
  quota: true,
  signature_age: true,
  draining: true,
  proxy_loop: true,
  address_prohibited: true,
  out_of_sockets: true,
  body_not_kept: true,
  payload_too_large: true,
  callback_forbidden: true,
  backlog_full: true,
  store_unavailable: true,
  hedge_lost: true,
  attempt_timeout: true,
  deadline_exceeded: true,
  idle_timeout: true,
  dns_error: true,
  dns_timeout: true,
  connect_timeout: true,
  connection_refused: true,
  connection_failed: true,
  tls_certificate_error: true,
  tls_protocol_error: true,
  tls_alert_received: true,
  egress_proxy_refused: true,
  connection_terminated: true,
  protocol_error: true,
  response_incomplete: true,
};

const REASONS: Readonly<Record<RetryDenial, true>> = {
  attempts: true,
  not_idempotent: true,
  body_not_replayable: true,
  veto: true,
  permanent: true,
  retry_after_too_long: true,
  signature_age: true,
  deadline: true,
  breaker: true,
  concurrency: true,
  quota: true,
  draining: true,
  budget: true,
  client_gone: true,
};

test('each problem code has one row', () => {
  expect(listed('Problem codes')).toEqual(Object.keys(CODES).sort());
});

test('each gave-up reason has one row', () => {
  expect(listed('Gave-up reasons')).toEqual(Object.keys(REASONS).sort());
});

test('each state of a durable request has one row', () => {
  expect(listed('Durable requests')).toEqual([...WAIT_REASONS, ...JOB_ERROR_CODES].sort());
});

test('each alert has a runbook', () => {
  const alerts = [...readFileSync('monitoring/prometheus-rules.yaml', 'utf8').matchAll(/- alert: (\w+)/g)];
  const operations = readFileSync('docs/operations.md', 'utf8');
  const runbooks = [...operations.matchAll(/^### (Breakwater\w+)$/gm)].map(([, name]) => name);
  expect(runbooks).toEqual(alerts.map(([, name]) => name));
});
