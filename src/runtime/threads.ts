import { Worker, type WorkerOptions } from 'node:worker_threads';
import { Abort } from './abort.ts';
import type { Clock } from './clock.ts';

/** A thread ends within this time, unless it waits for a file. */
const ENDING_MS = 1_000;

/** Threads that have not ended. */
const threads = new Set<Worker>();

export interface Thread {
  readonly worker: Worker;
  /** Rejects if the thread fails, or ends, or if `fail` is called. Never resolves. */
  readonly failed: Promise<never>;
  readonly fail: (error: Error) => void;
}

/** Starts a thread. A process that stops does not wait for it. */
export function startThread(script: URL, options: WorkerOptions, ended: string): Thread {
  const worker = new Worker(script, { ...options, execArgv: [] });
  worker.unref();
  threads.add(worker);
  worker.once('exit', () => threads.delete(worker));
  const { promise: failed, reject } = Promise.withResolvers<never>();
  worker.on('error', reject);
  worker.once('exit', () => reject(new Error(ended)));
  failed.catch(() => undefined);
  return { worker, failed, fail: reject };
}

/** True if a thread has not ended. If it waits for a file, `process.exit` would wait for it. */
export const threadsRun = (): boolean => threads.size > 0;

/** Ends all threads. False if one waits for a file, and so cannot be ended. */
export async function endThreads(clock: Clock): Promise<boolean> {
  if (threads.size > 0) {
    const ended = Promise.all([...threads].map((thread) => thread.terminate()));
    await Promise.race([ended, clock.sleep(ENDING_MS, new Abort())]);
  }
  return threads.size === 0;
}
