import { expect, test } from 'vitest';
import { numberOf } from '../../src/fleet/engine.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { Lease } from '../../src/fleet/lease.ts';
import { LeasedWindow, type WindowHost } from '../../src/fleet/leased-window.ts';
import { planOf } from '../../src/fleet/plan.ts';
import { EngineWorld } from '../support/engine-world.ts';

const HUNDRED = { limit: 100, periodMs: 1_000, burst: 5 };
const DAILY = { limit: 100, periodMs: 86_400_000, burst: 100 };

interface Caller {
  readonly window: LeasedWindow;
  /** When its calls left. */
  readonly left: readonly number[];
  readonly call: (count?: number) => void;
}

/** A call that waits for one unit, as the queue does: it takes it when it may, and says that it waits. */
function caller(fleet: Fleet, world: EngineWorld, limit = HUNDRED): Caller {
  const left: number[] = [];
  let waiting = 0;
  const pump = (): void => {
    while (waiting > 0) {
      const now = world.clock.now();
      const at: number = window.readyAt(0, 1, now);
      if (at > now) {
        world.clock.timer(at - now, pump);
        break;
      }
      waiting--;
      window.take(1, now);
      left.push(now);
    }
    window.wanted(waiting, 1);
  };
  const window: LeasedWindow = fleet.window('api', limit, pump);
  return {
    window,
    left,
    call(count = 1) {
      waiting += count;
      pump();
    },
  };
}

test('an engine that accepts connections and refuses all else gets a few connections a second, and is used again soon', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  world.refuses = true;
  await world.clock.advance(10_000);
  expect(fleet.away).toBe(true);
  expect(world.connected).toBeLessThan(10 * 8);
  world.refuses = false;
  await world.clock.advance(1_000);
  expect(fleet.away).toBe(false);
});

test('a call gets a unit after one round trip, and one that is leased ahead at once', async () => {
  const world = new EngineWorld();
  const { call, left } = caller(await world.started(), world);
  const begun = world.clock.now();
  call();
  await world.clock.advance(1);
  expect(left).toEqual([begun + 1]);
  for (let i = 0; i < 200; i++) {
    await world.clock.advance(12);
    call();
  }
  await world.clock.advance(50);
  expect(left).toHaveLength(201);
});

test.each([
  ['does not answer', (world: EngineWorld): void => void (world.delayMs = 1e9), 'slow'],
  ['answers after 500 ms', (world: EngineWorld): void => void (world.delayMs = 500), 'slow'],
  ['fails', (world: EngineWorld): void => void (world.gone = true), 'failed'],
  ['ends the connection', (world: EngineWorld): void => world.cut(), 'lost'],
] as const)(
  'no call waits more than 50 ms for an engine that %s; then it uses the share',
  async (_name, harm, cause) => {
    const world = new EngineWorld();
    const fleet = await world.started();
    // Three replicas.
    for (const other of ['b', 'c']) world.store.muster(other);
    await world.clock.advance(1_100);
    const { call, left } = caller(fleet, world);
    harm(world);
    const begun = world.clock.now();
    call(2);
    await world.clock.advance(50 + 30);
    // The share is 100/s divided by three: a call each 30 ms. It begins empty.
    expect(left[0] as number).toBeLessThanOrEqual(begun + 50 + 30);
    expect(world.away).toContain(cause);
    call(200);
    await world.clock.advance(3_000);
    expect(left.length).toBeLessThanOrEqual(3 * 34 + 2);
    expect(left.length).toBeGreaterThanOrEqual(3 * 33 - 2);
  },
);

test('an engine that comes back is used within five seconds', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  world.cut();
  await world.clock.advance(60_000);
  expect(fleet.away).toBe(true);
  world.gone = false;
  await world.clock.advance(5_000);
  expect(fleet.away).toBe(false);
  world.delayMs = 500;
  await world.clock.advance(20_000);
  expect(fleet.state.away).toBe('slow');
  world.delayMs = 1;
  await world.clock.advance(5_000);
  expect(fleet.away).toBe(false);
});

test('an engine that is fast again is noticed soon, however slow it was', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  world.delayMs = 2_000;
  await world.clock.advance(5_000);
  expect(fleet.state.away).toBe('slow');
  world.delayMs = 1;
  // Heartbeats that were sent before are still under way.
  await world.clock.advance(260);
  expect(fleet.state.away).toBeUndefined();
});

test('an engine that has lost its data knows few replicas at first; their shares stay the same', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  for (const other of ['b', 'c']) world.store.muster(other);
  await world.clock.advance(1_100);
  expect(fleet.replicas).toBe(3);
  world.store.flush();
  await world.clock.advance(1_100);
  expect(fleet.replicas).toBe(3);
  // Those that have not come back by then are gone.
  await world.clock.advance(7_000);
  expect(fleet.replicas).toBe(1);
});

