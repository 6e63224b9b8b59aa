import { describe, expect, test } from 'vitest';
import { EMPTY_BODY } from '../../src/http/request-body.ts';
import type { Call } from '../../src/proxy/call.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import type { CallEvent } from '../../src/proxy/events.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { type Fault, outageScenario, parseFault } from '../../src/simulate/scenario.ts';
import { combine } from '../../src/proxy/observer.ts';
import { subjectWith } from '../../bench/outage/default-policy.ts';
import { exponential, rollOf, seededRandom, subSeed } from '../../src/simulate/seeded-random.ts';
import { Station } from '../../src/simulate/station.ts';
import { SimulatedUpstream } from '../../src/simulate/upstream.ts';
import { startSidecar } from '../../src/simulate/sidecar.ts';
import { VirtualClock } from '../../src/simulate/virtual-clock.ts';
import { isUnlucky, Weather } from '../../src/simulate/weather.ts';

describe('the virtual clock', () => {
  test('runs events in the order of their time, and those of one moment in the order they were made', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    const random = seededRandom(1);
    const times = Array.from({ length: 500 }, () => Math.floor(random() * 50));
    times.forEach((at, index) => clock.timer(at, () => seen.push(`${at}/${index}`)));
    await clock.run(Infinity);
    const expected = times
      .map((at, index) => ({ at, index }))
      .sort((a, b) => a.at - b.at || a.index - b.index);
    expect(seen).toEqual(expected.map(({ at, index }) => `${at}/${index}`));
  });

  test('lets everything that waits for promises run before the next event, however long the chain', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    clock.timer(1, () => {
      void (async () => {
        for (let i = 0; i < 100; i++) await Promise.resolve();
        seen.push(`chain at ${clock.now()}`);
      })();
    });
    clock.timer(2, () => seen.push('next event'));
    await clock.run(Infinity);
    expect(seen).toEqual(['chain at 1', 'next event']);
  });

  test('does so for what began before it ran', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    void (async () => {
      for (let i = 0; i < 10; i++) await Promise.resolve();
      seen.push('before');
    })();
    clock.timer(0, () => seen.push('event'));
    await clock.run(Infinity);
    expect(seen).toEqual(['before', 'event']);
  });

  test('a sleep ends on time or with its signal, and a cancelled timer never comes', async () => {
    const clock = new VirtualClock();
    const signal = new Abort();
    const ends: string[] = [];
    const note = (name: string) => (why?: unknown) =>
      void ends.push(`${name} ${clock.now()}${why instanceof Error ? ` ${why.message}` : ''}`);
    clock.sleep(10, signal).then(note('slept'), note('woken'));
    clock.sleep(50, signal).then(note('slept'), note('woken'));
    clock.timer(30, () => signal.abort(new Error('enough')));
    clock.timer(40, note('never')).cancel();
    await clock.run(Infinity);
    expect(ends).toEqual(['slept 10', 'woken 30 enough']);
    // What was called off does not move time either.
    expect(clock.now()).toBe(30);
    expect(signal.listenerCount).toBe(0);
    await expect(clock.sleep(1, signal)).rejects.toThrow('enough');
  });

  test('stops at its end, and wall time moves along', async () => {
    const clock = new VirtualClock();
    const start = clock.wallTime();
    let late = false;
    clock.timer(10, () => {});
    clock.timer(11, () => (late = true));
    await clock.run(10);
    expect([clock.now(), clock.wallTime() - start, late]).toEqual([10, 10, false]);
  });
});

describe('seeded luck', () => {
  test('is the same for the same seed and differs between streams', () => {
    const rolls = (seed: number) => Array.from({ length: 5 }, seededRandom(seed));
    expect(rolls(7)).toEqual(rolls(7));
    expect(rolls(7)).not.toEqual(rolls(8));
    expect(subSeed(1, 'arrivals')).not.toBe(subSeed(1, 'service'));
  });

  test('rolls and exponential gaps have the right mean', () => {
    const random = seededRandom(3);
    const mean = (draw: (i: number) => number) =>
      Array.from({ length: 20_000 }, (_, i) => draw(i)).reduce((sum, value) => sum + value, 0) / 20_000;
    expect(mean(() => exponential(100, random))).toBeCloseTo(100, -1);
    expect(mean((i) => rollOf(1, `/${i}#1`))).toBeCloseTo(0.5, 1);
  });
});

