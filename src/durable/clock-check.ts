import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Store } from './store/store.ts';

/** Due times have a resolution of seconds, so a smaller difference does not matter. */
const CLOCK_OFF_MS = 5_000;

export interface ClockCheckDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  readonly store: Pick<Store, 'wallTime'>;
}

/** Warns if the two clocks differ by 5 s or more. Leases follow the store's clock; due times follow this one. */
export async function warnOfClock({ clock, logger, store }: ClockCheckDeps): Promise<void> {
  const ms = Math.round(clock.wallTime() - (await store.wallTime()));
  if (Math.abs(ms) < CLOCK_OFF_MS) return;
  const where = `${Math.abs(ms)} ms ${ms > 0 ? 'ahead of' : 'behind'} the clock of the durable store`;
  logger.warn(
    { clock_off_ms: ms },
    `the clock of this machine is ${where}: durable requests may be sent too early or too late; synchronise it with NTP`,
  );
}
