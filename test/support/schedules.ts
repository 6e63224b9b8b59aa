import type { FakeClock } from './fake-clock.ts';

/** Resolves once at least `count` waits of `ms` have begun at this very moment. */
export async function untilTimers(clock: FakeClock, ms: number, count: number): Promise<void> {
  const begun = () => clock.deadlines.filter((at) => at === clock.now() + ms).length;
  while (begun() < count) await new Promise((resolve) => setImmediate(resolve));
}

/** Minutes on, one by one; each time the sweeper and the scheduler of every process have fallen asleep before. */
export async function minutes(clock: FakeClock, count: number, processes = 1): Promise<void> {
  for (let i = 0; i < count; i++) {
    await untilTimers(clock, 60_000, 2 * processes);
    await clock.advance(60_000);
  }
  await untilTimers(clock, 60_000, 2 * processes);
}