describe('the station', () => {
  test('serves so many at a time, in their order, and refuses beyond its queue', async () => {
    const clock = new VirtualClock();
    const station = new Station(clock, { workers: 2, queue: 3, serviceMs: () => 10 });
    const served: string[] = [];
    const taken = Array.from({ length: 6 }, (_, i) =>
      station.offer(() => served.push(`${i} at ${clock.now()}`)),
    );
    await clock.run(Infinity);
    expect(taken).toEqual([true, true, true, true, true, false]);
    expect(served).toEqual(['0 at 10', '1 at 10', '2 at 20', '3 at 20', '4 at 30']);
  });

  test('keeps its order over thousands', async () => {
    const clock = new VirtualClock();
    const station = new Station(clock, { workers: 1, queue: 5_000, serviceMs: () => 1 });
    const served: number[] = [];
    for (let i = 0; i < 4_000; i++) station.offer(() => served.push(i));
    await clock.run(Infinity);
    expect(served).toEqual(Array.from({ length: 4_000 }, (_, i) => i));
  });
});

const scenario = (fault: Fault) => outageScenario(fault, { faultAtMs: 1_000, faultMs: 20_000 });

describe('faults', () => {
  test.each(['outage', 'blackhole', 'rate-limited', 'exhausted', 'flapping', 'brownout'])(
    '%s is parsed',
    (word) => expect(parseFault(word)).toEqual({ kind: word }),
  );

  test.each([
    ['flaky=0.3', 0.3],
    ['flaky=.3', 0.3],
    ['flaky=30%', 0.3],
    ['flaky=1', 1],
  ])('%s is parsed', (word, share) => expect(parseFault(word)).toEqual({ kind: 'flaky', share }));

  test.each(['', 'flaky', 'flaky=', 'flaky=2', 'flaky=-1', 'Outage'])('%j is none', (word) =>
    expect(parseFault(word)).toBeUndefined(),
  );

  test.each(['outage', 'blackhole', 'exhausted', 'flapping'] as const)(
    '%s begins and ends on time',
    (kind) => {
      const weather = new Weather(scenario({ kind }));
      const kinds = [999, 1_000, 21_000].map((now) => weather.treat('/', 1, now).kind);
      expect(kinds).toEqual(['serve', kind === 'blackhole' ? 'silence' : 'refuse', 'serve']);
    },
  );

  test('flapping changes every two seconds', () => {
    const weather = new Weather(scenario({ kind: 'flapping' }));
    const kinds = [1_000, 2_999, 3_000, 4_999, 5_000].map((now) => weather.treat('/', 1, now).kind);
    expect(kinds).toEqual(['refuse', 'refuse', 'serve', 'serve', 'refuse']);
  });

  test('a brownout is ten times slower, only while it lasts', () => {
    const weather = new Weather(scenario({ kind: 'brownout' }));
    expect([0, 1_000, 20_999, 21_000].map((now) => weather.slowdown(now))).toEqual([1, 10, 10, 1]);
    expect(new Weather(scenario({ kind: 'outage' })).slowdown(1_000)).toBe(1);
  });

  test('a rate limit lets half the capacity through, then says when the window ends', () => {
    const weather = new Weather(scenario({ kind: 'rate-limited' }));
    for (let i = 0; i < 250; i++) expect(weather.treat('/', 1, 1_000).kind).toBe('serve');
    expect(weather.treat('/', 1, 2_500)).toEqual({ kind: 'refuse', status: 429, retryAfterSeconds: 4 });
    expect(weather.treat('/', 1, 6_000).kind).toBe('serve');
  });

  test('bad luck belongs to the attempt, whenever it comes', () => {
    const flaky = scenario({ kind: 'flaky', share: 0.3 });
    const weather = new Weather(flaky);
    const unlucky = Array.from({ length: 5_000 }, (_, i) => isUnlucky(flaky, `/${i}`, 1 + (i % 3)));
    expect(unlucky.filter(Boolean).length / 5_000).toBeCloseTo(0.3, 1);
    unlucky.forEach((bad, i) => {
      const kinds = [1_000, 9_999].map((now) => weather.treat(`/${i}`, 1 + (i % 3), now).kind);
      expect(kinds).toEqual(bad ? ['refuse', 'refuse'] : ['serve', 'serve']);
    });
  });
});

