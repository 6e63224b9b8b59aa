import { openSync, writeSync } from 'node:fs';
import { openStore } from '../../src/durable/store/open.ts';
import { newJob, settlement } from './jobs.ts';

/*
 * A process that is to be killed: 64 clients submit and 4 run requests, as fast as they can. Each line of the log is
 * an acknowledgement.
 */

const [file = '', log = '', round = ''] = process.argv.slice(2);
const store = await openStore(file);
const promises = openSync(log, 'a');
/** Written to a file, because data in a pipe would be lost with the process. */
function say(word: string, id: string): void {
  writeSync(promises, `${word} ${id}\n`);
  process.stdout.write('.');
}

async function submit(lane: number): Promise<never> {
  for (let i = 0; ; i++) {
    const id = `req_${round}_${lane}_${i}`;
    await store.submit(
      newJob(id, { body: Buffer.alloc(1_024, id), orderKey: lane < 8 ? `key ${lane}` : null }),
    );
    say('accepted', id);
  }
}

async function run(lane: number): Promise<never> {
  for (;;) {
    const owner = `${round} ${lane}`;
    for (const { id, attempt } of await store.claim({
      owner,
      now: 2_000,
      leaseNow: 2_000,
      leaseMs: 7_000,
      limit: 8,
    }))
      if (await store.settle(settlement(id, { owner, attempt }))) say('ended', id);
  }
}

await Promise.all([
  ...Array.from({ length: 64 }, (_, i) => submit(i)),
  ...Array.from({ length: 4 }, (_, i) => run(i)),
]);
