import { expect, test } from 'vitest';
import { Breaker } from '../../src/policies/circuit-breaker/breaker.ts';
import type { BreakerOptions } from '../../src/policies/circuit-breaker/options.ts';
import type { FailureDetail, Permit } from '../../src/policies/circuit-breaker/permit.ts';
import { probeWaitMs } from '../../src/policies/circuit-breaker/probe-wait.ts';

const OPTIONS: BreakerOptions = {
  mode: 'enforce',
  windowMs: 10_000,
  minRequests: 20,
  failureRate: 0.8,
  slow: undefined,
  connectFailures: 5,
  consecutiveFailures: 10,
  probes: 3,
  waitRatio: 0.1,
  minWaitMs: 500,
  maxWaitMs: 15_000,
};
const HOUR = 3_600_000;
const MINUTE = 60_000;

/** `roll` 0.5 makes every wait exactly what the formula says, without its ±20 %. */
function setUp(changes: Partial<BreakerOptions> = {}, roll = 0.5) {
  const transitions: string[] = [];
  let stale = 0;
  const observer = {
    changed: (from: string, to: string, cause: string) => transitions.push(`${from} → ${to}: ${cause}`),
    stale: () => stale++,
  };
  const breaker = new Breaker({ ...OPTIONS, ...changes }, () => roll, observer);
  return {
    breaker,
    changes: transitions,
    stale: () => stale,
    fail: (times: number, now: number, failure?: FailureDetail) => {
      for (let i = 0; i < times; i++) acquire(breaker, now).fail(now, failure);
    },
    succeed: (times: number, now: number) => {
      for (let i = 0; i < times; i++) acquire(breaker, now).succeed(now);
    },
  };
}

function acquire(breaker: Breaker, now: number): Permit {
  const permit = breaker.tryAcquire(now);
  if (permit === undefined) throw new Error(`refused at ${now}`);
  return permit;
}

// --- closed ---

test('19 failures stay closed, 20 open', () => {
  const { breaker, fail, changes } = setUp();
  fail(19, 0);
  expect(breaker.state(0)).toBe('closed');
  fail(1, 0);
  expect(breaker.state(0)).toBe('open');
  expect(changes).toEqual(['closed → open: failure_rate']);
});

test('attempts that are silent for a long time are one run, however long each takes', () => {
  const { breaker, changes } = setUp({ consecutiveFailures: 3 });
  let now = 0;
  for (let i = 0; i < 3; i++) {
    const permit = acquire(breaker, now);
    now += 600_000;
    permit.fail(now);
    now += 1_000;
  }
  expect(changes).toEqual(['closed → open: consecutive_failures']);
  const rare = setUp({ consecutiveFailures: 3 });
  for (let i = 0; i < 3; i++) acquire(rare.breaker, i * 600_000).fail(i * 600_000);
  expect(rare.changes).toEqual([]);
});

test('opens at the rate, not below it, and the rate counts every attempt', () => {
  const below = setUp({ minRequests: 100 });
  below.succeed(21, 0);
  below.fail(79, 0);
  expect(below.breaker.state(0)).toBe('closed');
  const at = setUp({ minRequests: 100 });
  at.succeed(20, 0);
  at.fail(80, 0);
  expect(at.breaker.state(0)).toBe('open');
});

test('the attempt that completes the minimum may be a success', () => {
  const { breaker, fail, succeed } = setUp();
  fail(19, 0);
  succeed(1, 0);
  expect(breaker.state(0)).toBe('open');
});

test('19 failures at t=0 are gone at t=10 s', () => {
  const { breaker, fail } = setUp({ consecutiveFailures: 1_000 });
  fail(19, 0);
  fail(19, 10_000);
  expect(breaker.state(10_000)).toBe('closed');
  fail(1, 19_999);
  expect(breaker.state(19_999)).toBe('open');
});

test('slow attempts open it at their own rate, failed ones among them, and only when asked', () => {
  const slow = { durationMs: 1_000, rate: 0.5 };
  const { breaker, succeed, changes } = setUp({ slow });
  succeed(10, 0);
  for (let i = 0; i < 9; i++) acquire(breaker, 0).succeed(1_001);
  acquire(breaker, 1_001).succeed(2_001);
  expect(breaker.state(2_001)).toBe('closed');
  acquire(breaker, 1_001).fail(2_002);
  expect(breaker.state(2_002)).toBe('closed');
  acquire(breaker, 1_001).succeed(2_003);
  expect(changes).toEqual(['closed → open: slow_rate']);
  const off = setUp();
  for (let i = 0; i < 100; i++) acquire(off.breaker, i).succeed(i + 9_000);
  expect(off.breaker.state(9_100)).toBe('closed');
});

