import { describe, expect, test } from 'vitest';
import { AwakeTime, realTime, systemClock, type TimerHost, Timers } from '../../src/runtime/clock.ts';
import { nextTurn } from '../../src/runtime/event-loop.ts';

function setUp() {
  let real = 0;
  const time = new AwakeTime(() => real);
  return { time, at: (ms: number) => ((real = ms), time.now()) };
}

test('time advances normally while it is read', () => {
  const { at, time } = setUp();
  expect([100, 600, 1_100, 2_600].map(at)).toEqual([100, 600, 1_100, 2_600]);
  expect(time.stalls).toBe(0);
});

test('a stall counts as one beat, each time', () => {
  const { at, time } = setUp();
  expect(at(400)).toBe(400);
  expect(at(60_400)).toBe(900);
  expect(at(60_500)).toBe(1_000);
  expect(at(3_660_500)).toBe(1_500);
  expect(time.stalls).toBe(2);
});

describe('timers share one timer of Node', () => {
  /** A host whose time a test sets. Its only timer fires when the time has come. */
  function host() {
    let real = 0;
    let set: { readonly at: number; readonly callback: () => void; held: boolean } | undefined;
    const immediates: Array<() => void> = [];
    const started: number[] = [];
    const node = {
      setTimeout: (callback: () => void, ms: number) => {
        started.push(ms);
        const timer = { at: real + ms, callback, held: true };
        set = timer;
        return Object.assign(timer, {
          ref: () => (timer.held = true),
          unref: () => (timer.held = false),
        });
      },
      clearTimeout: () => {
        set = undefined;
      },
      setImmediate: (callback: () => void) => void immediates.push(callback),
    } as unknown as TimerHost;
    const time = new AwakeTime(() => real);
    const advance = (ms: number) => {
      real += ms;
      // As the beat does.
      time.now();
      const due = set;
      if (due === undefined || due.at > real) return;
      set = undefined;
      due.callback();
    };
    const turn = () => immediates.splice(0).forEach((callback) => callback());
    /** Node fires its timer now, which may be too early. */
    const fire = () => set?.callback();
    return { timers: new Timers(time, node), advance, fire, turn, started, held: () => set?.held };
  }

  test('each fires at its time, in order', () => {
    const { timers, advance, started } = host();
    const fired: string[] = [];
    for (const [name, ms] of [
      ['b', 200],
      ['a', 100],
      ['c', 300],
    ] as const)
      timers.start(ms, () => fired.push(name));
    const seen = [99, 1, 99, 1, 100].map((ms) => {
      advance(ms);
      return fired.join('');
    });
    expect(seen).toEqual(['', 'a', 'a', 'ab', 'abc']);
    expect(started).toEqual([200, 100, 100, 100]);
  });

  test('a cancelled timer does not fire, and calls one after the other set one timer of Node', () => {
    const { timers, advance, started } = host();
    const fired: number[] = [];
    for (let i = 0; i < 100; i++) {
      timers.start(1_000, () => fired.push(i)).cancel();
      advance(1);
    }
    timers.start(1_000, () => fired.push(100));
    advance(900);
    advance(100);
    expect([fired, started]).toEqual([[100], [1_000, 100]]);
  });

  test('a timer of Node without a timer of the proxy does not keep the process alive', () => {
    const { timers, held } = host();
    const first = timers.start(1_000, () => undefined);
    expect(held()).toBe(true);
    first.cancel();
    expect(held()).toBe(false);
    timers.start(2_000, () => undefined);
    expect(held()).toBe(true);
  });

  test('after a stall, sockets are read first, and the rest of the time is waited', () => {
    const { timers, advance, turn } = host();
    const fired: string[] = [];
    timers.start(3_000, () => fired.push('timer'));
    advance(60_000);
    expect(fired).toEqual([]);
    turn();
    expect(fired).toEqual([]);
    // The stall counted as 500 ms.
    advance(1_250);
    expect(fired).toEqual([]);
    advance(1_250);
    expect(fired).toEqual(['timer']);
  });

  test('a time beyond the longest timer of Node is waited in parts', () => {
    const { timers, started } = host();
    timers.start(2 ** 40, () => undefined);
    expect(started).toEqual([2 ** 31 - 1]);
  });

  test('if Node is too early, the rest is waited: a listener is not called before its time', () => {
    const { timers, advance, fire, started } = host();
    const fired: string[] = [];
    timers.start(10.5, () => fired.push('timer'));
    advance(9.75);
    fire();
    expect(fired).toEqual([]);
    advance(1);
    expect([fired, started]).toEqual([['timer'], [11, 1]]);
  });

  test('a time that is no number is over at once, and stops no other timer', () => {
    const { timers, advance } = host();
    const fired: string[] = [];
    timers.start(Number.NaN, () => fired.push('none'));
    timers.start(-5, () => fired.push('past'));
    timers.start(100, () => fired.push('later'));
    advance(0);
    expect(fired).toEqual(['none', 'past']);
    advance(100);
    expect(fired).toEqual(['none', 'past', 'later']);
  });

  test('an error of one timer does not stop the others', () => {
    const { timers, advance } = host();
    const fired: string[] = [];
    timers.start(100, () => {
      throw new Error('a bug');
    });
    timers.start(200, () => fired.push('later'));
    expect(() => advance(100)).toThrow('a bug');
    advance(100);
    expect(fired).toEqual(['later']);
  });
});

test('a listener that waits for the rest of its time is called once', async () => {
  let calls = 0;
  const ends = [0.3, 1, 1.5, 2.7, 3.2, 4.9, 5].map(
    (ms) =>
      new Promise<void>((resolve) => {
        const end = systemClock.now() + ms;
        const look = () => {
          calls++;
          const left = end - systemClock.now();
          if (left > 0) systemClock.timer(left, look);
          else resolve();
        };
        systemClock.timer(ms, look);
      }),
  );
  await Promise.all(ends);
  expect(calls).toBe(ends.length);
});

test('the time stands still while one callback of the event loop runs', async () => {
  const begun = systemClock.now();
  const later = realTime() + 2;
  while (realTime() < later);
  expect(systemClock.now()).toBe(begun);
  await nextTurn();
  expect(systemClock.now()).toBeGreaterThan(begun);
});