test('a replica that starts at a slow engine does not begin with a full share', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  world.delayMs = 500;
  await world.clock.advance(1_500);
  expect(fleet.state.away).toBe('slow');
  const { call, left } = caller(fleet, world, DAILY);
  call(100);
  await world.clock.advance(3_000);
  expect(left).toHaveLength(0);
  world.delayMs = 1;
  await world.clock.advance(5_000);
  expect(left).toHaveLength(100);
});

test('before the engine was ever reached, the share is the limit divided by the written number of replicas', async () => {
  const world = new EngineWorld();
  world.gone = true;
  const fleet = await world.started(4);
  const { call, left } = caller(fleet, world);
  call(100);
  await world.clock.advance(1_000);
  expect(left.length).toBeLessThanOrEqual(26);
  expect(left.length).toBeGreaterThanOrEqual(24);
});

test('a daily quota is still used up after a restart of all', async () => {
  const world = new EngineWorld();
  const first = await world.started();
  const one = caller(first, world, DAILY);
  one.call(150);
  await world.clock.advance(60_000);
  expect(one.left).toHaveLength(100);
  await Promise.all([first.close(), world.clock.advance(100)]);
  const two = caller(await world.started(), world, DAILY);
  two.call(10);
  await world.clock.advance(60_000);
  expect(two.left).toHaveLength(0);
});

test('what a process holds goes back when it ends', async () => {
  const world = new EngineWorld();
  const first = await world.started();
  const one = caller(first, world, DAILY);
  for (let i = 0; i < 40; i++) {
    one.call();
    await world.clock.advance(100);
  }
  expect(one.left).toHaveLength(40);
  await Promise.all([first.close(), world.clock.advance(100)]);
  const two = caller(await world.started(), world, DAILY);
  two.call(100);
  await world.clock.advance(30_000);
  expect(two.left).toHaveLength(60);
});

test('a process that ends reports what it has used of its share, also to a slow engine', async () => {
  const world = new EngineWorld();
  const first = await world.started();
  const one = caller(first, world, DAILY);
  one.call();
  await world.clock.advance(100);
  world.delayMs = 100;
  await world.clock.advance(1_500);
  expect(first.state.away).toBe('slow');
  one.call(60);
  await world.clock.advance(1_000);
  expect(one.left.length).toBeGreaterThan(20);
  await Promise.all([first.close(), world.clock.advance(200)]);
  world.delayMs = 1;
  const two = caller(await world.started(), world, DAILY);
  two.call(100);
  await world.clock.advance(60_000);
  expect(one.left.length + two.left.length).toBeLessThanOrEqual(101);
});

test('replicas report what they know to an engine that has lost its data, which gives nothing until then', async () => {
  const world = new EngineWorld();
  const one = caller(await world.started(), world, DAILY);
  const two = caller(await world.started(), world, DAILY);
  await world.clock.advance(1_100);
  one.call(45);
  two.call(45);
  await world.clock.advance(5_000);
  expect(one.left.length + two.left.length).toBe(90);
  world.store.flush();
  one.call(50);
  await world.clock.advance(10_000);
  two.call(50);
  await world.clock.advance(10_000);
  expect(one.left.length + two.left.length).toBeLessThanOrEqual(100);
  expect(one.left.length + two.left.length).toBeGreaterThanOrEqual(98);
});

test('units of a refused attempt are used by the next call', async () => {
  const world = new EngineWorld();
  const { window } = caller(await world.started(), world, DAILY);
  window.wanted(1, 1);
  await world.clock.advance(1);
  const now = world.clock.now();
  for (let i = 0; i < 1_000; i++) {
    expect(window.readyAt(0, 1, now)).toBe(now);
    window.refund(1, window.take(1, world.clock.now()));
  }
  expect(world.store.requests).toBeLessThan(10);
});

test('a call that takes its units at once reads the real time once', () => {
  const limit = { limit: 1_000, periodMs: 1_000, burst: 1_000 };
  const plan = planOf(limit);
  let reads = 0;
  const host: WindowHost = {
    real: () => ++reads,
    away: true,
    connected: false,
    replicas: 1,
    send: () => undefined,
    remind: () => undefined,
  };
  const window = new LeasedWindow('api', { limit, plan, lease: new Lease(plan, () => 0.5) }, host);
  for (const now of [100, 200]) {
    expect(window.readyAt(0, 1, now)).toBe(now);
    window.take(1, now);
  }
  expect(reads).toBe(2);
  // The units of a call that has waited are taken at another moment.
  window.take(1, 300);
  expect(reads).toBe(3);
});