function call(target: string, changes: Partial<Call> = {}): Call & { readonly events: CallEvent[] } {
  const events: CallEvent[] = [];
  const signal = new Abort();
  const fixed = {
    method: 'GET',
    headers: [],
    body: EMPTY_BODY,
    idempotencyKey: undefined,
    attempt: 1,
    lastAttempt: true,
  };
  return {
    ...fixed,
    target,
    deadline: 8_000,
    signal,
    report: (event) => events.push(event),
    events,
    ...changes,
  };
}

describe('the simulated upstream', () => {
  test('answers like the real one, and reports each attempt', async () => {
    const clock = new VirtualClock();
    const upstream = new SimulatedUpstream(outageScenario({ kind: 'outage' }, { faultAtMs: 5_000 }), clock);
    const calm = call('/1');
    const down = call('/2', { attempt: 2 });
    const statuses: number[] = [];
    void upstream.send(calm).then(({ status }) => statuses.push(status));
    clock.timer(5_000, () => void upstream.send(down).then(({ status }) => statuses.push(status)));
    await clock.run(Infinity);
    expect(statuses).toEqual([200, 503]);
    expect(upstream.attemptTimes).toEqual([0, 5_000]);
    expect(calm.events.map(({ type }) => type)).toEqual(['attempt_started', 'attempt_answered']);
    expect(down.events).toEqual([
      { type: 'attempt_started', attempt: 2 },
      { type: 'attempt_answered', attempt: 2, status: 503, ms: 1 },
    ]);
    expect([calm, down].map(({ signal }) => signal.listenerCount)).toEqual([0, 0]);
  });

  test('works on for those who have left, and counts it as waste', async () => {
    const clock = new VirtualClock();
    const upstream = new SimulatedUpstream(outageScenario({ kind: 'brownout' }, { faultAtMs: 0 }), clock);
    const left = call('/1');
    const error = new ProxyError('attempt_timeout', 'late', { sent: 'sent_unknown' });
    let failed: unknown;
    upstream.send(left).catch((reason: unknown) => (failed = reason));
    clock.timer(0.001, () => left.signal.abort(error));
    await clock.run(Infinity);
    expect(failed).toBe(error);
    expect([upstream.served, upstream.wasted]).toEqual([1, 1]);
    expect(left.events.at(-1)).toMatchObject({
      type: 'attempt_failed',
      code: 'attempt_timeout',
      sent: 'sent_unknown',
    });
  });

  test('a blackhole keeps silent until the caller gives up', async () => {
    const clock = new VirtualClock();
    const upstream = new SimulatedUpstream(outageScenario({ kind: 'blackhole' }, { faultAtMs: 0 }), clock);
    const waiting = call('/1');
    let ended: unknown;
    upstream.send(waiting).then(
      () => (ended = 'answered'),
      (error: unknown) => (ended = error),
    );
    await clock.run(Infinity);
    expect(ended).toBeUndefined();
    const gone = new ProxyError('deadline_exceeded', 'no head before the deadline');
    clock.timer(1, () => waiting.signal.abort(gone));
    await clock.run(Infinity);
    expect(ended).toBe(gone);
  });

  test('serves its capacity and no more', async () => {
    const clock = new VirtualClock();
    const upstream = new SimulatedUpstream(
      outageScenario({ kind: 'outage' }, { capacityPerSecond: 100 }),
      clock,
    );
    const statuses: number[] = [];
    for (let i = 0; i < 600; i++)
      void upstream.send(call(`/${i}`)).then(({ status }) => statuses.push(status));
    await clock.run(Infinity);
    expect(statuses.filter((status) => status === 503)).toHaveLength(90);
    expect(upstream.served).toBe(510);
    expect(clock.now()).toBeGreaterThan(4_000);
    expect(clock.now()).toBeLessThan(6_500);
  });
});

test('a sidecar ties its budget to its breaker, as the proxy does', () => {
  const clock = new VirtualClock();
  const upstream = new SimulatedUpstream(outageScenario({ kind: 'outage' }), clock);
  const world = { clock, random: seededRandom(1), observer: combine(), upstream: upstream.send };
  const [scope, ...others] = startSidecar(subjectWith(), world).scopes;
  expect(others).toEqual([]);
  expect(scope?.budget).toBeDefined();
  expect(scope?.guard?.budget).toBe(scope?.budget);
});
