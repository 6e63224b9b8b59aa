import type { FakeClock } from './fake-clock.ts';

/** Resolves when the scheduler and the sweeper have done their due work. The runner may still be working. */
export async function untilScheduled(clock: FakeClock): Promise<void> {
  for (const file of ['scheduler.ts', 'sweeper.ts']) await clock.untilWaiting(file, 60_000);
}

/** Advances by minutes, one by one, each time after sweeper and scheduler are asleep. */
export async function minutes(clock: FakeClock, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await untilScheduled(clock);
    await clock.advance(60_000);
  }
  await untilScheduled(clock);
}
