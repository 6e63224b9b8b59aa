import { expect, test } from 'vitest';
import { Credentials } from '../../../src/durable/credentials.ts';
import { Dispatch } from '../../../src/durable/dispatch.ts';
import { type ExecuteDeps, execute } from '../../../src/durable/execute.ts';
import { Health } from '../../../src/durable/health.ts';
import { type ClaimedJob, type Job, jobOf } from '../../../src/durable/job.ts';
import type { RunningJob } from '../../../src/durable/runner.ts';
import { StoreError } from '../../../src/durable/store/db.ts';
import type { Settlement, Store } from '../../../src/durable/store/store.ts';
import { ByteBudget } from '../../../src/http/byte-budget.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import { combine } from '../../../src/telemetry/observer.ts';
import { newJob, settlement } from '../../durable/jobs.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const unwritable = () => new StoreError('unwritable', 'durable store x: invalid byte sequence');

/** Runs one claimed request whose attempt has `result`, on a store that answers each settlement by `settle`. */
function executing(
  result: Settlement,
  settle: (offered: Settlement) => Promise<boolean>,
  {
    logged = false,
    runnerState = '',
    stored,
  }: { logged?: boolean; runnerState?: string; stored?: Partial<Job> } = {},
) {
  const clock = new FakeClock();
  const logs: string[] = [];
  const log = (_: object, message: string) => void logs.push(message);
  const health = new Health({ clock, logger: { error: log, info: log }, observer: combine() });
  const offered: Settlement[] = [];
  const order: string[] = [];
  const events: string[] = [];
  const observer = {
    stateChanged: (_: string, { type }: { type: string }) => void events.push(type),
  } as unknown as ExecuteDeps['observer'];
  const dispatch = new Dispatch({
    memory: new ByteBudget(1_000_000),
    clock,
    random: seededRandom(1),
    observer,
    trace: () => undefined,
    credentials: new Credentials('00', () => undefined),
    callbacks: (_job, end) => [newJob(`callback of ${end.status} after ${end.attempts}`)],
  });
  dispatch.run = () => Promise.resolve(result);
  const store = {
    settle: (one: Settlement) => {
      offered.push(one);
      order.push('settled');
      return settle(one);
    },
    get: () => Promise.resolve(stored),
    backlog: () => Promise.resolve(1),
    moveDue: ({ reason }: { reason: string }) => {
      order.push(`backlog moved: ${reason}`);
      return Promise.resolve(1);
    },
  } as unknown as Store;
  const job: ClaimedJob = {
    ...jobOf(newJob('req_1')),
    headers: [],
    body: new Uint8Array(),
    owner: 'a.1',
    reclaimed: false,
    runnerState,
    attempt: 1,
  };
  const running: RunningJob = { job, signal: new Abort(), cancelled: false, ended: Promise.resolve() };
  const deps = {
    clock,
    store,
    health,
    observer,
    logger: { info: log, warn: log },
    dispatch,
    route: () => undefined,
    changed: () => {},
    logged: () => logged,
    stopped: () => false,
  };
  const done = execute(running, deps, () => void order.push('succeeded'));
  return { clock, done, events, health, logs, offered, order };
}

test('a result that the store cannot write ends the request with that reason; the store stays healthy', async () => {
  const strange = settlement('req_1', {
    entry: { ...settlement('req_1').entry!, status: 503, detail: 'strange' },
    next: { kind: 'wait', dueAt: 9, reason: 'backoff', counts: true },
  });
  const { done, health, logs, offered } = executing(strange, ({ next }) =>
    next.kind === 'wait' ? Promise.reject(unwritable()) : Promise.resolve(true),
  );
  await done;
  expect(offered).toHaveLength(2);
  expect(offered[1]).toMatchObject({
    attempt: 1,
    entry: { n: 1, status: 503, detail: undefined, reason: 'unwritable' },
    response: undefined,
    next: { kind: 'end', status: 'failed', error: { code: 'unwritable' } },
    callbacks: [{ id: 'callback of failed after 1' }],
  });
  expect(health.healthy).toBe(true);
  expect(logs).toEqual(['the durable store cannot save the result of a durable request']);
});

