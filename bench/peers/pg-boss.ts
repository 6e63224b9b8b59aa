import { PgBoss } from 'pg-boss';
import { AT_ONCE, CONNECTION, COUNT, carryOut, JOB, measure } from './job.ts';

/** pg-boss, in batches that are fetched one after another while there is more to do. Its output column keeps the result. */
const QUEUE = 'calls';
const WORKERS = 2;

const boss = new PgBoss(CONNECTION);
boss.on('error', (error) => {
  throw error;
});
await boss.start();
await boss.createQueue(QUEUE);
for (let stored = 0; stored < COUNT; stored += 1_000) {
  const size = Math.min(1_000, COUNT - stored);
  await boss.insert(
    QUEUE,
    Array.from({ length: size }, () => ({ data: JOB })),
  );
}
const options = {
  batchSize: AT_ONCE / WORKERS,
  localConcurrency: WORKERS,
  burstWhenBatchFull: true,
  perJobResults: true,
  pollingIntervalSeconds: 0.5,
} as const;
await measure(
  () =>
    boss.work<typeof JOB>(QUEUE, options, (jobs) =>
      Promise.all(
        jobs.map(
          async ({ id, data }) => ({ id, status: 'completed', output: await carryOut(data) }) as const,
        ),
      ),
    ),
  async () => {
    const { rows } = await boss
      .getDb()
      .executeSql(
        `select count(*)::int as n from pgboss.job where name = '${QUEUE}' and state = 'completed'`,
      );
    return (rows as { n: number }[])[0]?.n === COUNT;
  },
);
