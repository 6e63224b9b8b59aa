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

/** The next step of a POST with a key. */
async function next(targets: readonly string[], { job = {}, safe = false, onUnknown = 'hold' } = {}) {
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
    targets: targets.length === 0 ? undefined : new Map(targets.map((name) => [name, place])),
    classify: ({ repeatable }: AttemptResult) => (repeatable ? AGAIN : STOP),
  } as unknown as DurableRoute;
  const more = { upstreamKey: 'k', ...job };
  const claimed: ClaimedJob = {
    ...jobOf(newJob('req_1', more)),
    ...more,
    owner: 'a',
    headers: [],
    body: new Uint8Array(),
    reclaimed: true,
    attempt: 2,
  };
  const running = { job: claimed, signal: new Abort(), cancelled: false, ended: Promise.resolve() };
  const settled = (await dispatch.run(running, route))?.next;
  return settled?.kind === 'end' ? settled.error : settled?.kind;
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

test('a POST without a key ends with the usual reason', async () => {
  expect(await next(['a', 'b'], { job: { upstreamKey: null } })).toMatchObject({
    code: 'unknown_outcome',
    title: expect.stringContaining('repeating it is not safe'),
  });
});
