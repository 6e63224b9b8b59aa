import { describe, expect, test } from 'vitest';
import type { QuotaReading } from '../../src/http/rate-limit.ts';
import { FlowMeter } from '../../src/policies/quota/flow-meter.ts';
import { Limiter, Reservation } from '../../src/policies/quota/limiter.ts';
import type { Meter } from '../../src/policies/quota/meter.ts';
import { Throughput } from '../../src/policies/quota/throughput.ts';
import { WindowMeter } from '../../src/policies/quota/window-meter.ts';

const reading = (changes: Partial<QuotaReading>): QuotaReading => ({
  bucket: 'default',
  policy: '',
  resource: '',
  unit: 'calls',
  limit: 100,
  remaining: 50,
  resetMs: 60_000,
  windowMs: undefined,
  continuous: false,
  ...changes,
});

const seen = { startedAt: 0, unseen: 0, unanswered: 0 };

describe('a window', () => {
  const started = () => new WindowMeter(reading({}));

  test('knows nothing at first, and holds no call', () => {
    const meter = started();
    expect(meter.remaining(0)).toBeUndefined();
    meter.take(1000, 0);
    expect(meter.readyAt(0, 1, 0)).toBe(-Infinity);
  });

  test('replies out of order cannot raise an estimate', () => {
    const meter = started();
    meter.learn(reading({ remaining: 40 }), { startedAt: 20, unseen: 0, unanswered: 0 }, 100);
    meter.learn(reading({ remaining: 90 }), { startedAt: 10, unseen: 0, unanswered: 0 }, 110);
    expect(meter.remaining(110)).toBe(40);
    // Not even the newest may: others of ours may be on their way.
    meter.learn(reading({ remaining: 60 }), { startedAt: 30, unseen: 0, unanswered: 0 }, 120);
    expect(meter.remaining(120)).toBe(40);
  });

  test('a reply does not include calls that left after its request', () => {
    const meter = started();
    meter.learn(reading({ remaining: 40 }), { startedAt: 0, unseen: 15, unanswered: 15 }, 100);
    expect(meter.remaining(100)).toBe(25);
    meter.take(5, 110);
    expect(meter.remaining(110)).toBe(20);
  });

  test('nothing left waits for the reset, and is whole again then', () => {
    const meter = started();
    meter.learn(reading({ remaining: 0, limit: 10, resetMs: 5_000 }), seen, 1_000);
    expect(meter.readyAt(0, 1, 1_000)).toBe(6_000);
    expect(meter.readyAt(9, 1, 1_000)).toBe(6_000);
    expect(meter.remaining(6_000)).toBe(10);
  });

  test('a call that does not fit into the next window waits for the one after it', () => {
    const meter = started();
    meter.learn(reading({ remaining: 0, limit: 10, resetMs: 5_000, windowMs: 60_000 }), seen, 0);
    expect(meter.readyAt(10, 1, 0)).toBe(65_000);
    expect(meter.readyAt(25, 1, 0)).toBe(125_000);
  });

  test('a reply to a call from before the reset reports the window before it', () => {
    const meter = started();
    meter.learn(reading({ remaining: 0, limit: 10, resetMs: 5_000 }), seen, 0);
    meter.learn(
      reading({ remaining: 0, limit: 10, resetMs: 1_000 }),
      { startedAt: 4_900, unseen: 0, unanswered: 0 },
      5_100,
    );
    expect(meter.remaining(5_100)).toBe(10);
    meter.learn(
      reading({ remaining: 7, limit: 10, resetMs: 5_000 }),
      { startedAt: 5_050, unseen: 0, unanswered: 0 },
      5_200,
    );
    expect(meter.remaining(5_200)).toBe(7);
    // and the reset that counts now is the last one reported
    expect(meter.resetMs(5_200)).toBe(5_000);
  });

  test('windows that slide: the newest reading takes over at the reset', () => {
    const meter = started();
    meter.learn(reading({ remaining: 30, resetMs: 10_000 }), { startedAt: 0, unseen: 0, unanswered: 0 }, 0);
    meter.learn(
      reading({ remaining: 33, resetMs: 12_000 }),
      { startedAt: 8_000, unseen: 0, unanswered: 0 },
      8_000,
    );
    expect(meter.remaining(9_999)).toBe(30);
    meter.take(1, 9_999);
    expect(meter.remaining(10_000)).toBe(32);
    expect(meter.resetMs(10_000)).toBe(10_000);
  });

  test('a reset in whole seconds may seem to move, and is still the same', () => {
    const meter = started();
    meter.learn(
      reading({ remaining: 5, limit: 20, resetMs: 1_000 }),
      { startedAt: 0, unseen: 0, unanswered: 0 },
      100,
    );
    meter.learn(
      reading({ remaining: 0, limit: 20, resetMs: 1_000 }),
      { startedAt: 900, unseen: 0, unanswered: 0 },
      950,
    );
    expect(meter.readyAt(0, 1, 950)).toBe(1_100);
    expect(meter.remaining(1_100)).toBe(20);
  });

  test('after two resets without a report, nothing is known any more', () => {
    const meter = started();
    meter.learn(reading({ remaining: 0, limit: 10, resetMs: 5_000 }), seen, 0);
    meter.take(10, 5_000);
    expect(meter.readyAt(0, 1, 5_001)).toBe(10_000);
    expect(meter.remaining(10_000)).toBeUndefined();
    expect(meter.readyAt(0, 1, 10_000)).toBe(-Infinity);
  });

  test('without a reset its end is unknown, so it holds no call', () => {
    const meter = started();
    meter.learn(reading({ remaining: 0, resetMs: undefined }), seen, 0);
    expect(meter.readyAt(0, 1, 0)).toBe(-Infinity);
    // A window in the policy will do.
    meter.learn(reading({ remaining: 0, resetMs: undefined, windowMs: 30_000 }), seen, 0);
    expect(meter.readyAt(0, 1, 0)).toBe(30_000);
  });

  test('unknown is unknown', () => {
    const meter = started();
    meter.learn(reading({ remaining: undefined }), seen, 0);
    expect(meter.remaining(0)).toBeUndefined();
  });

  test('the last tenth is spread over the time that is left, though never by more than a second each', () => {
    const meter = started();
    meter.learn(reading({ remaining: 10, resetMs: 5_000, windowMs: 10_000 }), seen, 0);
    meter.take(1, 0);
    expect(meter.readyAt(0, 1, 0)).toBeCloseTo(5_000 / 9);
    const slow = started();
    slow.learn(reading({ remaining: 10, resetMs: 59_000 }), seen, 0);
    slow.take(1, 0);
    expect(slow.readyAt(0, 1, 0)).toBe(1_000);
    // With much to spare for a short rest it goes no faster than the limit over its window.
    const capped = started();
    capped.learn(reading({ remaining: 10, resetMs: 100, windowMs: 60_000 }), seen, 0);
    expect(capped.paceMs(0)).toBe(600);
  });

  test('a quota of an hour is not spread: a refusal with some quota left helps no client', () => {
    const meter = started();
    meter.learn(reading({ remaining: 10, resetMs: 3_600_000 }), seen, 0);
    meter.take(1, 0);
    expect(meter.readyAt(0, 1, 0)).toBe(-Infinity);
  });

  test('refunds calls that were not sent, unless a later reply or reset has counted them', () => {
    const meter = started();
    meter.learn(reading({ remaining: 50, resetMs: 5_000 }), seen, 0);
    meter.take(2, 10);
    meter.refund(1, 10, undefined);
    expect(meter.remaining(10)).toBe(49);
    meter.learn(reading({ remaining: 40, resetMs: 5_000 }), { startedAt: 20, unseen: 0, unanswered: 0 }, 30);
    meter.refund(1, 10, 25);
    expect(meter.remaining(30)).toBe(40);
    meter.refund(1, 10, undefined);
    expect(meter.remaining(30)).toBe(41);
    meter.refund(1, 10, undefined);
    expect(meter.remaining(5_000)).toBe(100);
    meter.refund(1, 10, undefined);
    expect(meter.remaining(5_000)).toBe(100);
  });

  test('a cost above the limit passes with a full limit, and is not sent back', () => {
    const meter = started();
    meter.learn(reading({ remaining: 100, resetMs: 5_000 }), seen, 0);
    expect(meter.readyAt(0, 500, 0)).toBe(-Infinity);
    meter.take(500, 0);
    expect(meter.overdrawn(500, 0)).toBe(false);
    expect(meter.remaining(0)).toBe(0);
    meter.take(1, 0);
    expect(meter.overdrawn(1, 0)).toBe(true);
  });
});

