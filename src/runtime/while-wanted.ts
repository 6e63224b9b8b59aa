import type { Abort } from './abort.ts';

/** `result`, or a rejection as soon as `signal` aborts. The work itself goes on, because others wait for it too. */
export function whileWanted<T>(result: T | Promise<T>, signal: Abort): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const leave = () => reject(signal.reason);
    signal.on(leave);
    Promise.resolve(result)
      .then(resolve, reject)
      .finally(() => signal.off(leave));
  });
}
