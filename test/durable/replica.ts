import { openSync, writeSync } from 'node:fs';
import { openStore } from '../../src/durable/store/open.ts';
import { settlement } from './jobs.ts';

/*
 * One of several replicas: claims, runs and settles until nothing is left. Each line of its log is an acknowledgement. After
 * `holdAfter` requests it logs `held` and settles nothing more, so that it is killed in this state.
 */

const [where = '', log = '', owner = '', lease = '', holdAfter = 'Infinity'] = process.argv.slice(2);
const promises = openSync(log, 'a');
const store = await openStore(where);
let settled = 0;

async function lane(): Promise<void> {
  for (;;) {
    const now = Date.now();
    const claimed = await store.claim({ owner, now, leaseNow: undefined, leaseMs: Number(lease), limit: 25 });
    if (claimed.length === 0 && (await store.backlog()) === 0) return;
    if (claimed.length > 0 && settled >= Number(holdAfter)) {
      process.stdout.write('held');
      await new Promise((resolve) => process.on('SIGTERM', resolve));
    }
    await Promise.all(
      claimed.map(async ({ id, attempt, orderKey, reclaimed }) => {
        const ordered = orderKey !== null;
        if (!(await store.settle(settlement(id, { owner, attempt, ordered, now: Date.now() })))) return;
        writeSync(promises, `${id} ${reclaimed ? 'reclaimed' : 'claimed'}\n`);
        settled++;
      }),
    );
  }
}

await Promise.all([lane(), lane()]);
await store.close();