test('if the callback cannot be written either, the request ends without it', async () => {
  const { done, logs, offered } = executing(settlement('req_1'), ({ callbacks, response, next }) =>
    next.kind === 'end' && next.status === 'failed' && callbacks?.length === 0 && response === undefined
      ? Promise.resolve(true)
      : Promise.reject(unwritable()),
  );
  await done;
  expect(offered).toHaveLength(3);
  expect(logs).toHaveLength(2);
});

test('an end that the failing store refused is written later, unchanged', async () => {
  const problems = [new StoreError('full', 'full'), new StoreError('unreachable', 'gone')];
  const { clock, done, health, offered } = executing(settlement('req_1'), () => {
    const problem = problems.shift();
    return problem === undefined ? Promise.resolve(true) : Promise.reject(problem);
  });
  for (let n = 0; n < 2; n++) {
    await clock.untilAsleep();
    expect(health.healthy).toBe(false);
    await clock.advance(1_000);
  }
  await done;
  expect(offered).toHaveLength(3);
  expect(new Set(offered).size).toBe(1);
  expect(health.healthy).toBe(true);
});

test('a success is reported before it is stored, so that its place is free; a failure or a large result is not', async () => {
  const stored = () => Promise.resolve(true);
  const success = executing(settlement('req_1'), stored);
  expect(await success.done).toBe('success');
  expect(success.order).toEqual(['succeeded', 'settled']);
  const { entry } = settlement('req_1');
  const failure = executing(settlement('req_1', { entry: { ...entry!, status: 503 } }), stored);
  expect(await failure.done).toBe('none');
  expect(failure.order).toEqual(['settled']);
  const response = {
    status: 200,
    statusText: '',
    headers: [],
    body: new Uint8Array(70_000),
    truncated: false,
  };
  const large = executing(settlement('req_1', { response }), stored);
  expect(await large.done).toBe('success');
  expect(large.order).toEqual(['settled']);
});

test('the end of a request with one attempt is logged without a read of the store', async () => {
  const { done, logs } = executing(settlement('req_1'), () => Promise.resolve(true), { logged: true });
  await done;
  expect(logs).toEqual(['durable POST payments/charges succeeded after 1 attempt: 200']);
});

test.each<[what: string, stored: Partial<Job>, events: string[]]>([
  ['it was stored', { status: 'succeeded', finishedAt: 2_000 }, ['durable_ended']],
  ['another process ended it later', { status: 'succeeded', finishedAt: 2_001 }, []],
  ['another process ended it otherwise', { status: 'failed', finishedAt: 2_000 }, []],
  ['another process runs it', { status: 'running' }, []],
])('an end whose answer was lost is reported only if it was stored: %s', async (_, stored, expected) => {
  const answers = [Promise.reject(new StoreError('unreachable', 'gone')), Promise.resolve(false)];
  const { clock, done, events } = executing(settlement('req_1'), () => answers.shift()!, { stored });
  await clock.untilAsleep();
  await clock.advance(1_000);
  expect(await done).toBe(expected.length > 0 ? 'success' : 'none');
  expect(events).toEqual(expected);
});

test('an end that was refused at once is not reported: the lease was lost', async () => {
  const stored = { status: 'succeeded', finishedAt: 2_000 } as const;
  const { done, events } = executing(settlement('req_1'), () => Promise.resolve(false), { stored });
  expect(await done).toBe('none');
  expect(events).toEqual([]);
});

test.each([
  ['moves the backlog of its route', {}, ['settled', 'backlog moved: breaker_open']],
  ['of one target does not: others can take it', { boundTo: 'a' }, ['settled']],
  ['of the target of a poll does not', { poll: { targetName: 'a' } }, ['settled']],
  ['of another route, which is polled, does not', { poll: { target: '/jobs/1' } }, ['settled']],
])('an open breaker %s', async (_, runnerState, expected) => {
  const next = { kind: 'wait', dueAt: 1_000, reason: 'breaker_open', counts: false } as const;
  const deferred = settlement('req_1', { entry: undefined, next });
  const { done, order } = executing(deferred, () => Promise.resolve(true), {
    runnerState: JSON.stringify(runnerState),
  });
  await done;
  expect(order).toEqual(expected);
});
