import { describe, expect, test } from 'vitest';
import { Lease, RETURN_MS } from '../../src/fleet/lease.ts';
import { type Ledger, lease, type LeaseRequest } from '../../src/fleet/ledger.ts';
import { planOf } from '../../src/fleet/plan.ts';

const EPOCH = 1e12;

/** 10 ms a unit. Each may be used for 50 ms from its moment on. */
const PLAN = planOf({ limit: 100, periodMs: 1_000, burst: 5 });

/** Time does not refill it within a test. */
const DAILY = planOf({ limit: 100, periodMs: 86_400_000, burst: 100 });

/** 0.1 ms a unit. Each may be used for 100 ms from its moment on. */
const BUSY = planOf({ limit: 10_000, periodMs: 1_000, burst: 2_000 });

/** One replica at an engine that answers at once. */
class World {
  readonly lease: Lease;
  now = 0;
  /** Units that were reported to the engine. */
  owed = 0;
  #ledger: Ledger | undefined;

  constructor(plan = PLAN) {
    this.lease = new Lease(plan, () => 0.5);
    this.away(false);
  }

  away(away: boolean, connected = true, replicas = 1): void {
    this.lease.setAway(away, this.now, { connected, replicas });
  }

  /** The next request, with its reply; undefined: none was needed. */
  ask(): LeaseRequest | undefined {
    const request = this.lease.ask(this.now);
    if (request !== undefined) this.lease.heard(request, this.answer(request), this.now, this.now);
    return request;
  }

