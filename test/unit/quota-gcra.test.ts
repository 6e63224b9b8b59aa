import { expect, test } from 'vitest';
import { CountedWindows } from '../../src/policies/quota/counted-windows.ts';
import { Gcra } from '../../src/policies/quota/gcra.ts';
import { Limiter, type Reservation } from '../../src/policies/quota/limiter.ts';
import { Throughput } from '../../src/policies/quota/throughput.ts';

const SECOND = 1000;

function allows(gcra: Gcra, now: number, units = 1): boolean {
  if (gcra.readyAt(0, units, now) > now) return false;
  gcra.take(units, now);
  return true;
}

test('one a second, five at once: the published vector', () => {
  const gcra = new Gcra({ limit: 1, periodMs: SECOND, burst: 5 });
  expect([1, 2, 3, 4, 5].map(() => allows(gcra, 0))).toEqual([true, true, true, true, true]);
  expect(gcra.readyAt(0, 1, 0)).toBe(1_000);
  for (const [at, left] of [
    [3_000, 2],
    [3_100, 1],
    [4_000, 1],
    [8_000, 4],
  ] as const) {
    expect(allows(gcra, at)).toBe(true);
    expect(Math.floor(gcra.remaining(at) + 1e-9)).toBe(left);
  }
});

test('a call behind others gets its own time', () => {
  const gcra = new Gcra({ limit: 1, periodMs: SECOND, burst: 2 });
  expect(gcra.readyAt(0, 1, 500)).toBe(500);
  expect(gcra.readyAt(1, 1, 500)).toBe(500);
  expect(gcra.readyAt(2, 1, 500)).toBe(1_500);
  expect(gcra.readyAt(10, 1, 500)).toBe(9_500);
});

test('a cost above a burst waits for a full burst, and takes no more', () => {
  const gcra = new Gcra({ limit: 10, periodMs: SECOND, burst: 10 });
  expect(allows(gcra, 0)).toBe(true);
  expect(gcra.readyAt(0, 50, 0)).toBe(100);
  expect(allows(gcra, 100, 50)).toBe(true);
  expect(gcra.remaining(100)).toBe(0);
  expect(gcra.readyAt(0, 1, 100)).toBe(200);
});

test('a rate by the second is spread, a longer window may go at once', () => {
  expect(new Gcra({ limit: 20, periodMs: SECOND, burst: undefined }).burst).toBe(1);
  expect(new Gcra({ limit: 100, periodMs: SECOND, burst: undefined }).burst).toBe(5);
  expect(new Gcra({ limit: 1000, periodMs: 86_400_000, burst: undefined }).burst).toBe(1000);
});

test('a refund gives the turn back, and never more than a burst', () => {
  const gcra = new Gcra({ limit: 1, periodMs: SECOND, burst: 1 });
  gcra.take(1, 0);
  gcra.refund(1);
  expect(gcra.readyAt(0, 1, 0)).toBe(0);
  gcra.refund(10);
  expect(gcra.remaining(0)).toBe(1);
  gcra.take(1, 0);
  expect(gcra.readyAt(0, 1, 0)).toBeGreaterThan(0);
});

test('a corrected cost leaves what the real one would have left, within the burst', () => {
  for (const [units, actual] of [
    [100, 30],
    [30, 100],
    [500, 30],
    [30, 500],
  ] as const) {
    const corrected = new Gcra({ limit: 100, periodMs: SECOND, burst: 200 });
    corrected.take(units, 0);
    corrected.correct(units, actual);
    const exact = new Gcra({ limit: 100, periodMs: SECOND, burst: 200 });
    exact.take(actual, 0);
    expect(corrected.readyAt(0, 200, 0)).toBe(exact.readyAt(0, 200, 0));
    expect(corrected.remaining(500)).toBe(exact.remaining(500));
  }
});

test('a cost that is corrected late leaves no more than a burst', () => {
  const gcra = new Gcra({ limit: 1, periodMs: SECOND, burst: 10 });
  gcra.take(10, 0);
  gcra.correct(10, 0);
  expect(gcra.remaining(60_000)).toBe(10);
  gcra.correct(0, 5);
  // Refilled long ago.
  expect(gcra.readyAt(0, 10, 60_000)).toBe(60_000);
});

test('no cost closes a window for longer than the burst takes', () => {
  const gcra = new Gcra({ limit: 20, periodMs: SECOND, burst: 40 });
  expect(allows(gcra, 0, 1e12)).toBe(true);
  expect(gcra.readyAt(0, 1, 0)).toBe(50);
  gcra.refund(1e12);
  expect(gcra.remaining(0)).toBe(40);
});

test('the rest of a spread window is known by its limit, not by its burst', () => {
  const gcra = new Gcra({ limit: 20, periodMs: SECOND, burst: undefined });
  expect(gcra.remaining(0)).toBe(20);
  for (let n = 0; n < 10; n++) gcra.take(1, n * 50);
  expect(gcra.remaining(500)).toBe(10);
  expect(gcra.remaining(1_500)).toBe(15);
  expect(gcra.remaining(2_000)).toBe(20);
});

test('with a lower limit, no more than a full burst of it stays used', () => {
  const gcra = new Gcra({ limit: 10, periodMs: 10 * SECOND, burst: undefined });
  gcra.take(10, 0);
  gcra.follow({ limit: 2, periodMs: 10 * SECOND, burst: undefined }, 1_000);
  expect([gcra.remaining(1_000), gcra.resetMs(1_000)]).toEqual([0, 10 * SECOND]);
  gcra.follow({ limit: 20, periodMs: 10 * SECOND, burst: undefined }, 6_000);
  expect([gcra.remaining(6_000), gcra.resetMs(6_000)]).toEqual([19, 500]);
});

test.each<[string, (limiter: Limiter, taken: Reservation) => void]>([
  ['was not sent', (limiter, taken) => limiter.refund(taken, 0)],
  ['has cost nothing', (limiter, taken) => limiter.correct(taken, 0, 0)],
])(
  'a call of a whole burst that %s gives back no more than that, also of a higher burst',
  (_what, giveBack) => {
    const counted = new CountedWindows();
    const windows = (limit: number) =>
      [{ name: 'daily', limit, periodMs: 86_400 * SECOND, burst: undefined, counts: 'cost' }] as const;
    const limiter = new Limiter({
      windows: windows(10),
      random: () => 0,
      served: new Throughput(),
      whole: true,
      sources: (all) => counted.follow(all, 0),
    });
    const taken = limiter.take(50, 0, false, false);
    limiter.follow(windows(100));
    limiter.take(60, 0, false, false);
    giveBack(limiter, taken);
    expect(limiter.windows.map(({ tokens }) => tokens.remaining(0))).toEqual([40]);
  },
);
