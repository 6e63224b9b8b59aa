/** The event loop runs once per so many ticks, so that signals and a test runner work while a simulation runs. */
const TICKS_PER_TURN = 4_096;

let ticks = 0;

/**
 * Resolves when all code that waits only for promises has run. Call it from an async function that has awaited before: a tick
 * runs before the microtasks of the code that schedules it, but after those of a microtask.
 */
export function microtasksDrained(): Promise<void> {
  ticks++;
  return new Promise((resolve) => {
    if (ticks % TICKS_PER_TURN === 0) setImmediate(resolve);
    else process.nextTick(resolve);
  });
}
