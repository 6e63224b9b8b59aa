import { expect, test } from 'vitest';
import { Credentials } from '../../../src/durable/credentials.ts';
import { Health } from '../../../src/durable/health.ts';
import { Intake, type IntakeDeps } from '../../../src/durable/intake.ts';
import type { NewJob } from '../../../src/durable/job.ts';
import type { DurableRoute } from '../../../src/durable/route.ts';
import { StoreError, type StoreProblem } from '../../../src/durable/store/db.ts';
import { EMPTY_BODY } from '../../../src/http/bodies/request-body.ts';
import { ByteBudget } from '../../../src/http/byte-budget.ts';
import { CredentialNames } from '../../../src/http/credentials.ts';
import type { Call } from '../../../src/proxy/call.ts';
import { combine } from '../../../src/telemetry/observer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A store that refuses every request with `problem`. `jobs`: what it got. */
function intake(problem: StoreProblem, targets: readonly string[] = []) {
  const jobs: NewJob[] = [];
  const clock = new FakeClock();
  const health = new Health({ clock, logger: { error: () => {}, info: () => {} }, observer: combine() });
  const deps = {
    clock,
    health,
    credentials: new Credentials('00', () => undefined),
    memory: new ByteBudget(1_000_000),
    process: () => ({ backlog: 10, callbacks: { allow: [], allowPrivate: false } }),
    store: {
      backlog: () => Promise.resolve(0),
      submit: (job: NewJob) => {
        jobs.push(job);
        return Promise.reject(new StoreError(problem, 'index row size 2816 exceeds the maximum: secret'));
      },
    },
  } as unknown as IntakeDeps;
  const route = {
    name: 'api/default',
    idempotencyHeader: 'idempotency-key',
    names: new CredentialNames(),
    options: { deadlineMs: 60_000, maxBodyBytes: 1_000 },
    targets: new Map(targets.map((name) => [name, { origin: 'https://api.example', basePath: '' }])),
  } as unknown as DurableRoute;
  const take = (headers: string[] = []) =>
    new Intake(deps).take(
      route,
      { method: 'POST', target: '/', headers, body: EMPTY_BODY } as unknown as Call,
      '',
    );
  return { health, jobs, take };
}

test('a request that cannot be written is refused; the store stays healthy', async () => {
  const { health, take } = intake('unwritable');
  await expect(take()).rejects.toMatchObject({
    code: 'bad_request',
    message: 'the durable store cannot save this request; it was not accepted',
  });
  expect(health.healthy).toBe(true);
});

test('a failing store is reported as unavailable', async () => {
  const { health, take } = intake('full');
  await expect(take()).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(health.healthy).toBe(false);
});

test('a key of more than 255 bytes is refused on every route that stores it', async () => {
  const { take } = intake('full');
  await expect(take(['Idempotency-Key', 'k'.repeat(256)])).rejects.toMatchObject({ code: 'bad_request' });
});

test.each([
  [['a'], ''],
  [['a', 'b'], '{"hadTargets":true}'],
])('a request for the targets %j is stored with the state %j', async (targets, state) => {
  const { jobs, take } = intake('full', targets);
  await take().catch(() => undefined);
  expect(jobs).toMatchObject([{ runnerState: state }]);
});