test('latency is the time to the head, however long the body takes', () => {
  const { breaker } = setUp({ slow: { durationMs: 1_000, rate: 0.5 } });
  for (let i = 0; i < 30; i++) {
    const permit = acquire(breaker, 0);
    permit.answer(100);
    permit.succeed(5_000);
  }
  expect(breaker.state(5_000)).toBe('closed');
});

test('5 connect failures in a row open; any other result in between restarts the count', () => {
  const { breaker, fail, succeed, changes } = setUp();
  fail(4, 0, { connect: true });
  succeed(1, 0);
  fail(4, 0, { connect: true });
  fail(1, 0);
  fail(4, 0, { connect: true });
  expect(breaker.state(0)).toBe('closed');
  fail(1, 0, { connect: true });
  expect(changes).toEqual(['closed → open: connect_failures']);
});

test('10 failures in a row open once they span a second', () => {
  const { breaker, fail, changes } = setUp();
  fail(9, 0);
  fail(1, 999);
  expect(breaker.state(999)).toBe('closed');
  fail(1, 1_000);
  expect(changes).toEqual(['closed → open: consecutive_failures']);
});

test('a success in between restarts the count', () => {
  const { breaker, fail, succeed } = setUp();
  fail(9, 0);
  succeed(1, 500);
  fail(9, 1_000);
  expect(breaker.state(1_000)).toBe('closed');
});

test('one request a minute: ten failures open', () => {
  const { breaker, fail } = setUp();
  for (let i = 0; i < 9; i++) fail(1, i * MINUTE);
  expect(breaker.state(9 * MINUTE)).toBe('closed');
  fail(1, 9 * MINUTE);
  expect(breaker.state(9 * MINUTE)).toBe('open');
});

test('20 failures, an idle hour, one failure: closed', () => {
  const { breaker, fail } = setUp({ minRequests: 100 });
  fail(20, 0);
  fail(1, HOUR);
  expect(breaker.state(HOUR)).toBe('closed');
  const connect = setUp();
  connect.fail(4, 0, { connect: true });
  connect.fail(1, HOUR, { connect: true });
  expect(connect.breaker.state(HOUR)).toBe('closed');
});

test('ignored results count for neither side', () => {
  const { breaker, fail } = setUp();
  fail(9, 0);
  for (let i = 0; i < 100; i++) acquire(breaker, 0).ignore(0);
  fail(1, 1_000);
  expect(breaker.state(1_000)).toBe('open');
  const other = setUp();
  for (let i = 0; i < 100; i++) acquire(other.breaker, i * 100).ignore(i * 100);
  expect(other.breaker.state(10_000)).toBe('closed');
});

test('only the first result of a permit counts', () => {
  const { breaker } = setUp();
  for (let i = 0; i < 19; i++) {
    const permit = acquire(breaker, 0);
    permit.fail(0);
    permit.fail(0);
    permit.succeed(0);
  }
  expect(breaker.state(0)).toBe('closed');
});

// --- open ---

test('refuses until the wait is over, and says how long that is', () => {
  const { breaker, fail } = setUp();
  expect(breaker.retryAfterMs(0)).toBe(0);
  fail(20, 1_000);
  expect(breaker.retryAfterMs(1_000)).toBe(500);
  expect(breaker.tryAcquire(1_499)).toBeUndefined();
  expect(breaker.retryAfterMs(1_499)).toBe(1);
  expect(breaker.state(1_499)).toBe('open');
  expect(breaker.state(1_500)).toBe('half_open');
  expect(breaker.retryAfterMs(1_500)).toBe(0);
});

