import type { FakeClock } from './fake-clock.ts';

/** The scheduler and the sweeper have done what is due now. Whether the runner has is not known. */
export async function untilScheduled(clock: FakeClock): Promise<void> {
  for (const file of ['scheduler.ts', 'sweeper.ts']) await clock.untilWaiting(file, 60_000);
}

/** Minutes on, one by one; each time the sweeper and the scheduler have fallen asleep before. */
export async function minutes(clock: FakeClock, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await untilScheduled(clock);
    await clock.advance(60_000);
  }
  await untilScheduled(clock);
}
