import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Limiter } from '../../src/policies/quota/limiter.ts';
import { Gcra } from '../../src/policies/quota/gcra.ts';
import type { QuotaWindow } from '../../src/policies/quota/options.ts';
import { Throughput } from '../../src/policies/quota/throughput.ts';
import { WindowMeter } from '../../src/policies/quota/window-meter.ts';

const limiterOf = (windows: readonly QuotaWindow[]) =>
  new Limiter({ windows, random: () => 0.5, served: new Throughput(), whole: true });

const window = fc.record({
  limit: fc.integer({ min: 1, max: 200 }),
  periodMs: fc.integer({ min: 1, max: 100_000 }),
  burst: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
});

/** Units and the time since those before. */
const arrivals = fc.array(
  fc.record({ afterMs: fc.integer({ min: 0, max: 5_000 }), units: fc.integer({ min: 1, max: 5 }) }),
  { maxLength: 200, size: 'max' },
);

/** When each unit passed, if every arrival waits for as long as `readyAt` says. */
function passes(gcra: Gcra, list: readonly { afterMs: number; units: number }[]): number[] {
  const at: number[] = [];
  let now = 0;
  for (const { afterMs, units } of list) {
    now = Math.max(now + afterMs, gcra.readyAt(0, units, now + afterMs));
    gcra.take(units, now);
    // A cost above a burst counts as a burst.
    for (let unit = 0; unit < Math.min(units, gcra.burst); unit++) at.push(now);
  }
  return at;
}

test('in any interval at most the burst and the refill of the rate pass', () => {
  fc.assert(
    fc.property(window, arrivals, (options, list) => {
      const gcra = new Gcra(options);
      const { burst } = gcra;
      const spread = options.burst === undefined && options.periodMs <= 1_000;
      const perMs = (spread ? options.limit - gcra.burst + 1 : options.limit) / options.periodMs;
      const at = passes(gcra, list);
      const over = at.filter((to, last) =>
        at.some((from, first) => first <= last && last - first + 1 > burst + (to - from) * perMs + 1e-6),
      );
      expect(over).toEqual([]);
    }),
    { numRuns: 50 },
  );
});

test('a rate by the second: no second sees more than it says', () => {
  const single = arrivals.map((list) => list.map(({ afterMs }) => ({ afterMs: afterMs % 5, units: 1 })));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 150 }), single, (limit, list) => {
      const at = passes(new Gcra({ limit, periodMs: 1_000, burst: undefined }), list);
      const most = Math.max(
        0,
        ...at.map((from) => at.filter((time) => time >= from && time < from + 1_000 - 1e-6).length),
      );
      expect(most).toBeLessThanOrEqual(limit);
    }),
    { numRuns: 50 },
  );
});

test('tokens that are taken and refunded at once have no effect', () => {
  fc.assert(
    fc.property(
      window,
      arrivals,
      fc.array(fc.boolean(), { maxLength: 200, size: 'max' }),
      (options, list, back) => {
        const [gcra, plain] = [new Gcra(options), new Gcra(options)];
        let now = 0;
        list.forEach(({ afterMs, units }, index) => {
          now += afterMs;
          if (back[index] === true) {
            gcra.take(units, now);
            gcra.refund(units);
          } else {
            gcra.take(units, now);
            plain.take(units, now);
          }
          expect(gcra.readyAt(0, 1, now)).toBeCloseTo(plain.readyAt(0, 1, now), 3);
        });
      },
    ),
  );
});

test('an estimate never rises between two resets, with any replies in any order', () => {
  const readings = fc.record({
    remaining: fc.integer({ min: 0, max: 100 }),
    resetMs: fc.integer({ min: 100_000, max: 200_000 }),
    startedAt: fc.integer({ min: 0, max: 1_000 }),
    unseen: fc.integer({ min: 0, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(readings, { minLength: 1, maxLength: 50, size: 'max' }), (list) => {
      const about = { bucket: 'b', policy: '', resource: '', unit: 'calls' as const, continuous: false };
      const meter = new WindowMeter(about);
      let before = Infinity;
      list.forEach(({ remaining, resetMs, startedAt, unseen }, index) => {
        const now = 1_000 + index;
        meter.learn(
          { ...about, limit: 100, remaining, resetMs, windowMs: undefined },
          { startedAt, unseen, unanswered: unseen },
          now,
        );
        const left = meter.remaining(now) ?? Infinity;
        expect(left).toBeLessThanOrEqual(Math.min(before, Math.max(0, remaining - unseen)));
        before = left;
      });
    }),
  );
});

test('with any replies, every call has a time to leave, and the first leaves within a day', () => {
  const said = fc.record({
    limit: fc.option(fc.nat(100), { nil: undefined }),
    remaining: fc.option(fc.nat(100), { nil: undefined }),
    resetMs: fc.option(fc.nat(31 * 86_400_000), { nil: undefined }),
    windowMs: fc.option(fc.integer({ min: 1, max: 86_400_000 }), { nil: undefined }),
    continuous: fc.boolean(),
    policy: fc.constantFrom('a', 'b'),
    afterMs: fc.nat(100_000),
    takes: fc.nat(5),
    unseen: fc.nat(200),
  });
  fc.assert(
    fc.property(fc.array(said, { maxLength: 50, size: 'max' }), (list) => {
      const limiter = limiterOf([]);
      let now = 0;
      for (const { afterMs, takes, unseen, ...reading } of list) {
        const startedAt = now;
        now += afterMs;
        const about = { bucket: 'b', resource: '', unit: 'calls' as const };
        const continuous =
          reading.continuous &&
          reading.limit !== undefined &&
          reading.limit > 0 &&
          reading.windowMs !== undefined;
        limiter.learn({ ...about, ...reading, continuous }, { startedAt, unseen, cost: 1 }, now);
        for (let i = 0; i < takes; i++) limiter.take(1, now, false, false);
        const at = limiter.readyAt(0, 1, now);
        expect(at).toBeGreaterThanOrEqual(now);
        expect(Number.isFinite(limiter.readyAt(1_000, 1, now))).toBe(true);
      }
      // Debts of what was let go too much may take their time where all flows back slowly.
      const rested = now + 31 * 86_400_000 * 10;
      expect(limiter.readyAt(0, 1, rested)).toBeLessThanOrEqual(rested + 86_400_000);
    }),
  );
});

test('a limiter admits within a window at most the window’s limit', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 100, size: 'max' }),
      (perSecond, perMinute, gaps) => {
        const windows = [
          { name: 's', limit: perSecond, periodMs: 1_000, burst: undefined, counts: 'calls' as const },
          { name: 'm', limit: perMinute, periodMs: 60_000, burst: 1, counts: 'calls' as const },
        ];
        const limiter = limiterOf(windows);
        const at: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now = Math.max(now + gap, limiter.readyAt(0, 1, now + gap));
          limiter.take(1, now, false, false);
          at.push(now);
        }
        for (const from of at) {
          const within = (ms: number) => at.filter((time) => time >= from && time < from + ms - 1e-6).length;
          expect(within(1_000)).toBeLessThanOrEqual(perSecond);
          expect(within(60_000)).toBeLessThanOrEqual(perMinute);
        }
      },
    ),
    { numRuns: 50 },
  );
});