test('waits at outage ages of 0, 10, 60 and 300 s: 0.5, 1, 6 and 15 s ± 20 %', () => {
  for (const [ageMs, waitMs] of [
    [0, 500],
    [10_000, 1_000],
    [60_000, 6_000],
    [300_000, 15_000],
  ] as const) {
    expect(probeWaitMs(ageMs, OPTIONS, () => 0)).toBeCloseTo(0.8 * waitMs);
    expect(probeWaitMs(ageMs, OPTIONS, () => 0.5)).toBeCloseTo(waitMs);
    expect(probeWaitMs(ageMs, OPTIONS, () => 1)).toBeCloseTo(1.2 * waitMs);
  }
});

test('the age is that of the outage: failed probes do not restart it, closing does', () => {
  const { breaker, fail, succeed } = setUp();
  fail(20, 0);
  acquire(breaker, 10_000).fail(10_000);
  expect(breaker.retryAfterMs(10_000)).toBe(1_000);
  acquire(breaker, 60_000).fail(60_000);
  expect(breaker.retryAfterMs(60_000)).toBe(6_000);
  acquire(breaker, 300_000).fail(300_000);
  expect(breaker.retryAfterMs(300_000)).toBe(15_000);
  succeed(3, 400_000);
  expect(breaker.state(400_000)).toBe('closed');
  fail(20, 400_000);
  expect(breaker.retryAfterMs(400_000)).toBe(500);
});

// --- half-open ---

test('100 callers at the instant of expiry: exactly one is let through', () => {
  const { breaker, fail } = setUp();
  fail(20, 0);
  const permits = Array.from({ length: 100 }, () => breaker.tryAcquire(500)).filter(Boolean);
  expect(permits).toHaveLength(1);
  expect(permits[0]?.probe).toBe(true);
  expect(breaker.retryAfterMs(500)).toBe(500);
});

test('three successful probes, one after the other, close it with a clean slate', () => {
  const { breaker, fail, changes } = setUp();
  fail(20, 0);
  for (let i = 0; i < 3; i++) {
    expect(breaker.state(600)).toBe('half_open');
    acquire(breaker, 600).succeed(600);
  }
  expect(breaker.state(600)).toBe('closed');
  fail(19, 600);
  expect(breaker.state(600)).toBe('closed');
  expect(changes).toEqual([
    'closed → open: failure_rate',
    'open → half_open: wait_over',
    'half_open → closed: probes_succeeded',
  ]);
});

test('a failed probe reopens, even after successful ones', () => {
  const { breaker, fail, succeed, changes } = setUp();
  fail(20, 0);
  succeed(2, 500);
  fail(1, 500);
  expect(breaker.state(500)).toBe('open');
  expect(changes.at(-1)).toBe('half_open → open: probe_failed');
  succeed(2, 2_000);
  expect(breaker.state(2_000)).toBe('half_open');
});

test('a slow probe fails if slow attempts can open the breaker', () => {
  const { breaker, fail } = setUp({ slow: { durationMs: 1_000, rate: 0.5 } });
  fail(20, 0);
  acquire(breaker, 500).succeed(1_501);
  expect(breaker.state(1_501)).toBe('open');
});

test('a cancelled probe gives its place back and proves nothing', () => {
  const { breaker, fail, succeed } = setUp();
  fail(20, 0);
  acquire(breaker, 500).ignore(600);
  succeed(2, 600);
  acquire(breaker, 600).ignore(600);
  expect(breaker.state(600)).toBe('half_open');
  succeed(1, 600);
  expect(breaker.state(600)).toBe('closed');
});

test('a hung probe is followed by another: the wait counts from the start of the first', () => {
  const { breaker, fail, changes } = setUp();
  fail(20, 0);
  const hung = breaker.tryAcquire(30_000, 2_000);
  expect(breaker.tryAcquire(32_000)).toBeUndefined();
  expect(breaker.state(32_000)).toBe('half_open');
  expect(breaker.state(32_001)).toBe('open');
  expect(changes.at(-1)).toBe('half_open → open: probe_hung');
  expect(breaker.retryAfterMs(32_001)).toBe(999);
  hung?.fail(32_500);
  expect(breaker.retryAfterMs(32_500)).toBe(500);
  expect(breaker.tryAcquire(33_000)?.probe).toBe(true);
});