  answer(request: LeaseRequest) {
    const reply = lease(this.#ledger, request, EPOCH + this.now);
    this.#ledger = reply.ledger;
    this.owed += request.owed;
    return reply;
  }

  /** Leases `units`, of which the last may be used in the future. */
  leased(units: number): void {
    this.lease.wanted(units, units);
    if ((this.ask()?.want ?? 0) < units) throw new Error('the units were to be leased');
  }

  take(): void {
    this.now = this.lease.readyAt(0, 1, this.now);
    this.lease.take(1, this.now);
  }

  /** Calls of 1000/s for some seconds. Then nothing is held any more. */
  steady(): void {
    for (let i = 0; i < 5_000; i++) {
      this.now += 1;
      this.ask();
      this.lease.take(1, this.now);
    }
    this.now += BUSY.lateMs + 1;
  }

  /** Units that may be used now without a request. */
  held(): number {
    let units = 0;
    while (this.lease.readyAt(units, 1, this.now) <= this.now) units++;
    return units;
  }

  left(): number {
    return this.lease.left(this.now);
  }
}

describe('a lease', () => {
  test('takes what is held even if rounding says that it is too early', () => {
    const world = new World();
    world.leased(3);
    world.take();
    world.now = world.lease.readyAt(0, 1, world.now) - 1e-5;
    expect(world.lease.take(1, world.now)).toBeDefined();
    expect(world.lease.readyAt(0, 1, world.now)).toBeCloseTo(20, 3);
    expect(world.lease.ask(world.now)?.owed ?? 0).toBe(0);
  });

  test('asks no more while it holds what the waiting calls need', () => {
    const world = new World();
    world.leased(3);
    expect(world.ask()).toBeUndefined();
    expect(world.lease.askAt(world.now)).toBe(Infinity);
    // A call that leaves waits no longer, also before the queue has said so.
    world.take();
    world.take();
    expect(world.ask()).toBeUndefined();
  });

  test('owes units that were too late when they were taken', () => {
    const world = new World();
    world.leased(1);
    world.now += PLAN.lateMs + 1;
    expect(world.lease.take(1, world.now)).toBeUndefined();
    expect(world.ask()).toMatchObject({ owed: 1 });
    expect(world.ask()).toBeUndefined();
  });

  test('gives units back that were not used in time', () => {
    const world = new World();
    world.leased(30);
    world.lease.wanted(0, 1);
    world.now += PLAN.lateMs + 100;
    // Those up to now are refilled by time, and the others are still held.
    const request = world.lease.giveUp(world.now)!;
    expect(request).toMatchObject({ want: 0, back: { units: 30 } });
    world.lease.heard(request, world.answer(request), world.now, world.now);
    expect(world.left()).toBe(PLAN.burst);
  });

  test('gives back what is too late, once the whole lease is, and what a call has not cost', () => {
    const world = new World(DAILY);
    world.leased(3);
    world.lease.wanted(0, 1);
    world.now += DAILY.lateMs + 1;
    expect(world.ask()).toMatchObject({ back: { units: 3 } });
    world.leased(10);
    world.lease.take(10, world.now);
    world.leased(5);
    world.lease.take(5, world.now);
    world.lease.correct(5, 1, world.now);
    expect(world.ask()).toMatchObject({ owed: 0, back: { units: 4 } });
    world.lease.correct(1, 3, world.now);
    expect(world.ask()).toMatchObject({ owed: 2, back: { units: 0 } });
  });

  test('sends no request for units that time has refilled', () => {
    const world = new World();
    world.leased(3);
    world.lease.wanted(0, 1);
    world.now += 20 + PLAN.lateMs + 11;
    expect(world.ask()).toBeUndefined();
  });

  test('takes twice what its rate needs from a window of which nothing is used', () => {
    const world = new World(BUSY);
    world.steady();
    // 1000/s for 100 ms, less what the average has lost in the pause.
    expect(world.ask()?.want).toBeCloseTo(2 * 90, -1);
    world.steady();
    const request = world.lease.ask(world.now)!;
    // Others have leased half a second of the window.
    const others = world.answer({ ...request, want: 5_000, need: 1 });
    world.lease.heard(request, { ...others, granted: 0 }, world.now, world.now);
    world.now += 320;
    expect(world.ask()?.want).toBeCloseTo(67, -1);
  });

  test('replaces its units when three tenths of their time, or of them, are left', () => {
    const world = new World(BUSY);
    world.steady();
    const half = (world.ask()?.want ?? 0) / 2;
    world.lease.take(half, world.now);
    const leasedAt = world.now;
    world.now = leasedAt + 0.65 * BUSY.lateMs;
    expect(world.ask()).toBeUndefined();
    world.now = leasedAt + 0.75 * BUSY.lateMs;
    expect(world.ask()).toBeDefined();
    world.steady();
    // Twice what the rate needs. Three tenths of that need are left when 31 of these are.
    const leased = world.ask()?.want ?? 0;
    expect(leased).toBeCloseTo(182, -1);
    world.lease.take(leased - 36, world.now);
    expect(world.ask()).toBeUndefined();
    world.lease.take(10, world.now);
    expect(world.ask()).toBeDefined();
  });

  test('uses the units of a late reply, and asks again before it comes', () => {
    const world = new World();
    world.lease.wanted(40, 1);
    const request = world.lease.ask(world.now)!;
    expect(world.lease.ask(world.now)).toBeUndefined();
    const reply = world.answer(request);
    world.now += 60;
    world.lease.late(request);
    const second = world.lease.ask(world.now)!;
    world.lease.heard(request, reply, 0, world.now);
    expect(world.left()).toBe(PLAN.burst - 40);
    // The second one still runs.
    expect(world.lease.ask(world.now)).toBeUndefined();
    world.lease.heard(second, world.answer(second), 60, world.now);
    // Of 40 units from 0 ms on, one each 10 ms: the reply may have been made at any of the 60 ms, so the last one is usable at 450.
    expect(world.lease.readyAt(39, 1, world.now)).toBeLessThanOrEqual(450);
  });

  test('says again what it owes if a request got no reply', () => {
    const world = new World(DAILY);
    world.lease.take(5, world.now);
    const request = world.lease.ask(world.now)!;
    expect(request).toMatchObject({ owed: 5 });
    world.lease.take(2, world.now);
    world.lease.late(request);
    expect(world.lease.ask(world.now)).toMatchObject({ owed: 2 });
    world.lease.lost(request);
    world.lease.late(request);
  });
});

describe('the share of a replica without an engine', () => {
  test('begins when the units that the engine has given are used up', () => {
    const world = new World();
    world.leased(40);
    world.lease.wanted(0, 1);
    for (let i = 0; i < 20; i++) world.take();
    world.away(true, false, 2);
    // 20 units are held, and the engine may have given others as many since then.
    expect(world.lease.readyAt(19, 1, world.now)).toBeCloseTo(390, 3);
    expect(world.lease.readyAt(20, 1, world.now)).toBeGreaterThan(world.now + 390);
  });

  test('is reported to an engine that was gone, as far as it has not been refilled by time', () => {
    const world = new World(planOf({ limit: 100, periodMs: 1_000, burst: 20 }));
    world.away(true, false);
    for (let i = 0; i < 10; i++) world.take();
    world.now += 50;
    world.away(false);
    expect(world.ask()).toMatchObject({ want: 0, owed: 5 });
  });

  test('is used until the others have come back too, after the engine was gone', () => {
    const world = new World();
    world.away(true, false, 4);
    world.now += 1_000;
    world.away(false, true, 4);
    const back = world.now;
    world.take();
    world.lease.wanted(1, 1);
    expect(world.lease.isShare(world.now)).toBe(true);
    // The engine gets to know of it, and gives none.
    expect(world.ask()).toMatchObject({ want: 0, owed: 1 });
    expect(world.lease.readyAt(0, 1, world.now) - world.now).toBeCloseTo(40, 3);
    expect(world.lease.askAt(world.now)).toBeLessThanOrEqual(back + RETURN_MS);
    world.now = back + RETURN_MS;
    expect(world.lease.isShare(world.now)).toBe(false);
    expect(world.ask()).toMatchObject({ want: 1 });
  });

  test('is reported to a slow engine, as far ahead as that gives units to others', () => {
    const world = new World();
    // The last one may be used in 300 ms. The share begins then.
    world.leased(30);
    world.away(true, true, 2);
    world.lease.wanted(50, 1);
    for (; world.now < 250; world.now += 10) world.ask();
    expect(world.lease.readyAt(30, 1, world.now)).toBeGreaterThanOrEqual(300);
    expect(world.owed).toBeGreaterThanOrEqual(4);
    world.away(false);
    // It was not gone, so the others may be there. Units are leased at once, but not many more than before.
    expect(world.lease.isShare(world.now)).toBe(false);
    expect(world.ask()!.want).toBeLessThan(20);
    world.now += 2_000;
    expect(world.ask()!.want).toBeGreaterThan(45);
  });

  test('begins again each time, with what is known then', () => {
    const world = new World();
    world.away(true, true, 2);
    world.take();
    world.away(false);
    world.now += 2_000;
    world.leased(30);
    world.lease.wanted(0, 1);
    for (let i = 0; i < 30; i++) world.take();
    world.away(true, true, 2);
    // All 30 units are used, and the last moment of them is now.
    expect(world.lease.readyAt(0, 1, world.now)).toBeGreaterThan(world.now + 100);
  });

  test('ignores units that a slow engine gives late', () => {
    const world = new World();
    world.lease.wanted(10, 1);
    const request = world.lease.ask(world.now)!;
    world.lease.late(request);
    world.away(true, true, 2);
    world.lease.heard(request, world.answer(request), 0, world.now);
    expect(world.lease.readyAt(0, 1, world.now)).toBeGreaterThan(world.now + 90);
  });
});

test.each([
  ['one lease', [4]],
  ['several leases', [3, 1]],
])('units of a call come back to %s', (_, leases) => {
  const world = new World(DAILY);
  for (const units of leases) {
    world.lease.wanted(world.held() + units, world.held() + units);
    world.ask();
  }
  for (let i = 0; i < 20; i++) {
    expect(world.held()).toBe(4);
    const receipt = world.lease.take(4, world.now);
    expect(world.held()).toBe(0);
    world.lease.refund(4, receipt);
  }
  world.lease.take(1, world.now);
  expect(world.held()).toBe(3);
});
