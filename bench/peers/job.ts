import { request } from 'undici';

/**
 * The job of every queue of the bench: POST 1 KiB, read the reply of 1 KiB. `node <queue>.ts COUNT ORIGIN_PORT CONNECTION` stores COUNT
 * jobs, carries them out, and prints the time and the CPU time between the first claim and the last durable result.
 */
const [count, originPort, connection] = process.argv.slice(2) as [string, string, string];

export const COUNT = Number(count);
export const CONNECTION = connection;
/** Jobs that run at once. */
export const AT_ONCE = 64;
export const JOB = { body: 'abcdefghijklmnop'.repeat(64) };

export interface Result {
  readonly status: number;
  readonly body: string;
}

let carriedOut = 0;

export async function carryOut({ body }: typeof JOB): Promise<Result> {
  const reply = await request(`http://127.0.0.1:${originPort}/1k`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body,
  });
  const text = await reply.body.text();
  carriedOut++;
  return { status: reply.statusCode, body: text };
}

/** Starts the worker, waits until `done` is true, and reports. `done` asks the store, so it is not called before all jobs have their reply. */
export async function measure(start: () => unknown, done: () => Promise<boolean>): Promise<void> {
  const begunAt = performance.now();
  const cpu = process.cpuUsage();
  await start();
  while (carriedOut < COUNT || !(await done())) await new Promise((resolve) => void setTimeout(resolve, 20));
  const ms = performance.now() - begunAt;
  const { user, system } = process.cpuUsage(cpu);
  process.stdout.write(`${JSON.stringify({ ms, cpuMicros: user + system })}\n`);
  process.exit();
}
