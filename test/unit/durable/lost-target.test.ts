import { expect, test } from 'vitest';
import { Credentials } from '../../../src/durable/credentials.ts';
import { Dispatch } from '../../../src/durable/dispatch.ts';
import { type ClaimedJob, jobOf } from '../../../src/durable/job.ts';
import type { AttemptResult, Classification, DurableRoute } from '../../../src/durable/route.ts';
import { ByteBudget } from '../../../src/http/byte-budget.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import { combine } from '../../../src/telemetry/observer.ts';
import { newJob } from '../../durable/jobs.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

/* The next step after an attempt whose process has crashed, if the upstream has targets. */

const place = { origin: 'https://api.example', basePath: '' };

const AGAIN: Classification = {
  kind: 'retry',
  delayMs: 1,
  backoffMs: 1,
  asked: false,
  cost: 1,
  reason: 'connection_terminated',
};
const STOP: Classification = { kind: 'stop', because: 'not_idempotent' };

/** The settlement of a POST with a key. Without `targets`, its route is not configured. */
async function settled(
  targets: readonly string[] | undefined,
  { job = {}, safe = false, onUnknown = 'hold' } = {},
) {
  const clock = new FakeClock();
  const dispatch = new Dispatch({
    memory: new ByteBudget(1_000_000),
    clock,
    random: seededRandom(1),
    observer: combine(),
    trace: () => undefined,
    credentials: new Credentials('00', () => undefined),
    callbacks: () => [],
  });
  const route = {
    options: { retentionMs: 1_000, onUnknown },
    safe,
    targets: targets?.length === 0 ? undefined : new Map(targets?.map((name) => [name, place])),
    classify: ({ repeatable }: AttemptResult) => (repeatable ? AGAIN : STOP),
  } as unknown as DurableRoute;
  const more = { upstreamKey: 'k', reclaimed: true, deadlineAt: Number.MAX_SAFE_INTEGER, ...job };
  const claimed: ClaimedJob = {
    ...jobOf(newJob('req_1', more)),
    ...more,
    owner: 'a',
    headers: [],
    body: new Uint8Array(),
    attempt: 2,
  };
  const running = { job: claimed, signal: new Abort(), cancelled: false, ended: Promise.resolve() };
  return dispatch.run(running, targets && route);
}

/** The next step of a POST with a key. */
async function next(...parts: Parameters<typeof settled>) {
  const step = (await settled(...parts))?.next;
  return step?.kind === 'end' ? step.error : step?.kind;
}

test('a POST with a key may have gone to any of several targets, so it ends and says why', async () => {
  expect(await next(['a', 'b'])).toEqual({
    code: 'unknown_outcome',
    title: expect.stringContaining('nothing says which target may have processed the request'),
  });
});

test.each([
  ['its upstream has no targets', [], {}],
  ['its upstream has one target', ['a'], {}],
  ['its target is known', ['a', 'b'], { job: { runnerState: '{"boundTo":"b"}' } }],
  ['every target may get it: a PUT', ['a', 'b'], { job: { method: 'PUT' } }],
  ['every target may get it: a safe route', ['a', 'b'], { safe: true }],
  ['every target may get it: the route accepts the risk', ['a', 'b'], { onUnknown: 'retry' }],
])('it is repeated if %s', async (_, targets, more) => {
  expect(await next(targets, more)).toBe('wait');
});

test.each([['one of them'], []])(
  'it ends so, too, if its upstream had several targets and has now %j',
  async (...targets) => {
    const job = { runnerState: '{"hadTargets":true}' };
    expect(await next(targets, { job })).toMatchObject({ code: 'unknown_outcome' });
    expect(await next(targets, { job: { ...job, method: 'PUT' } })).toBe('wait');
  },
);

test('a POST without a key ends with the usual reason', async () => {
  expect(await next(['a', 'b'], { job: { upstreamKey: null } })).toMatchObject({
    code: 'unknown_outcome',
    title: expect.stringContaining('repeating it is not safe'),
  });
});

test.each([
  ['ends if the route comes back with several targets', {}, 'these targets, and nothing says which of them'],
  ['stays at its known target', { runnerState: '{"boundTo":"c"}' }, 'the target c, which may have processed'],
])('a POST with a key whose route was removed meanwhile %s', async (_, job, why) => {
  const waiting = await settled(undefined, { job });
  expect(waiting?.next.kind).toBe('wait');
  const later = { runnerState: waiting?.runnerState, reclaimed: false };
  expect(await next(['a', 'b'], { job: later })).toEqual({
    code: 'unknown_outcome',
    title: expect.stringContaining(why),
  });
});