describe.each([
  ['a window', (r: QuotaReading) => new WindowMeter(r), false],
  ['a bucket', (r: QuotaReading) => new FlowMeter(r), true],
] as const)('the real cost of a call: %s', (_, create, continuous) => {
  const stated = (remaining: number) =>
    reading({ unit: 'cost', limit: 1_000, remaining, resetMs: 1e9, continuous });
  const started = () => {
    const meter = create(stated(900));
    meter.learn(stated(900), seen, 0);
    meter.take(500, 10);
    return meter;
  };
  const left = (meter: Meter) => Math.round(meter.remaining(20) ?? Number.NaN);

  test.each([
    [500, 200, 700],
    [500, 600, 300],
    [500, 5_000, 0],
    [500, 500, 400],
  ])('an estimate of %d that was %d leaves %d, while no reply counts it', (units, actual, expected) => {
    const meter = started();
    meter.correct(units, actual, { takenAt: 10, leftAt: 10 }, 20);
    expect(left(meter)).toBe(expected);
  });

  test('never more than a later reply has stated, less what was taken since', () => {
    const meter = started();
    meter.learn(stated(650), { startedAt: 10, unseen: 0, unanswered: 0 }, 15);
    meter.take(50, 16);
    meter.correct(500, 0, { takenAt: 10, leftAt: 10 }, 20);
    expect(left(meter)).toBe(600);
  });

  test('a later reply has counted a cost above the estimate', () => {
    const meter = started();
    meter.learn(stated(390), { startedAt: 10, unseen: 0, unanswered: 0 }, 15);
    meter.correct(500, 510, { takenAt: 10, leftAt: 10 }, 20);
    expect(left(meter)).toBe(390);
  });

  test('the newest attempt decides what later replies state, not the last reply', () => {
    const meter = started();
    meter.learn(stated(450), { startedAt: 12, unseen: 0, unanswered: 0 }, 15);
    meter.learn(stated(890), { startedAt: 11, unseen: 0, unanswered: 0 }, 16);
    meter.correct(500, 0, { takenAt: 10, leftAt: 10 }, 20);
    expect(left(meter)).toBe(450);
  });
});

