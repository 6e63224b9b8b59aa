import { expect, test } from 'vitest';
import { Health } from '../../../src/durable/health.ts';
import type { NewJob } from '../../../src/durable/job.ts';
import type { ScheduleOptions } from '../../../src/durable/schedules/options.ts';
import { slotOf } from '../../../src/durable/schedules/run.ts';
import { Scheduler } from '../../../src/durable/schedules/scheduler.ts';
import { StoreError } from '../../../src/durable/store/db.ts';
import type { DurableRoute } from '../../../src/durable/route.ts';
import type { Store } from '../../../src/durable/store/store.ts';
import { combine } from '../../../src/telemetry/observer.ts';
import { SetClock } from '../../support/set-clock.ts';

const DAILY: ScheduleOptions = {
  name: 'daily',
  cron: '0 12 * * *',
  timezone: 'UTC',
  overlap: 'queue',
  catchup: 'latest',
  route: 'api/default',
  tenant: '',
  method: 'GET',
  target: '/',
  headers: [],
  body: '',
  keyHeader: undefined,
};

function watch(options: ScheduleOptions, route?: DurableRoute) {
  const clock = new SetClock();
  const slots = new Map<number, NewJob | undefined>();
  let failing = false;
  const store = {
    lastSlot: async (_name: string, now: number) => {
      if (failing) throw new StoreError('failed', 'not now');
      const latest = (found: number[]) => (found.length === 0 ? undefined : Math.max(...found));
      const all = [...slots.keys()];
      return { due: latest(all.filter((at) => at <= now)), ahead: latest(all.filter((at) => at > now)) };
    },
    paused: async () => [],
    submitSlot: async (_name: string, slotAt: number, job: NewJob | undefined) => {
      if (slots.has(slotAt)) return false;
      slots.set(slotAt, job);
      return true;
    },
  };
  const warnings: string[] = [];
  const warn = (_fields: object, message: string) => void warnings.push(message);
  const logger = { error: () => undefined, info: () => undefined, warn };
  const scheduler = new Scheduler({
    clock,
    store: store as unknown as Store,
    health: new Health({ clock, logger, observer: combine() }),
    logger,
    observer: { stateChanged: () => undefined },
    route: () => route,
    submitted: () => undefined,
  });
  scheduler.setUp([options]);
  const HOUR = 3_600_000;
  const hours = async (count: number) => {
    for (let minute = 0; minute < count * 60; minute++) {
      // The query of the store takes a few microtasks.
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      await clock.advance(60_000);
    }
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return {
    clock,
    hours,
    scheduler,
    HOUR,
    warnings,
    fail: (is: boolean) => (failing = is),
    runs: () => [...slots.keys()].map((at) => new Date(at).toISOString().slice(5, 16)),
    jobs: () => [...slots.values()].filter((job) => job !== undefined),
  };
}

test('a clock set back runs no slot twice; a clock set forward runs the latest slot', async () => {
  const { clock, hours, runs, HOUR, jobs } = watch(DAILY);
  await hours(13);
  expect(runs()).toEqual(['01-01T12:00']);
  clock.setBy = -3 * HOUR;
  await hours(4);
  expect(runs()).toEqual(['01-01T12:00']);
  clock.setBy = 72 * HOUR;
  await hours(1);
  expect(runs()).toEqual(['01-01T12:00', '01-04T12:00']);
  expect(jobs().map((job) => new Date(slotOf(job) ?? 0).toISOString().slice(5, 16))).toEqual(runs());
});

test('a run is stored with the fact that its upstream has several targets', async () => {
  const place = { origin: 'https://api.example', basePath: '' };
  const targets = new Map([
    ['a', place],
    ['b', place],
  ]);
  const { hours, jobs } = watch(DAILY, {
    options: { deadlineMs: 1_000 },
    targets,
  } as unknown as DurableRoute);
  await hours(13);
  const [run] = jobs();
  expect(JSON.parse(run?.runnerState ?? '')).toEqual({ slotAt: slotOf(run as NewJob), hadTargets: true });
});

const HOURLY: ScheduleOptions = { ...DAILY, name: 'hourly', cron: '0 * * * *' };

test('runs made while the clock was ahead do not stop the schedule after the correction', async () => {
  const { clock, hours, runs, HOUR, warnings } = watch(HOURLY);
  await hours(1.5);
  clock.setBy = 24 * HOUR;
  await hours(2);
  const ahead = ['01-02T01:00', '01-02T02:00', '01-02T03:00'];
  expect(runs()).toEqual(['01-01T00:00', '01-01T01:00', ...ahead]);
  clock.setBy = 0;
  await hours(2);
  expect(runs()).toEqual([
    '01-01T00:00',
    '01-01T01:00',
    ...ahead,
    '01-01T03:00',
    '01-01T04:00',
    '01-01T05:00',
  ]);
  // Logged once, not at each look.
  expect(warnings).toEqual([
    expect.stringContaining('the future slot 2026-01-02T03:00:00.000Z has already run'),
  ]);
});

test('a schedule added while the clock was ahead runs after the correction', async () => {
  const { clock, hours, runs, HOUR, scheduler } = watch(HOURLY);
  scheduler.setUp([]);
  clock.setBy = 24 * HOUR;
  scheduler.setUp([{ ...HOURLY, catchup: 'none' }]);
  await hours(1 / 60);
  clock.setBy = 0;
  await hours(2);
  expect(runs()).toEqual(['01-01T00:00', '01-02T00:00', '01-01T01:00', '01-01T02:00']);
});

test('a slot during a store failure runs after the recovery', async () => {
  const { hours, runs, fail } = watch(DAILY);
  fail(true);
  await hours(13);
  expect(runs()).toEqual([]);
  fail(false);
  await hours(1);
  expect(runs()).toEqual(['01-01T12:00']);
});

test('after stop it creates no runs and has no timers', async () => {
  const { clock, hours, runs, scheduler } = watch(DAILY);
  await hours(1);
  scheduler.stop();
  expect(clock.pending).toBe(0);
  await hours(24);
  expect(runs()).toEqual([]);
});
