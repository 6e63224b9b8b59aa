import { makeWorkerUtils, run } from 'graphile-worker';
import { Pool } from 'pg';
import { AT_ONCE, CONNECTION, COUNT, carryOut, JOB, measure } from './job.ts';

/** graphile-worker, with batched claims and completions. It deletes finished jobs, so the task stores the result. */
const pgPool = new Pool({ connectionString: CONNECTION, max: AT_ONCE + 4 });
pgPool.on('error', (error) => {
  throw error;
});
const utils = await makeWorkerUtils({ pgPool });
await utils.migrate();
await pgPool.query(
  'create table results (job_id bigint primary key, status int not null, body text not null)',
);
for (let stored = 0; stored < COUNT; stored += 1_000) {
  const size = Math.min(1_000, COUNT - stored);
  await utils.addJobs(Array.from({ length: size }, () => ({ identifier: 'call', payload: JOB })));
}
await measure(
  () =>
    run({
      preset: {
        worker: {
          concurrentJobs: AT_ONCE,
          localQueue: { size: 4 * AT_ONCE },
          completeJobBatchDelay: 0,
          pollInterval: 500,
        },
      },
      pgPool,
      taskList: {
        call: async (payload, { job, withPgClient }) => {
          const { status, body } = await carryOut(payload as typeof JOB);
          await withPgClient((client) =>
            client.query('insert into results values ($1, $2, $3)', [job.id, status, body]),
          );
        },
      },
    }),
  async () => {
    const { rows } = await pgPool.query<{ left: number; kept: number }>(
      'select (select count(*)::int from graphile_worker.jobs) as left, (select count(*)::int from results) as kept',
    );
    return rows[0]?.left === 0 && rows[0].kept === COUNT;
  },
);
