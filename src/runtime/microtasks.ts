/** The event loop gets a turn this often, so that signals and a test runner are heard while a simulation runs. */
const TICKS_PER_TURN = 4_096;

let ticks = 0;

/**
 * Settles once all that waits only for promises has run. To be awaited from an async function that has awaited before:
 * a tick runs before the microtasks of the code that starts it, and after those of a microtask.
 */
export function microtasksDrained(): Promise<void> {
  ticks++;
  return new Promise((resolve) => {
    if (ticks % TICKS_PER_TURN === 0) setImmediate(resolve);
    else process.nextTick(resolve);
  });
}
