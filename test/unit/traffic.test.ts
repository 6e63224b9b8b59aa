import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/proxy/errors.ts';
import type { StateEvent } from '../../src/proxy/events.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { Traffic } from '../../src/telemetry/traffic/traffic.ts';
import { type TrafficSample, UpstreamTraffic } from '../../src/telemetry/traffic/upstream-traffic.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { CallRecord } from '../../src/telemetry/call-record.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function world(sample: () => TrafficSample | undefined = () => undefined) {
  const clock = new FakeClock();
  const traffic = new Traffic(clock, sample);
  const observer = combine(traffic);
  const call = async (ms: number, status = 200) => {
    const record = new CallRecord(
      { id: 'c', upstream: 'api', route: 'default', method: 'GET', target: '/' },
      clock,
      observer,
    );
    record.attemptStarted(1);
    if (ms > 0) await clock.advance(ms);
    record.attemptAnswered(1, { status }, ms);
    record.finish({ status, origin: 'upstream' });
  };
  const refuse = (error: ErrorCode = 'breaker_open') =>
    new CallRecord(
      { id: 'c', upstream: 'api', route: 'default', method: 'GET', target: '/' },
      clock,
      observer,
    ).finish({ status: 503, origin: 'proxy', error });
  return {
    clock,
    traffic,
    call,
    refuse,
    series: (span: '15m' | '6h' = '15m') => traffic.series('api', span),
  };
}

type BreakerState = 'open' | 'half_open' | 'closed';

const breaker = (to: BreakerState, from: BreakerState = 'closed'): StateEvent => ({
  type: 'breaker_changed',
  scope: 'api',
  from,
  to,
  cause: 'failure_rate',
});

test('calls and attempts are in the interval in which they end', async () => {
  const { clock, call, refuse, series } = world();
  await call(10);
  await call(10, 503);
  await clock.advance(5_000);
  refuse();
  const found = series();
  expect(found?.calls.ok?.slice(-2)).toEqual([1, 0]);
  expect(found?.calls.upstream_error?.slice(-2)).toEqual([1, 0]);
  expect(found?.calls.rejected?.slice(-2)).toEqual([0, 1]);
  expect(found?.refusals.breaker?.slice(-2)).toEqual([0, 1]);
  expect(found?.attempts['5xx']?.slice(-2)).toEqual([1, 0]);
  expect(found?.calls.failed).toBeUndefined();
});

test.each([
  [200, 'ok'],
  [404, '4xx'],
  [429, '429'],
  [503, '5xx'],
  ['connection_refused', 'connect'],
  ['attempt_timeout', 'timeout'],
  ['deadline_exceeded', 'timeout'],
  ['idle_timeout', 'timeout'],
  ['connection_terminated', 'broken'],
  ['protocol_error', 'broken'],
  ['hedge_lost', 'cut'],
  ['client_gone', 'cut'],
] as const)('an attempt that ends with %s counts as %s', (result, kind) => {
  const { traffic, series } = world();
  traffic.attemptEnded(result, 1, { upstream: 'api', route: 'default' });
  expect(Object.keys(series()?.attempts ?? {})).toEqual([kind]);
});

test.each([
  ['breaker_open', 'breaker'],
  ['quota', 'quota'],
  ['concurrency_limit', 'concurrency'],
  ['draining', 'other'],
  ['bad_request', 'other'],
] as const)('a call that is refused with %s counts as %s', (error, reason) => {
  const { refuse, series } = world();
  refuse(error);
  expect(Object.keys(series()?.refusals ?? {})).toEqual([reason]);
});

test('the first interval begins 15 minutes before the end of the last one, by the wall clock', async () => {
  const { clock, call, series } = world();
  await clock.advance(20 * MINUTE + 2_000);
  await call(0);
  const end = Date.UTC(2026, 0, 1) + 20 * MINUTE + 5_000;
  expect([series()?.from, series()?.stepMs]).toEqual([end - 15 * MINUTE, 5_000]);
});

test('intervals older than 15 minutes are only in the 6 hours, and then nowhere', async () => {
  const { clock, call, series } = world();
  const sum = (span: '15m' | '6h') => (series(span)?.calls.ok ?? []).reduce((total, n) => total + n, 0);
  await call(0);
  await call(0);
  expect([sum('15m'), sum('6h')]).toEqual([2, 2]);
  await clock.advance(16 * MINUTE);
  expect([sum('15m'), sum('6h')]).toEqual([0, 2]);
  await clock.advance(3 * HOUR);
  await call(0);
  expect([sum('15m'), sum('6h')]).toEqual([1, 3]);
  await clock.advance(6 * HOUR);
  expect([sum('15m'), sum('6h')]).toEqual([0, 0]);
});

test('quantiles are right within a third', async () => {
  const { call, series } = world();
  for (let ms = 1; ms <= 100; ms++) await call(ms);
  const { p50 = [], p99 = [] } = series('6h') ?? {};
  const near = (value: number | null | undefined, right: number) =>
    expect(Math.abs((value ?? 0) / right - 1)).toBeLessThan(1 / 3);
  near(p50.at(-1), 50);
  near(p99.at(-1), 99);
  expect(p50.at(-2)).toBeNull();
});