test('the late good answer of a hung probe counts as the probe’s success', () => {
  const { breaker, fail, succeed, changes } = setUp();
  fail(20, 0);
  const hung = breaker.tryAcquire(30_000, 2_000);
  expect(breaker.state(32_001)).toBe('open');
  hung?.succeed(32_100);
  expect(changes.at(-1)).toBe('open → half_open: probe_answered');
  succeed(2, 32_100);
  expect(breaker.state(32_100)).toBe('closed');
});

test('an upstream whose answers to probes take longer than a lease is found well by late answers alone', () => {
  const { breaker, fail, changes } = setUp();
  fail(20, 0);
  const probes = [500, 3_000, 6_000].map((at) => {
    breaker.state(at);
    return breaker.tryAcquire(at, 2_000);
  });
  for (const [index, probe] of probes.entries()) probe?.succeed(8_100 + index);
  expect(changes.at(-1)).toBe('half_open → closed: probes_succeeded');
});

test('a probe of an outage that is over is ignored in the next one', () => {
  const { breaker, fail, succeed, changes, stale } = setUp();
  fail(20, 0);
  const hung = breaker.tryAcquire(500, 2_000);
  breaker.state(3_000);
  succeed(3, 3_000);
  fail(20, 60_000);
  hung?.succeed(60_001);
  expect(changes.at(-1)).toBe('closed → open: failure_rate');
  expect(stale()).toBe(1);
});

test('a suspected attempt counts as a failure, and as a success when it is answered well after all', () => {
  const { breaker, changes } = setUp();
  const permits = Array.from({ length: 40 }, () => acquire(breaker, 0));
  for (const permit of permits.slice(0, 15)) permit.suspect(100);
  for (const permit of permits.slice(0, 15)) permit.succeed(200);
  for (const permit of permits.slice(15, 30)) permit.suspect(300);
  expect(breaker.state(300)).toBe('closed');
  for (const permit of permits.slice(30)) permit.suspect(400);
  expect(breaker.state(400)).toBe('closed');
  expect(changes).toEqual([]);
});

test('an attempt whose silence helped to open it counts as a probe when it is answered well', () => {
  const { breaker, changes } = setUp();
  const silent = Array.from({ length: 20 }, () => acquire(breaker, 0));
  for (const permit of silent) permit.suspect(1_000);
  expect(breaker.state(1_000)).toBe('open');
  for (const permit of silent.slice(0, 3)) permit.succeed(1_200);
  expect(breaker.state(1_200)).toBe('closed');
  expect(changes.slice(1)).toEqual([
    'open → half_open: probe_answered',
    'half_open → closed: probes_succeeded',
  ]);
});

test('an attempt that was suspected later says nothing about the outage', () => {
  const { breaker, fail, stale } = setUp();
  const slow = acquire(breaker, 0);
  fail(20, 100);
  slow.suspect(200);
  slow.succeed(300);
  expect([breaker.state(300), stale()]).toEqual(['open', 2]);
});

test('suspected attempts open it like any other failure, each of them once', () => {
  const { breaker, changes } = setUp();
  const permits = Array.from({ length: 20 }, () => acquire(breaker, 0));
  for (const permit of permits.slice(0, 19)) {
    permit.suspect(100);
    permit.fail(200);
  }
  expect(breaker.state(200)).toBe('closed');
  permits.at(-1)?.suspect(200);
  expect(changes).toEqual(['closed → open: failure_rate']);
});

test('overtaken attempts are part of the failure rate, but never of a run of failures', () => {
  const { breaker, changes } = setUp();
  for (let now = 0; now < 5_000; now += 500) acquire(breaker, now).suspect(now + 100, true);
  expect(breaker.state(5_000)).toBe('closed');
  for (let now = 5_000; now < 10_000; now += 500) acquire(breaker, now).suspect(now + 100, true);
  expect(changes).toEqual(['closed → open: failure_rate']);
});

test('a probe is not suspected: it has its lease', () => {
  const { breaker, fail } = setUp();
  fail(20, 0);
  breaker.tryAcquire(500)?.suspect(1_000);
  expect(breaker.state(1_000)).toBe('half_open');
});

test('a hung probe that went unnoticed for an hour delays no call', () => {
  const { breaker, fail, changes } = setUp();
  fail(20, 0);
  acquire(breaker, 500);
  expect(breaker.tryAcquire(HOUR)?.probe).toBe(true);
  expect(changes.slice(-2)).toEqual(['half_open → open: probe_hung', 'open → half_open: wait_over']);
});

