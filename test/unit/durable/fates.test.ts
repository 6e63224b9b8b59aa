import { expect, test } from 'vitest';
import { FATES, type Fate, refusalOf } from '../../../src/durable/fates.ts';
import { WAIT_REASONS } from '../../../src/durable/job.ts';
import { blamesUpstream, type ErrorCode, ProxyError } from '../../../src/proxy/errors.ts';

const rows = Object.entries(FATES) as [ErrorCode, Fate][];

test.each(rows)('%s counts as an attempt exactly if it says something about the upstream', (code, fate) => {
  expect(fate.kind === 'attempt').toBe(blamesUpstream(new ProxyError(code, '')));
  expect(refusalOf({ code })).toEqual(fate.kind === 'attempt' ? undefined : fate);
});

test('each wait has a reason that the interface knows', () => {
  const reasons = rows.flatMap(([, fate]) => (fate.kind === 'wait' ? [fate.reason] : []));
  expect(WAIT_REASONS).toEqual(expect.arrayContaining(reasons));
});

test('a request waits only for what can pass', () => {
  const waiting = rows.flatMap(([code, fate]) => (fate.kind === 'wait' ? [[code, fate.reason]] : []));
  expect(Object.fromEntries(waiting)).toEqual({
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
});
