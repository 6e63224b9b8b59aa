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

export async function carryOut({ body }: typeof JOB): Promise<Result> {
  const reply = await request(`http://127.0.0.1:${originPort}/1k`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body,
  });
  return { status: reply.statusCode, body: await reply.body.text() };
}

/** Starts the worker, waits until `done` is true, and reports. */
export async function measure(start: () => unknown, done: () => Promise<boolean>): Promise<void> {
  const begunAt = performance.now();
  const cpu = process.cpuUsage();
  await start();
  while (!(await done())) await new Promise((resolve) => void setTimeout(resolve, 20));
  const ms = performance.now() - begunAt;
  const { user, system } = process.cpuUsage(cpu);
  process.stdout.write(`${JSON.stringify({ ms, cpuMicros: user + system })}\n`);
  process.exit();
}
