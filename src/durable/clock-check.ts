import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Store } from './store/store.ts';

/** Waits are counted in seconds. */
const CLOCK_OFF_MS = 5_000;

export interface ClockCheckDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  readonly store: Pick<Store, 'wallTime'>;
}

/** Leases go by the store's clock; what waits is due by this one. */
export async function warnOfClock({ clock, logger, store }: ClockCheckDeps): Promise<void> {
  const ms = Math.round(clock.wallTime() - (await store.wallTime()));
  if (Math.abs(ms) < CLOCK_OFF_MS) return;
  const where = `${Math.abs(ms)} ms ${ms > 0 ? 'ahead of' : 'behind'} the clock of the durable store`;
  logger.warn(
    { clock_off_ms: ms },
    `the clock of this machine is ${where}: durable requests may be sent too early or too late; synchronise it with NTP`,
  );
}
