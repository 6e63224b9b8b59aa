import { expect, test } from 'vitest';
import { Freshness } from '../../src/policies/response-cache/freshness.ts';
import type { Key } from '../../src/policies/response-cache/key.ts';
import { CacheStore, type Entry, type FetchResult } from '../../src/policies/response-cache/store.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { stubCall } from '../support/stub-call.ts';

const OPTIONS = {
  ttlMs: 60_000,
  override: false,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  vary: [],
  maxReplyBytes: 1_000,
  memoryBytes: 100_000,
};

const keyOf = (id: string, target = id): Key => ({ id, target, callerKnown: false });
const K = keyOf('k');

function entry(size: number, vary: Entry['vary'] = []): Entry {
  const arrival = { now: 0, wallMs: 0, callerKnown: false };
  const freshness = new Freshness({ status: 200, headers: [] }, OPTIONS, arrival);
  const chunks = [new Uint8Array(size)];
  return {
    status: 200,
    statusText: '',
    headers: [],
    codings: [],
    chunks,
    trailers: [],
    freshness,
    encodings: undefined,
    vary,
  };
}

test('the bound counts bodies, keys and the fields of Vary; a reply with the same fields replaces the other', () => {
  const store = new CacheStore(100_000);
  store.put(K, entry(100), 0);
  const one = store.bytes;
  store.put(K, entry(100), 0);
  expect(store.bytes).toBe(one);
  store.put(keyOf('k'.repeat(5_001)), entry(100), 0);
  expect(store.bytes).toBe(2 * one + 5_000);
  store.put(keyOf('v'), entry(100, [['accept', 'x'.repeat(4_994)]]), 0);
  expect(store.bytes).toBe(3 * one + 10_000);
  store.put(keyOf('large'), entry(100_000), 0);
  expect(store.find(keyOf('large'), stubCall())).toBeUndefined();
});

test('a fetch that has ended does not wake calls that wait for the next', async () => {
  const store = new CacheStore(1_000);
  const clock = new FakeClock();
  const first = store.beginFetch(K);
  first?.('left');
  const second = store.beginFetch(K);
  const results: FetchResult[] = [];
  const waiting = store
    .untilFetched(K, stubCall({ deadline: 1_000 }).attempt, clock)
    .then((result) => results.push(result));
  first?.('failed');
  expect(store.beginFetch(K)).toBeUndefined();
  second?.('cached');
  await waiting;
  expect(results).toEqual(['cached']);
  expect(clock.pending).toBe(0);
});

test('a call that was aborted does not wait, and an abort ends a wait', async () => {
  const store = new CacheStore(1_000);
  const clock = new FakeClock();
  const fetched = store.beginFetch(K);
  const signal = new Abort();
  const waiting = store.untilFetched(K, stubCall({ deadline: 1_000, signal }).attempt, clock);
  signal.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  await expect(store.untilFetched(K, stubCall({ deadline: 1_000, signal }).attempt, clock)).rejects.toThrow(
    'gone',
  );
  expect([clock.pending, signal.listenerCount]).toEqual([0, 0]);
  fetched?.('cached');
});
