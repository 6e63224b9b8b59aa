/** Work for the moment when the running callback of the event loop has ended. */
export interface SoonTask {
  onSoon(): void;
}

const tasks: (SoonTask | undefined)[] = [];
let count = 0;
let next = 0;
let isQueued = false;

/**
 * Calls `task.onSoon` in a microtask, after those that were passed earlier. So it runs after one packet has been parsed, and before
 * the next one. One microtask serves all tasks of a callback, and none of them costs a closure.
 */
export function soon(task: SoonTask): void {
  tasks[count++] = task;
  if (isQueued) return;
  isQueued = true;
  queueMicrotask(run);
}

/** An error of a task is reported as that of any microtask, and ends no other task. */
function run(): void {
  try {
    while (next < count) {
      const task = tasks[next];
      tasks[next++] = undefined;
      task?.onSoon();
    }
  } finally {
    isQueued = next < count;
    if (isQueued) queueMicrotask(run);
    else next = count = 0;
  }
}
