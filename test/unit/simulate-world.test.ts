import { describe, expect, test } from 'vitest';
import { subjectWith } from '../../bench/outage/default-policy.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { Abort } from '../../src/runtime/abort.ts';
import type { Effect, Limits, Trouble } from '../../src/simulate/effect.ts';
import {
  type Endpoint,
  endpointsOf,
  type Fault,
  outageScenario,
  parseFault,
} from '../../src/simulate/scenario.ts';
import { exponential, rollOf, seededRandom, subSeed } from '../../src/simulate/seeded-random.ts';
import { startSidecar } from '../../src/simulate/sidecar.ts';
import { simulate, simulateDirect } from '../../src/simulate/simulate.ts';
import { WorkerQueue } from '../../src/simulate/worker-queue.ts';
import { trafficOf } from '../../src/simulate/traffic.ts';
import { SimulatedUpstream } from '../../src/simulate/upstream.ts';
import { VirtualClock } from '../../src/simulate/virtual-clock.ts';
import { type Asked, isUnlucky, FaultSchedule } from '../../src/simulate/fault-schedule.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { sending, type StubCall, stubCall } from '../support/stub-call.ts';

describe('the virtual clock', () => {
  test('runs events by time, and those of the same time in the order of creation', async () => {
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

  test('runs all code that waits for promises before the next event, however long the chain', async () => {
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

  test('does so for code that started before the clock', async () => {
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
    // A cancelled timer does not advance the time either.
    expect(clock.now()).toBe(30);
    expect(signal.listenerCount).toBe(0);
    await expect(clock.sleep(1, signal)).rejects.toThrow('enough');
  });

  test('stops at its end, and wall time advances too', async () => {
    const clock = new VirtualClock();
    const start = clock.wallTime();
    let late = false;
    clock.timer(10, () => {});
    clock.timer(11, () => (late = true));
    await clock.run(10);
    expect([clock.now(), clock.wallTime() - start, late]).toEqual([10, 10, false]);
  });
});

describe('seeded random numbers', () => {
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

describe('the workers', () => {
  test('serves so many at a time, in their order, and refuses beyond its queue', async () => {
    const clock = new VirtualClock();
    const workers = new WorkerQueue(clock, { workers: 2, queue: 3 });
    const served: string[] = [];
    const taken = Array.from({ length: 6 }, (_, i) =>
      workers.offer(
        () => 10,
        () => served.push(`${i} at ${clock.now()}`),
      ),
    );
    await clock.run(Infinity);
    expect(taken).toEqual([true, true, true, true, true, false]);
    expect(served).toEqual(['0 at 10', '1 at 10', '2 at 20', '3 at 20', '4 at 30']);
  });

  test('keeps its order over thousands', async () => {
    const clock = new VirtualClock();
    const workers = new WorkerQueue(clock, { workers: 1, queue: 5_000 });
    const served: number[] = [];
    for (let i = 0; i < 4_000; i++)
      workers.offer(
        () => 1,
        () => served.push(i),
      );
    await clock.run(Infinity);
    expect(served).toEqual(Array.from({ length: 4_000 }, (_, i) => i));
  });
});

const [endpoint = { path: '' }] = endpointsOf({});
const known = () => ({ endpoint, key: undefined });
const asked = (target = '/', attempt = 1) => ({ endpoint, target, attempt });
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

  test.each(['stall', 'error-event'] as const)('%s has a share', (kind) => {
    expect(parseFault(`${kind}=0.1`)).toEqual({ kind, share: 0.1 });
    expect(parseFault(kind)).toBeUndefined();
  });

  test.each(['', 'flaky', 'flaky=', 'flaky=2', 'flaky=-1', 'Outage'])('%j is none', (word) =>
    expect(parseFault(word)).toBeUndefined(),
  );

  test.each(['outage', 'blackhole', 'exhausted', 'flapping'] as const)(
    '%s begins and ends on time',
    (kind) => {
      const faults = new FaultSchedule(scenario({ kind }));
      const kinds = [999, 1_000, 21_000].map((now) => faults.treat(asked(), now).kind);
      expect(kinds).toEqual(['serve', kind === 'blackhole' ? 'silence' : 'refuse', 'serve']);
    },
  );

  test('flapping changes every two seconds', () => {
    const faults = new FaultSchedule(scenario({ kind: 'flapping' }));
    const kinds = [1_000, 2_999, 3_000, 4_999, 5_000].map((now) => faults.treat(asked(), now).kind);
    expect(kinds).toEqual(['refuse', 'refuse', 'serve', 'serve', 'refuse']);
  });

  test('a brownout is ten times slower, only while it lasts', () => {
    const faults = new FaultSchedule(scenario({ kind: 'brownout' }));
    expect([0, 1_000, 20_999, 21_000].map((now) => faults.slowdown(asked(), now))).toEqual([1, 10, 10, 1]);
    expect(new FaultSchedule(scenario({ kind: 'outage' })).slowdown(asked(), 1_000)).toBe(1);
  });

  test('a rate limit lets half the capacity through, then says when the window ends', () => {
    const faults = new FaultSchedule(scenario({ kind: 'rate-limited' }));
    for (let i = 0; i < 250; i++) expect(faults.treat(asked(), 1_000).kind).toBe('serve');
    expect(faults.treat(asked(), 2_500)).toEqual({
      kind: 'refuse',
      status: 429,
      headers: ['Retry-After', '4'],
    });
    expect(faults.treat(asked(), 6_000).kind).toBe('serve');
  });

  test('a random failure depends on the attempt, not on its time', () => {
    const flaky = scenario({ kind: 'flaky', share: 0.3 });
    const faults = new FaultSchedule(flaky);
    const unlucky = Array.from({ length: 5_000 }, (_, i) =>
      isUnlucky(1, 0.3, { target: `/${i}`, attempt: 1 + (i % 3) }),
    );
    expect(unlucky.filter(Boolean).length / 5_000).toBeCloseTo(0.3, 1);
    unlucky.forEach((bad, i) => {
      const kinds = [1_000, 9_999].map((now) => faults.treat(asked(`/${i}`, 1 + (i % 3)), now).kind);
      expect(kinds).toEqual(bad ? ['refuse', 'refuse'] : ['serve', 'serve']);
    });
  });
});

const call = (target: string, number = 1): StubCall => stubCall({ target, number, deadline: 8_000 });

describe('the simulated upstream', () => {
  test('answers like the real one, and reports each attempt', async () => {
    const clock = new VirtualClock();
    const upstream = new SimulatedUpstream(
      outageScenario({ kind: 'outage' }, { faultAtMs: 5_000 }),
      clock,
      known,
    );
    const calm = call('/1');
    const down = call('/2', 2);
    const statuses: number[] = [];
    void upstream.send(calm, calm.attempt).then(({ status }) => statuses.push(status));
    clock.timer(
      5_000,
      () => void upstream.send(down, down.attempt).then(({ status }) => statuses.push(status)),
    );
    await clock.run(Infinity);
    expect(statuses).toEqual([200, 503]);
    expect(upstream.reached.map(({ atMs }) => atMs)).toEqual([0, 5_000]);
    expect(calm.entries.map(([name]) => name)).toEqual(['attemptStarted', 'attemptAnswered']);
    expect(down.entries).toEqual([
      ['attemptStarted', 2],
      ['attemptAnswered', 2, 503, 1],
    ]);
    expect([calm, down].map(({ signal }) => signal.listenerCount)).toEqual([0, 0]);
  });

  test('serves requests of clients that have gone, and counts them as waste', async () => {
    const clock = new VirtualClock();
    const upstream = new SimulatedUpstream(
      outageScenario({ kind: 'brownout' }, { faultAtMs: 0 }),
      clock,
      known,
    );
    const left = call('/1');
    const error = new ProxyError('attempt_timeout', 'late', { sent: 'sent_unknown' });
    let failed: unknown;
    upstream.send(left, left.attempt).catch((reason: unknown) => (failed = reason));
    clock.timer(0.001, () => left.signal.abort(error));
    await clock.run(Infinity);
    expect(failed).toBe(error);
    expect([upstream.served, upstream.wasted]).toEqual([1, 1]);
    expect(left.entries.at(-1)?.slice(0, 4)).toEqual(['attemptFailed', 1, 'attempt_timeout', 'sent_unknown']);
  });

  test('a blackhole is silent until the caller gives up', async () => {
    const clock = new VirtualClock();
    const upstream = new SimulatedUpstream(
      outageScenario({ kind: 'blackhole' }, { faultAtMs: 0 }),
      clock,
      known,
    );
    const waiting = call('/1');
    let ended: unknown;
    upstream.send(waiting, waiting.attempt).then(
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
      known,
    );
    const statuses: number[] = [];
    for (let i = 0; i < 600; i++)
      void sending(upstream.send)(call(`/${i}`)).then(({ status }) => statuses.push(status));
    await clock.run(Infinity);
    expect(statuses.filter((status) => status === 503)).toHaveLength(90);
    expect(upstream.served).toBe(510);
    expect(clock.now()).toBeGreaterThan(4_000);
    expect(clock.now()).toBeLessThan(6_500);
  });
});

test('the budget of a sidecar follows its breaker, as in the proxy', () => {
  const clock = new VirtualClock();
  const upstream = new SimulatedUpstream(outageScenario({ kind: 'outage' }), clock, known);
  const world = { clock, random: seededRandom(1), observer: combine(), upstream: upstream.send };
  const [scope, ...others] = startSidecar(subjectWith(), world).scopes;
  expect(others).toEqual([]);
  expect(scope?.budget).toBeDefined();
  expect(scope?.breakerHandle?.watch?.budget).toBe(scope?.budget);
});

describe('troubles of an endpoint', () => {
  const fault = { faultAtMs: 0, faultMs: 60_000 };
  const treatmentOf = (...troubles: Trouble[]) => {
    const one: Endpoint = { path: '/one', troubles };
    const other: Endpoint = { path: '/other', troubles: [] };
    const faults = new FaultSchedule(outageScenario({ kind: 'own' }, { ...fault, endpoints: [one, other] }));
    return (now: number, at: Partial<Asked> = {}) =>
      faults.treat({ endpoint: one, target: '/one', attempt: 1, ...at }, now, now);
  };
  const refused: Effect = { kind: 'answers', status: 503, headers: ['Retry-After', '3600'] };

  test('affect only that endpoint, and at most the given number of attempts', () => {
    const treat = treatmentOf({ does: refused, most: 1 });
    expect(treat(0)).toMatchObject({ kind: 'refuse', status: 503, headers: ['Retry-After', '3600'] });
    expect(treat(1).kind).toBe('serve');
  });

  test('a connection breaks, or no answer comes before the end of the fault', () => {
    expect(treatmentOf({ does: { kind: 'breaks', code: 'connection_refused' } })(0).kind).toBe('break');
    expect(treatmentOf({ does: { kind: 'hangs', untilOver: true } })(20_000)).toEqual({
      kind: 'silence',
      ms: 40_000,
    });
  });

  const limits = (changes: Partial<Limits>): Trouble => ({
    does: {
      kind: 'limits',
      per: 'key',
      refill: 'window',
      requests: 2,
      windowMs: 10_000,
      tells: 'x-ratelimit',
      ...changes,
    },
  });

  test('a window reports the rest, counts each key separately, and is reset at its end', () => {
    const treat = treatmentOf(limits({}));
    const fields = (left: string, reset: string) => [
      'X-RateLimit-Limit',
      '2',
      'X-RateLimit-Remaining',
      left,
      'X-RateLimit-Reset',
      reset,
    ];
    expect(treat(0, { key: 'a' })).toEqual({ kind: 'serve', headers: fields('1', '10') });
    expect(treat(1_000, { key: 'a' })).toEqual({ kind: 'serve', headers: fields('0', '9') });
    const last = { kind: 'refuse', status: 429, headers: [...fields('0', '8'), 'Retry-After', '8'] };
    expect(treat(2_000, { key: 'a' })).toEqual(last);
    expect(treat(2_000, { key: 'b' }).kind).toBe('serve');
    expect(treat(10_000, { key: 'a' }).kind).toBe('serve');
  });

  test('a bucket refills continuously, and its reset is when it is full', () => {
    const treat = treatmentOf(limits({ refill: 'bucket', tells: 'openai' }));
    treat(0);
    treat(0);
    expect(treat(0)).toMatchObject({ kind: 'refuse', status: 429 });
    expect(treat(5_000)).toEqual({
      kind: 'serve',
      headers: [
        'X-RateLimit-Limit-Requests',
        '2',
        'X-RateLimit-Remaining-Requests',
        '0',
        'X-RateLimit-Reset-Requests',
        '10000ms',
      ],
    });
    expect(treat(5_001).kind).toBe('refuse');
  });
});

describe('traffic', () => {
  const endpoints: readonly Endpoint[] = [{ path: '/often', weight: 3 }, { path: '/orders/{n}' }];
  const load = outageScenario({ kind: 'own' }, { endMs: 100_000, ratePerSecond: 10, endpoints });

  test('is distributed by weight, and each call has its own target', () => {
    const all = [...trafficOf(load)];
    const often = all.filter(({ endpoint: one }) => one.path === '/often');
    expect(often.length / all.length).toBeCloseTo(0.75, 1);
    expect(new Set(all.map(({ target }) => target)).size).toBe(all.length);
    expect(all.map(({ target }) => target).join(' ')).toMatch(/\/often\?n=\d+ .*\/orders\/\d+/);
  });

  test('has bursts, even without other calls', () => {
    const bursts = [
      { atMs: 5_000, calls: 2 },
      { atMs: 1_000, calls: 1 },
    ];
    const times = (ratePerSecond: number) =>
      [...trafficOf({ ...load, ratePerSecond, bursts })].map(({ atMs }) => atMs);
    expect(times(0)).toEqual([1_000, 5_000, 5_000]);
    const mixed = times(10);
    expect(mixed).toEqual(mixed.toSorted((a, b) => a - b));
    expect(mixed.filter((at) => at === 5_000)).toHaveLength(2);
  });
});

describe('clients', () => {
  const hung = outageScenario(
    { kind: 'blackhole' },
    { faultAtMs: 0, faultMs: 4_500, endMs: 1, ratePerSecond: 0, bursts: [{ atMs: 0, calls: 1 }] },
  );

  test('without a proxy, one that never gives up never ends', async () => {
    const { calls } = await simulateDirect(subjectWith(), hung);
    expect(calls).toMatchObject([{ ok: false, tries: 1, attempts: 0, failure: undefined }]);
  });

  test('give up, and their SDK retries later', async () => {
    const clients = { giveUpMs: 1_000, retries: 5 };
    const { calls, reached } = await simulateDirect(subjectWith(), { ...hung, clients });
    expect(calls).toMatchObject([{ ok: true, failure: undefined }]);
    expect(reached.length).toBe(calls[0]?.tries);
    // A second, and half a second, a second, two seconds between.
    expect(reached.length).toBe(4);
  });

  test('a proxy that has used all attempts stops the retries of the SDK', async () => {
    const down = { ...hung, fault: { kind: 'outage' }, clients: { retries: 2 } } as const;
    const [through] = (await simulate(subjectWith(), down)).calls;
    expect(through).toMatchObject({ ok: false, tries: 1, attempts: 3 });
    const [direct] = (await simulateDirect(subjectWith(), down)).calls;
    expect(direct).toMatchObject({ ok: false, tries: 3, attempts: 3 });
  });
});
