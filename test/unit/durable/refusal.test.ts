import { expect, test } from 'vitest';
import { refusalOf } from '../../../src/durable/refusal.ts';
import { ERROR_CODES } from '../../../src/proxy/error-table.ts';
import { blamesUpstream } from '../../../src/proxy/errors.ts';

test.each(ERROR_CODES)('%s counts as an attempt exactly if it says something about the upstream', (code) => {
  expect(refusalOf({ code }) === undefined).toBe(blamesUpstream({ code }));
});

test('a callback does not wait for a forbidden address', () => {
  const never = { kind: 'end', code: 'not_retryable' };
  expect(refusalOf({ code: 'address_prohibited' }, { kind: 'callback' })).toEqual(never);
  expect(refusalOf({ code: 'address_prohibited' })).toMatchObject({ kind: 'wait' });
  expect(refusalOf({ code: 'quota' }, { kind: 'callback' })).toMatchObject({ kind: 'wait' });
});

test('a request waits only for conditions that can end', () => {
  const waiting = ERROR_CODES.flatMap((code) => {
    const refusal = refusalOf({ code });
    return refusal?.kind === 'wait' ? [[code, refusal.reason]] : [];
  });
  expect(Object.fromEntries(waiting)).toMatchObject({
    idempotency_key_in_use: 'concurrency',
    breaker_open: 'breaker_open',
    concurrency_limit: 'concurrency',
    quota: 'quota',
    signature_age: 'concurrency',
    out_of_sockets: 'concurrency',
    draining: 'concurrency',
    address_prohibited: 'address',
    backlog_full: 'concurrency',
    store_unavailable: 'concurrency',
    hedge_lost: 'concurrency',
  });
  const never = { kind: 'end', code: 'not_retryable' };
  for (const code of ['bad_request', 'egress_denied', 'proxy_loop', 'payload_too_large'] as const)
    expect(refusalOf({ code })).toEqual(never);
});