test('a probe with a good head is no longer hung: its lease ends as a success', () => {
  const { breaker, fail, succeed, stale } = setUp();
  fail(20, 0);
  const download = acquire(breaker, 500);
  download.answer(600);
  expect(breaker.tryAcquire(2_500)).toBeUndefined();
  succeed(2, 2_501);
  expect(breaker.state(2_501)).toBe('closed');
  download.fail(60_000);
  expect(stale()).toBe(0);
});

test('an answer from before the change moves nothing, either way', () => {
  for (const result of ['succeed', 'fail', 'ignore'] as const) {
    const { breaker, fail, succeed, stale } = setUp();
    const slow = acquire(breaker, 0);
    fail(20, 0);
    succeed(2, 500);
    slow[result](500);
    expect(breaker.state(500)).toBe('half_open');
    expect(stale()).toBe(result === 'ignore' ? 0 : 1);
    succeed(1, 500);
    expect(breaker.state(500)).toBe('closed');
  }
});

// --- by hand ---

test('forced open stays open for ever and passes no call', () => {
  const { breaker, changes } = setUp();
  const running = acquire(breaker, 0);
  breaker.force('open', 0);
  running.succeed(1);
  expect(breaker.forced).toBe(true);
  expect(breaker.tryAcquire(100 * HOUR)).toBeUndefined();
  expect(breaker.retryAfterMs(100 * HOUR)).toBe(15_000);
  expect(changes).toEqual(['closed → open: forced']);
});

test('forced closed lets every call pass, even if all fail', () => {
  const { breaker, fail, changes } = setUp();
  breaker.force('closed', 0);
  fail(100, 0, { connect: true });
  expect(breaker.state(0)).toBe('closed');
  expect(changes).toEqual([]);
});

test('forcing the state that it is in is no change', () => {
  const { breaker, changes } = setUp();
  breaker.force('open', 0);
  breaker.force('open', 0);
  expect(changes).toEqual(['closed → open: forced']);
});

test('auto starts again as closed', () => {
  const { breaker, fail, changes } = setUp();
  fail(19, 0);
  breaker.force('open', 0);
  breaker.force('auto', 1_000);
  expect(breaker.forced).toBe(false);
  fail(19, 1_000);
  expect(breaker.state(1_000)).toBe('closed');
  fail(1, 1_000);
  expect(changes).toEqual(['closed → open: forced', 'open → closed: forced', 'closed → open: failure_rate']);
});

test('auto changes nothing if nothing was forced', () => {
  const { breaker, fail } = setUp();
  fail(20, 0);
  breaker.force('auto', 0);
  expect(breaker.state(0)).toBe('open');
});

test('the first probe runs alone; after a success the others run concurrently', () => {
  const { breaker, fail } = setUp();
  fail(20, 0);
  const first = acquire(breaker, 600);
  expect(breaker.tryAcquire(600)).toBeUndefined();
  first.succeed(700);
  const second = acquire(breaker, 700);
  const third = acquire(breaker, 700);
  expect(breaker.tryAcquire(700)).toBeUndefined();
  third.succeed(750);
  expect(breaker.tryAcquire(750)).toBeUndefined();
  second.succeed(800);
  expect(breaker.state(800)).toBe('closed');
});

test('one of two concurrent probes hangs: it is followed by another', () => {
  const { breaker, fail, changes } = setUp();
  fail(20, 0);
  acquire(breaker, 600).succeed(600);
  expect(breaker.tryAcquire(700, 2_000)?.probe).toBe(true);
  breaker.tryAcquire(701, 2_000)?.succeed(800);
  expect(breaker.state(2_702)).toBe('half_open');
  expect(changes).toContain('half_open → open: probe_hung');
  expect(breaker.tryAcquire(4_000)?.probe).toBe(true);
});

test('one of two concurrent probes fails: it opens', () => {
  const { breaker, fail } = setUp();
  fail(20, 0);
  acquire(breaker, 600).succeed(600);
  const [second, third] = [acquire(breaker, 700), acquire(breaker, 700)];
  third.fail(710);
  second.succeed(720);
  expect(breaker.retryAfterMs(720)).toBeGreaterThanOrEqual(0);
  expect(breaker.state(720)).not.toBe('closed');
});
