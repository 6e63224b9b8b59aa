import { expect, test } from 'vitest';
import { UsualTimes } from '../../src/policies/silence/usual-times.ts';
import { silencePolicies } from '../../src/policies/silence/policy.ts';
import { UsualTime } from '../../src/policies/silence/usual-time.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sending, stubCall, stubReply, stubUpstream, through } from '../support/stub-call.ts';

const usualOf = (...samples: [times: number, ms: number][]): UsualTime => {
  const usual = new UsualTime();
  for (const [times, ms] of samples) for (let i = 0; i < times; i++) usual.record(ms, true);
  return usual;
};
/** Buckets are wide, and their upper bound counts. */
const within = (value: number | undefined, ms: number): boolean =>
  value !== undefined && value >= ms && value <= 1.4 * ms;

test('nothing is known of fewer than twenty', () => {
  expect(usualOf([19, 50]).most).toBeUndefined();
  expect(within(usualOf([20, 50]).most, 50)).toBe(true);
});

test('nine in ten, independent of the slowest', () => {
  const usual = usualOf([885, 50], [80, 2_000], [20, 15_000]);
  expect(within(usual.most, 50)).toBe(true);
});

test('the longest counts at once, and is forgotten after a thousand that are faster', () => {
  const usual = usualOf([300, 50], [1, 300_000]);
  expect(within(usual.longest, 300_000)).toBe(true);
  for (let i = 0; i < 720; i++) usual.record(50, false);
  expect(within(usual.longest, 300_000)).toBe(true);
  for (let i = 0; i < 10; i++) usual.record(50, false);
  expect(within(usual.longest, 50)).toBe(true);
  // One in a hundred is not.
  for (let i = 0; i < 5_000; i++) usual.record(i % 100 === 0 ? 8_000 : 50, false);
  expect([within(usual.longest, 8_000), new UsualTime().longest]).toEqual([true, 0]);
});

test('half of them slow: the slow ones are usual', () => {
  expect(within(usualOf([100, 50], [100, 8_000]).most, 8_000)).toBe(true);
});

test('fast answers come first and prove nothing: the first attempts count, and nine in ten of them', () => {
  const usual = new UsualTime();
  expect(Array.from({ length: 40 }, () => usual.begin()).filter(Boolean)).toHaveLength(22);
  for (let i = 0; i < 11; i++) usual.record(50, true);
  expect([usual.begin(), usual.most]).toEqual([false, undefined]);
  for (let i = 0; i < 9; i++) usual.record(8_000, true);
  expect(within(usual.most, 8_000)).toBe(true);
});

test('answers of others than the first count only once something is known', () => {
  const usual = new UsualTime();
  for (let i = 0; i < 100; i++) usual.record(50, false);
  expect(usual.most).toBeUndefined();
  for (let i = 0; i < 20; i++) usual.record(50, true);
  for (let i = 0; i < 40; i++) usual.record(8_000, false);
  expect(within(usual.most, 8_000)).toBe(true);
});

test('an attempt that fails leaves its place to another', () => {
  const usual = new UsualTime();
  for (let i = 0; i < 22; i++) usual.begin();
  usual.forget();
  expect([usual.begin(), usual.begin()]).toEqual([true, false]);
});

test('it follows a lasting change, and forgets by number', () => {
  const usual = usualOf([5_000, 50]);
  for (let i = 0; i < 200; i++) usual.record(5_000, true);
  expect(within(usual.most, 5_000)).toBe(true);
  for (let i = 0; i < 4_000; i++) usual.record(50, true);
  expect(within(usual.most, 50)).toBe(true);
});

test.each([0, 0.2, 1, 1e9])('a time of %d ms is counted', (ms) => {
  expect(Number.isFinite(usualOf([20, ms]).most)).toBe(true);
});

test('memory is bounded: shapes beyond the first 64 count as one', () => {
  const times = new UsualTimes({ answeredAt: 0, wellAt: 0 });
  const name = (n: number) => `/${String.fromCharCode(97 + (n % 26), 97 + Math.floor(n / 26))}`;
  const usual = Array.from({ length: 300 }, (_, n) => times.usualOf({ method: 'GET', target: name(n) }));
  expect(new Set(usual).size).toBe(65);
});

test('the usual time times four, and no less than some seconds', () => {
  expect(new UsualTime().expectation(600_000).patienceMs).toBe(Infinity);
  expect(usualOf([100, 50]).expectation(600_000).patienceMs).toBe(2_000);
  expect(within(usualOf([100, 15_000]).expectation(600_000).patienceMs, 60_000)).toBe(true);
});

test('only good answers count, and their time begins when the attempt leaves', async () => {
  const clock = new FakeClock();
  const times = new UsualTimes({ answeredAt: Number.NEGATIVE_INFINITY, wellAt: Number.NEGATIVE_INFINITY });
  const { send, attempts } = stubUpstream();
  const options = { attemptTimeoutMs: undefined, totalTimeoutMs: 600_000, clock };
  const { outer, inner } = silencePolicies(times, options);
  const policy = through(
    [outer, (next) => async (call, attempt) => (await clock.advance(500), next(call, attempt)), inner],
    send,
  );
  for (const status of [200, 503, 429, 404]) {
    for (let i = 0; i < 20; i++) {
      const target = `/s${'abcd'[[200, 503, 429, 404].indexOf(status)]}`;
      const pending = sending(policy)(stubCall({ target }));
      while (attempts.length === 0) await Promise.resolve();
      await clock.advance(100);
      attempts.pop()?.answer(stubReply(status));
      (await pending).body.discard();
    }
  }
  const most = (target: string) => times.usualOf({ method: 'GET', target }).most;
  expect(within(most('/sa'), 100)).toBe(true);
  expect([most('/sb'), most('/sc')]).toEqual([undefined, undefined]);
  expect(within(most('/sd'), 100)).toBe(true);
  expect([times.pulse.answeredAt, clock.pending]).toEqual([clock.now(), 0]);
});