test('a call whose units were too late says so at once', async () => {
  const world = new EngineWorld();
  const { window } = caller(await world.started(), world, DAILY);
  window.wanted(1, 1);
  await world.clock.advance(1);
  window.take(1, world.clock.now());
  const { requests } = world.store;
  window.take(1, world.clock.now());
  await world.clock.advance(1);
  expect(world.store.requests).toBe(requests + 1);
});

test('a replica starts within a second at an engine that accepts connections and is silent', async () => {
  const world = new EngineWorld();
  world.silent = true;
  const started = world.fleet().start();
  await world.clock.advance(1_000);
  await started;
  expect(world.states).toEqual([{ away: 'unreachable', detail: 'it did not answer' }]);
});

test.each([
  ['answers nothing', (world: EngineWorld): void => void (world.delayMs = 1e9)],
  [
    'accepts connections and is silent',
    (world: EngineWorld): void => {
      world.silent = true;
      world.cut();
    },
  ],
])('the end waits a second at most for an engine that %s, and leaves no timer', async (_name, harm) => {
  const world = new EngineWorld();
  const fleet = await world.started();
  harm(world);
  await world.clock.advance(1_010);
  let ended = false;
  void fleet.close().then(() => (ended = true));
  await world.clock.advance(1_000);
  expect(ended).toBe(true);
  // Requests without an answer are those of the engine.
  expect(world.clock.deadlines.filter((at) => at < 1e9)).toEqual([]);
});

test('the end waits for an engine that answers after 500 ms', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  world.delayMs = 500;
  let ended = false;
  void fleet.close().then(() => (ended = true));
  await world.clock.advance(499);
  expect(ended).toBe(false);
  await world.clock.advance(1);
  expect(ended).toBe(true);
});

test('a call that has cost more than was leased is counted for all replicas', async () => {
  const world = new EngineWorld();
  const one = caller(await world.started(), world, DAILY);
  const two = caller(await world.started(), world, DAILY);
  one.call();
  await world.clock.advance(1_000);
  one.window.correct(1, 41);
  await world.clock.advance(1_000);
  two.call(100);
  await world.clock.advance(60_000);
  // The first replica may hold two units for calls to come.
  expect(two.left.length).toBeLessThanOrEqual(59);
  expect(two.left.length).toBeGreaterThanOrEqual(57);
});

test('an idle replica reports what it knows to an engine that has lost its data', async () => {
  const world = new EngineWorld();
  const one = caller(await world.started(), world, DAILY);
  const two = caller(await world.started(), world, DAILY);
  one.call(90);
  await world.clock.advance(20_000);
  expect(one.left).toHaveLength(90);
  world.store.flush();
  await world.clock.advance(5_000);
  two.call(50);
  await world.clock.advance(60_000);
  expect(two.left.length).toBeLessThanOrEqual(10);
});

test('tells news to the others, and hears none of its own', async () => {
  const world = new EngineWorld();
  const [one, two] = [await world.started(), await world.started()];
  const heard: string[] = [];
  one.listen('gate', (text) => heard.push(`one ${text}`));
  two.listen('gate', (text) => heard.push(`two ${text}`));
  two.listen('reply', (text) => heard.push(`reply ${text}`));
  one.tell('gate', 'closed');
  await world.clock.advance(2 * world.delayMs + 1);
  expect(heard).toEqual(['two closed']);
});

test('the time in which the process itself is busy is not the time of the engine', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  world.delayMs = 70;
  const asked = fleet.ask((engine) => engine.claim('key', 'mine', 1_000));
  world.busyMs = 200;
  await world.clock.advance(80);
  expect(await asked).toEqual({ answer: undefined });
  expect(fleet.state.away).toBeUndefined();
});

test('answers no question while the engine is slow or gone', async () => {
  const world = new EngineWorld();
  const fleet = await world.started();
  const ask = () => fleet.ask((engine) => engine.claim('key', 'mine', 1_000));
  const first = ask();
  await world.clock.advance(world.delayMs);
  expect(await first).toEqual({ answer: undefined });
  world.delayMs = 200;
  const second = ask();
  await world.clock.advance(60);
  expect(await second).toBeUndefined();
  expect(fleet.state.away).toBe('slow');
  expect(fleet.roundTrips.late).toBe(1);
  expect(await ask()).toBeUndefined();
});

test('an answer of the engine without its numbers is an error', () => {
  expect(numberOf('5')).toBe(5);
  expect(numberOf(0.5)).toBe(0.5);
  for (const value of [undefined, null, 'x', Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => numberOf(value)).toThrow('not understood');
});
