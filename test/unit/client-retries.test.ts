import { expect, test } from 'vitest';
import { addVeto, clientRetries, isFinal } from '../../src/server/client-retries.ts';

test.each([
  [[], 0],
  [['X-Stainless-Retry-Count', '0'], 0],
  [['X-Stainless-Retry-Count', '2'], 2],
  [['amz-sdk-request', 'attempt=1; max=3'], 0],
  [['amz-sdk-request', 'ttl=20261122T180000Z; attempt=3; max=3'], 2],
  [['amz-sdk-request', 'max=3'], 0],
  [['x-envoy-attempt-count', '1'], 0],
  [['x-envoy-attempt-count', '2'], 1],
  [['grpc-previous-rpc-attempts', '1'], 1],
  [['x-stainless-retry-count', '1', 'x-envoy-attempt-count', '4'], 3],
  [['x-stainless-retry-count', '-1'], 0],
  [['x-stainless-retry-count', 'NaN'], 0],
  [['x-stainless-retry-count', '1e9'], 0],
  [['x-stainless-retry-count', ''], 0],
  [['x-stainless-retry-counts', '3'], 0],
])('%j: %i', (headers, retries) => expect(clientRetries(headers)).toBe(retries));

test('decisions that need the client’s knowledge are left to the client', () => {
  for (const reason of ['not_idempotent', 'body_not_replayable', 'draining'] as const)
    expect([reason, isFinal(reason)]).toEqual([reason, false]);
  for (const reason of ['attempts', 'veto', 'deadline', 'breaker', 'concurrency', 'budget'] as const)
    expect([reason, isFinal(reason)]).toEqual([reason, true]);
  expect([429, 503].map((status) => isFinal('retry_after_too_long', undefined, status))).toEqual([
    true,
    false,
  ]);
  expect([isFinal(undefined), isFinal(undefined, 'connection_terminated')]).toEqual([false, false]);
  expect([isFinal(undefined, 'breaker_open'), isFinal(undefined, 'deadline_exceeded')]).toEqual([true, true]);
});

test('a veto replaces the upstream’s field', () => {
  const headers = ['X-Should-Retry', 'true', 'a', 'b', 'x-should-retry', 'false'];
  addVeto(headers, ['x-should-retry', 'stripe-should-retry']);
  expect(headers).toEqual(['a', 'b', 'x-should-retry', 'false', 'stripe-should-retry', 'false']);
});
