import { describe, expect, test } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { RetryBudget } from '../../src/policies/retry/budget.ts';
import { retry } from '../../src/policies/retry/retry.ts';
import { BackoffInterrupt } from '../../src/policies/retry/backoff-interrupt.ts';
import { ERROR_CODES, type ErrorCode, factsOf } from '../../src/proxy/error-table.ts';
import {
  dependsOnProgress,
  failsOver,
  gaveUpBecause,
  isConnectFailure,
  isCutShort,
  isRefusal,
  isOverdue,
  isResumable,
  isSilence,
  ProxyError,
} from '../../src/proxy/errors.ts';
import type { Send } from '../../src/proxy/pipeline.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { stubCall, through } from '../support/stub-call.ts';

const codesThat = (holds: (error: ProxyError) => boolean): ErrorCode[] =>
  ERROR_CODES.filter((code) => holds(new ProxyError(code, ''))).toSorted();

describe.each(ERROR_CODES)('%s', (code) => {
  const { status, title } = factsOf(code);
  test('is answered with an error status', () => {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
  });
  test('has a title that is a phrase', () => expect(title).toMatch(/^[A-Z][\w ]+$/));
});

test('each title belongs to one code', () =>
  expect(new Set(ERROR_CODES.map((code) => factsOf(code).title)).size).toBe(ERROR_CODES.length));

test('no connection', () =>
  expect(codesThat(isConnectFailure)).toEqual([
    'connect_timeout',
    'connection_failed',
    'connection_refused',
    'dns_error',
    'dns_timeout',
    'egress_proxy_refused',
    'tls_alert_received',
    'tls_certificate_error',
    'tls_protocol_error',
  ]));

test.each<[string, (error: ProxyError) => boolean, ErrorCode[]]>([
  ['stopped by the client or by us', isCutShort, ['client_gone', 'deadline_exceeded', 'hedge_lost']],
  [
    'before or after the first byte',
    dependsOnProgress,
    ['attempt_timeout', 'deadline_exceeded', 'first_event_timeout', 'hedge_lost'],
  ],
  ['no answer within the time of the attempt', isOverdue, ['attempt_timeout', 'first_event_timeout']],
  [
    'a silence that makes the connection suspect',
    isSilence,
    ['attempt_timeout', 'deadline_exceeded', 'first_event_timeout', 'idle_timeout'],
  ],
  [
    'a break that another connection repairs',
    isResumable,
    ['connection_terminated', 'idle_timeout', 'response_incomplete'],
  ],
  [
    'refused, and a fallback can answer',
    (error) => isRefusal(error.code) && failsOver(error),
    ['auth_failed', 'breaker_open', 'concurrency_limit', 'no_target', 'quota'],
  ],
  [
    'neither a mistake nor a refusal',
    ({ code }) => factsOf(code).blame === 'none',
    ['body_not_buffered', 'client_gone', 'hedge_lost'],
  ],
])('%s', (_, holds, codes) => expect(codesThat(holds)).toEqual(codes));

const options = {
  attempts: 3,
  statuses: new Set<number>(),
  notProcessed: new Set<number>(),
  grpcStatuses: new Set<never>(),
  idempotencyKey: 'none' as const,
  safe: false,
  idempotencyHeader: 'idempotency-key',
  limitClientRetries: true,
  retryAfterMaxMs: 1_000,
  vetoHeaders: [],
  backoff: {
    kind: 'constant' as const,
    baseMs: 0,
    overloadedBaseMs: 0,
    factor: 1,
    maxMs: 0,
    jitter: 'none' as const,
    listMs: [],
  },
};

test.each<[ErrorCode, string]>([
  ['breaker_open', 'breaker'],
  ['concurrency_limit', 'concurrency'],
  ['quota', 'quota'],
  ['signature_age', 'signature_age'],
  ['draining', 'draining'],
  ['body_not_buffered', 'body_not_replayable'],
  ['address_prohibited', 'refused'],
  ['out_of_sockets', 'refused'],
])('a retry that ends with %s gives up because of %s', async (code, because) => {
  const outcomes: ErrorCode[] = ['connection_terminated', code];
  const send: Send = () => Promise.reject(new ProxyError(outcomes.shift() ?? 'quota', 'it failed'));
  const clock = new FakeClock();
  const policy = retry(options, {
    clock,
    random: () => 0,
    budget: new RetryBudget({ cap: 10, ratio: 1, refillPerSecond: 0 }),
    interrupt: new BackoffInterrupt(new Abort(), () => false),
    memory: new ByteBudget(0),
  });
  const call = stubCall();
  const failed = through(policy, send)(call, call.attempt).catch((error: unknown) => error);
  await clock.untilAsleep();
  await clock.advance(0);
  expect(await failed).toMatchObject({ code: 'connection_terminated' });
  expect(call.entries.at(-1)).toEqual(['retry_denied', because]);
  expect(gaveUpBecause({ code })).toBe(because);
});
