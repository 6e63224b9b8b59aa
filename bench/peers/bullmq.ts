import { Queue, Worker } from 'bullmq';
import { AT_ONCE, CONNECTION, COUNT, carryOut, JOB, measure } from './job.ts';

/** BullMQ on a Redis that syncs its log to the disk before each reply. Finished jobs keep their return value. */
const connection = { host: '127.0.0.1', port: Number(CONNECTION), maxRetriesPerRequest: null };
const queue = new Queue<typeof JOB>('calls', { connection });
for (let stored = 0; stored < COUNT; stored += 1_000) {
  const size = Math.min(1_000, COUNT - stored);
  await queue.addBulk(Array.from({ length: size }, () => ({ name: 'call', data: JOB })));
}
await measure(
  () => new Worker<typeof JOB>('calls', ({ data }) => carryOut(data), { connection, concurrency: AT_ONCE }),
  async () => (await queue.getCompletedCount()) === COUNT,
);
