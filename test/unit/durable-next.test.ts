import { describe, expect, test } from 'vitest';
import { decide } from '../../src/durable/decision.ts';
import { refusalOf } from '../../src/durable/refusal.ts';
import type { AttemptResult, Classification } from '../../src/durable/route.ts';
import { ProxyError } from '../../src/proxy/errors.ts';

const options = { retentionMs: 1_000, random: () => 0.5 };

const resultOf = (outcome: AttemptResult['outcome']): AttemptResult => ({
  outcome,
  method: 'POST',
  repeatable: true,
  attempt: 1,
  previousMs: 0,
  now: 10_000,
  deadlineAt: 100_000,
});
const failed = resultOf({
  kind: 'error',
  error: new ProxyError('connection_terminated', 'cut', { sent: 'sent_unknown' }),
});
const replied = (status: number) => resultOf({ kind: 'reply', reply: { status } as never });
const answered = replied(503);

const retry = (asked: boolean): Classification => ({
  kind: 'retry',
  delayMs: 500.2,
  backoffMs: 400,
  asked,
  cost: 1,
  reason: 'status_503',
});

describe('the decision after an attempt', () => {
  test('a success ends the request, which is retained', () => {
    expect(decide(answered, { kind: 'success' }, options).next).toEqual({
      kind: 'end',
      status: 'succeeded',
      purgeAt: 11_000,
    });
  });

  test.each([
    [false, 'backoff'],
    [true, 'retry_after'],
  ] as const)('a retry (asked for: %s) counts, and its state is stored', (asked, reason) => {
    expect(decide(answered, retry(asked), options)).toEqual({
      next: { kind: 'wait', dueAt: 10_501, reason, counts: true },
      waitMs: 500.2,
      reason,
      runnerState: { previousMs: 400, cost: 1 },
    });
  });

  test.each([
    ['attempts', answered, 'exhausted'],
    ['deadline', answered, 'deadline'],
    ['not_retryable', answered, 'not_retryable'],
    ['permanent', answered, 'not_retryable'],
    ['veto', answered, 'not_retryable'],
    ['not_idempotent', answered, 'unknown_outcome'],
    ['not_idempotent', failed, 'unknown_outcome'],
    ['not_retryable', failed, 'unknown_outcome'],
    ['not_retryable', replied(402), 'not_retryable'],
    ['not_retryable', { ...replied(402), repeatable: false }, 'not_retryable'],
    // A reply about an internal error does not exclude that the request was processed.
    ['not_retryable', { ...replied(500), repeatable: false }, 'unknown_outcome'],
    ['not_retryable', { ...replied(501), repeatable: false }, 'not_retryable'],
    ['not_retryable', { ...replied(408), repeatable: false }, 'unknown_outcome'],
  ] as const)('%s ends it as %#', (because, facts, code) => {
    expect(decide(facts, { kind: 'stop', because }, options).next).toMatchObject({
      kind: 'end',
      status: 'failed',
      error: { code },
    });
  });
});

describe('a deferral', () => {
  const refused = (code: ProxyError['code'], retryAfterMs?: number) => {
    const error = new ProxyError(code, 'why', { retryAfterMs });
    const refusal = refusalOf(error) ?? expect.unreachable();
    return decide(resultOf({ kind: 'error', error }), { kind: 'refused', error, refusal }, options).next;
  };

  test('counts no attempt, has a reason, and returns a little later than asked', () => {
    expect(refused('breaker_open', 4_000)).toEqual({
      kind: 'wait',
      dueAt: 15_000,
      reason: 'breaker_open',
      counts: false,
    });
    expect(refused('quota', 2_000)).toMatchObject({ dueAt: 12_500, reason: 'quota' });
    expect(refused('concurrency_limit')).toMatchObject({ dueAt: 11_250, reason: 'concurrency' });
  });

  test('is at least half a second, except at a shutdown', () => {
    expect(refused('breaker_open', 0)).toMatchObject({ dueAt: 10_625 });
    expect(refused('draining')).toMatchObject({ dueAt: 10_000 });
  });

  test('that needs an operator returns after a minute with the obstacle', () => {
    expect(refused('address_prohibited')).toEqual({
      kind: 'wait',
      dueAt: 85_000,
      reason: 'address',
      counts: false,
    });
  });

  test('that would repeat for ever ends the request with the reason', () => {
    expect(refused('callback_forbidden')).toMatchObject({
      kind: 'end',
      status: 'failed',
      error: { code: 'not_retryable', title: 'Not sent: why' },
    });
  });

  test('lasts at most until the deadline, when the request is checked once more', () => {
    expect(refused('breaker_open', 1_000_000)).toMatchObject({ dueAt: 100_000 });
  });
});