test('a real cost that comes after the reset of its window changes nothing', () => {
  const meter = new WindowMeter(reading({}));
  meter.learn(reading({ remaining: 50, resetMs: 1_000 }), seen, 0);
  meter.take(20, 10);
  meter.correct(20, 5, { takenAt: 10, leftAt: 10 }, 1_000);
  expect(meter.remaining(1_000)).toBe(100);
  meter.correct(20, 90, { takenAt: 10, leftAt: 10 }, 1_000);
  expect(meter.remaining(1_000)).toBe(100);
});

describe('a bucket that leaks', () => {
  const shopify = (remaining: number) =>
    reading({ limit: 40, remaining, resetMs: 0, windowMs: 20_000, continuous: true });

  test('comes back all the time, up to its size', () => {
    const meter = new FlowMeter(shopify(8));
    meter.learn(shopify(8), seen, 0);
    expect(meter.remaining(0)).toBe(8);
    expect(meter.remaining(1_000)).toBe(10);
    expect(meter.resetMs(1_000)).toBe(15_000);
    expect(meter.remaining(60_000)).toBe(40);
    expect(meter.readyAt(0, 1, 60_000)).toBe(-Infinity);
  });

  test('an empty one lets the next go when enough has leaked', () => {
    const meter = new FlowMeter(shopify(0));
    meter.learn(shopify(0), seen, 1_000);
    expect(meter.readyAt(0, 1, 1_000)).toBe(1_500);
    expect(meter.readyAt(3, 1, 1_000)).toBe(3_000);
    meter.take(1, 1_500);
    expect(meter.readyAt(0, 1, 1_500)).toBe(2_000);
  });

  test('out of order cannot raise it', () => {
    const meter = new FlowMeter(shopify(8));
    meter.learn(shopify(8), seen, 0);
    meter.learn(shopify(30), seen, 0);
    expect(meter.remaining(0)).toBe(8);
  });
});

describe('a bucket whose reset is the moment when it is full again', () => {
  const bucket = (remaining: number, resetMs: number, limit = 30) =>
    reading({ limit, remaining, resetMs, continuous: true });

  test('lets the next go when one is back, not when all are', () => {
    const meter = new FlowMeter(bucket(0, 30_000));
    meter.learn(bucket(0, 30_000), seen, 0);
    expect(meter.readyAt(0, 1, 0)).toBe(1_000);
    expect(meter.readyAt(0, 5, 0)).toBe(5_000);
  });

  test('a bucket of a day at nothing holds for seconds', () => {
    const meter = new FlowMeter(bucket(0, 86_400_000, 10_000));
    meter.learn(bucket(0, 86_400_000, 10_000), seen, 0);
    expect(meter.readyAt(0, 1, 0)).toBe(8_640);
  });

  test('the rate is read from a far reset, because the rounding of a near one is too coarse', () => {
    const meter = new FlowMeter(bucket(0, 30_000));
    meter.learn(bucket(0, 30_000), seen, 0);
    meter.learn(bucket(29, 2_000), seen, 29_000);
    meter.take(29, 29_000);
    expect(meter.readyAt(0, 1, 29_000)).toBe(30_000);
  });

  test('a full bucket says nothing about its rate, and holds no call', () => {
    const meter = new FlowMeter(bucket(30, 0));
    meter.learn(bucket(30, 0), seen, 0);
    meter.take(31, 0);
    expect(meter.readyAt(0, 1, 1)).toBe(-Infinity);
  });

  test('is believed for a day at most, then a reply is needed that says it again', () => {
    const day = 86_400_000;
    const meter = new FlowMeter(bucket(29, 20 * day));
    meter.learn(bucket(29, 20 * day), seen, 0);
    meter.take(40, 0);
    meter.take(1, 0);
    expect(meter.readyAt(0, 1, 0)).toBe(day);
    expect(meter.readyAt(0, 1, day)).toBe(-Infinity);
    meter.take(31, day);
    expect(meter.readyAt(0, 1, day + 1)).toBe(-Infinity);
  });
});