test('a breaker is open in each interval until it closes, also without a call', async () => {
  const { clock, traffic, call, series } = world();
  await call(0);
  await clock.advance(5_000);
  traffic.stateChanged('api', breaker('open'));
  await clock.advance(15_000);
  traffic.stateChanged('api', breaker('half_open'));
  await clock.advance(5_000);
  traffic.stateChanged('api', breaker('closed'));
  await clock.advance(5_000);
  expect(series()?.breaker.slice(-7)).toEqual([0, 2, 2, 2, 2, 1, 0]);
  expect(series('6h')?.breaker.at(-1)).toBe(2);
  expect(series()?.events).toMatchObject([{ kind: 'open', probes: 1 }, { kind: 'closed' }]);
});

test('an outage of an hour is two events, with the number of probes', () => {
  const { traffic, series } = world();
  traffic.stateChanged('api', breaker('open'));
  for (let probe = 0; probe < 240; probe++) {
    traffic.stateChanged('api', breaker('half_open', 'open'));
    if (probe < 239) traffic.stateChanged('api', breaker('open', 'half_open'));
  }
  traffic.stateChanged('api', breaker('closed', 'half_open'));
  expect(series()?.events).toMatchObject([{ kind: 'open', probes: 240 }, { kind: 'closed' }]);
});

test('a cooldown lasts as long as was announced, or until none is active', async () => {
  const sample = { quotaLeft: 0.25, quotaWaiting: 3, cooldowns: 1 };
  const { clock, traffic, call, series } = world(() => sample);
  const start = (remainingMs: number) =>
    traffic.stateChanged('api', {
      type: 'quota_cooldown_started',
      scope: 'api',
      cause: 'retry_after',
      remainingMs,
      credential: '',
      limited: '',
    });
  start(12_000);
  await clock.advance(20_000);
  expect(series()?.cooldown.slice(-5)).toEqual([1, 1, 1, 0, 0]);
  start(60_000);
  await clock.advance(10_000);
  await call(0);
  sample.cooldowns = 0;
  for (let interval = 0; interval < 3; interval++) {
    await clock.advance(5_000);
    series();
  }
  expect(series()?.cooldown.slice(-6)).toEqual([1, 1, 1, 0, 0, 0]);
  expect(series()?.quotaLeft?.filter((share) => share !== null)).toContain(0.25);
  expect(series()?.quotaWaiting).toContain(3);
});

test('an interval of three minutes has the least that was left of a quota', async () => {
  const sample = { quotaLeft: 0.5, quotaWaiting: 0, cooldowns: 0 };
  const { clock, call, series } = world(() => sample);
  await call(0);
  for (const left of [0.5, 0.2, 0.9]) {
    sample.quotaLeft = left;
    await clock.advance(5_000);
    series();
  }
  expect(series('6h')?.quotaLeft?.at(-1)).toBe(0.2);
});

test('a call whose client left has no time to the head', () => {
  const { clock, traffic, series } = world();
  const info = { id: 'c', upstream: 'api', route: 'default', method: 'GET', target: '/' };
  new CallRecord(info, clock, combine(traffic)).finish({ status: 0, origin: 'proxy', error: 'client_gone' });
  expect(series()?.calls.client_gone?.at(-1)).toBe(1);
  expect(series()?.p50.at(-1)).toBeNull();
});

test('the last minute: effective and actual success, without calls whose client left', async () => {
  const { clock, traffic, call, refuse } = world();
  await call(0, 500);
  await clock.advance(2 * MINUTE);
  for (let i = 0; i < 3; i++) await call(20);
  await call(20, 503);
  refuse();
  expect(traffic.summary('api')).toMatchObject({
    calls: 5,
    attempts: 4,
    rejected: 1,
    failed: 1,
    effectiveSuccess: 0.6,
    actualSuccess: 0.75,
  });
});

test('calls without an upstream are not counted, and an upstream that was removed is forgotten', async () => {
  const { traffic, call } = world();
  await call(0);
  traffic.attemptEnded(200, 1, { upstream: '', route: '' });
  expect(traffic.series('', '15m')).toBeUndefined();
  traffic.retain(new Set(['other']));
  expect(traffic.summary('api')).toBeUndefined();
});

test('an upstream takes 66 KB, whatever happens', () => {
  const traffic = new UpstreamTraffic(0, () => undefined);
  for (let i = 0; i < 1_000; i++) traffic.changed(breaker(i % 2 ? 'open' : 'closed') as never, i);
  const bytes = [traffic.fine, traffic.coarse].reduce(
    (sum, { counts, left, waiting }) => sum + counts.byteLength + left.byteLength + waiting.byteLength,
    0,
  );
  expect(bytes).toBe(66_000);
  expect(traffic.events).toHaveLength(100);
});
