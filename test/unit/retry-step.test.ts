import { describe, expect, test } from 'vitest';
import type { RetryOptions } from '../../src/policies/retry/options.ts';
import { type Failed, nextStep } from '../../src/policies/retry/step.ts';

const options: Pick<RetryOptions, 'attempts' | 'backoff' | 'retryAfterMaxMs'> = {
  attempts: 3,
  retryAfterMaxMs: 30_000,
  backoff: {
    kind: 'exponential',
    baseMs: 100,
    overloadedBaseMs: 1_000,
    factor: 2,
    maxMs: 10_000,
    jitter: 'none',
    listMs: [],
  },
};
const half = () => 0.5;

function failed(changes: Partial<Failed> = {}): Failed {
  return {
    decision: { retry: 'yes', transparent: false, overloaded: false, reason: 'status_502' },
    attempt: 1,
    previousMs: 0,
    replayable: true,
    deadline: 60_000,
    now: 0,
    askedMs: undefined,
    ...changes,
  };
}

const overloaded = { retry: 'yes', transparent: false, overloaded: true, reason: 'status_503' } as const;
const transparent = {
  retry: 'yes',
  transparent: true,
  overloaded: false,
  reason: 'connection_refused',
} as const;

describe('the step after a failed attempt', () => {
  test('is a retry after the backoff of its number', () => {
    const step = { kind: 'retry', delayMs: 100, backoffMs: 100, asked: false, cost: 1, reason: 'status_502' };
    expect(nextStep(failed(), options, half)).toEqual(step);
    expect(nextStep(failed({ attempt: 2 }), options, half)).toMatchObject({ delayMs: 200 });
  });

  test('waits as long as the upstream asks, a little spread, and then costs half', () => {
    const step = nextStep(failed({ askedMs: 20_000, decision: overloaded }), options, half);
    expect(step).toMatchObject({ kind: 'retry', delayMs: 21_000, backoffMs: 1_000, asked: true, cost: 0.5 });
  });

  test('costs nothing if nothing was sent', () => {
    expect(nextStep(failed({ decision: transparent }), options, half)).toMatchObject({
      cost: 0,
      reason: 'connection_refused',
    });
  });

  test.each([
    ['attempts', failed({ attempt: 3 })],
    ['body_not_replayable', failed({ replayable: false })],
    ['retry_after_too_long', failed({ askedMs: 3_600_000, decision: overloaded })],
    ['deadline', failed({ now: 59_900 })],
  ] as const)('is the end because of %s', (because, end) => {
    expect(nextStep(end, options, half)).toEqual({ kind: 'stop', because });
  });

  test('is a retry that begins just before the deadline', () => {
    expect(nextStep(failed({ now: 59_899 }), options, half)).toMatchObject({ kind: 'retry' });
  });
});