describe('a bucket that refuses although its headers say otherwise', () => {
  const stated = (remaining: number) =>
    reading({ limit: 30, remaining, resetMs: (30 - remaining) * 1_000, continuous: true });
  const empty = () => {
    const meter = new FlowMeter(stated(0));
    meter.learn(stated(0), { startedAt: 0, unseen: 0, unanswered: 0 }, 10);
    return meter;
  };

  test('calls that were on their way together halve the rate once', () => {
    const meter = empty();
    for (const startedAt of [1, 2, 3]) meter.observe(1, startedAt, true, 10);
    expect(meter.readyAt(0, 1, 10)).toBe(2_010);
    meter.observe(1, 11, true, 10);
    expect(meter.readyAt(0, 1, 10)).toBe(4_010);
  });

  test('the rate is never less than a sixty-fourth, and grows with each answer up to what is stated', () => {
    const meter = empty();
    for (let at = 0; at < 20; at++) meter.observe(1, 11 + at, true, 10 + at);
    expect(meter.readyAt(0, 1, 29)).toBeCloseTo(29 + 64_000, -3);
    for (let at = 0; at < 49; at++) meter.observe(1, 100 + at, false, 30);
    expect(meter.readyAt(0, 1, 30)).toBeGreaterThan(1_900);
    for (let at = 0; at < 50; at++) meter.observe(1, 200 + at, false, 30);
    expect(meter.readyAt(0, 1, 30)).toBeLessThanOrEqual(1_030);
  });

  test('a refusal while something is left is about another quota', () => {
    const meter = new FlowMeter(stated(5));
    meter.learn(stated(5), { startedAt: 0, unseen: 0, unanswered: 0 }, 10);
    meter.observe(1, 1, true, 10);
    expect(meter.readyAt(5, 1, 10)).toBe(1_010);
  });

  test('a call that leaves a fraction of a unit early is not sent back', () => {
    const meter = empty();
    meter.take(1, 1_010 - 1e-4);
    expect(meter.overdrawn(1, 1_010 - 1e-4)).toBe(false);
    meter.take(1, 1_010);
    expect(meter.overdrawn(1, 1_010)).toBe(true);
  });
});

describe('a limiter with a bucket that is empty', () => {
  const stated = reading({ limit: 30, remaining: 0, resetMs: 30_000, continuous: true });
  const limiter = () => {
    const one = new Limiter({ windows: [], random: () => 0, served: new Throughput(), whole: false });
    one.learn(stated, { startedAt: 0, unseen: 0, cost: 1 }, 0);
    return one;
  };
  const sendTest = (one: Limiter, now: number) => {
    const reservation = one.take(1, now, false, true);
    one.start(reservation, now);
    one.finish(reservation);
    return reservation;
  };

  test('answered tests become rarer, and do not end the limit while the bucket gives as much', () => {
    const one = limiter();
    for (const [now, next] of [
      [0, 1_000],
      [1_000, 5_000],
      [5_000, 21_000],
      [21_000, 46_000],
    ] as const) {
      // Something else always takes what comes back.
      one.learn(stated, { startedAt: now - 1, unseen: 0, cost: 1 }, now);
      const reservation = sendTest(one, now);
      expect(reservation.testsMeters).toBe(true);
      one.answered(now, reservation, now);
      one.learn(stated, { startedAt: now, unseen: 0, cost: 1 }, now);
      expect(one.meterTestAt(1, now, 0)).toBe(next);
    }
  });

  test('a refused test does not change the rate, and a refused call does', () => {
    const one = limiter();
    one.observe(sendTest(one, 0), true, 0);
    const before = one.readyAt(0, 1, 0);
    sendTest(one, 0);
    const call = new Reservation(one, 0, {
      cost: 1,
      probe: false,
      testsMeters: false,
      windows: [],
      receipts: undefined,
    });
    call.sentAt = 0;
    expect(one.readyAt(0, 1, 0) - before).toBe(1_000);
    one.observe(call, true, 0);
    expect(one.readyAt(0, 1, 0)).toBe(2 * (before + 1_000));
  });
});
