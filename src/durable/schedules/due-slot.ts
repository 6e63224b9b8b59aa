import type { Slots } from './cron.ts';

export interface SlotHistory {
  /** `latest`: the latest missed slot runs late, earlier ones do not run. `none`: missed slots do not run. */
  readonly catchup: 'latest' | 'none';
  /** The latest past slot that any process has run. Undefined if none has run. */
  readonly lastSlotAt: number | undefined;
  /** When this process began to watch the schedule. */
  readonly watchedSince: number;
}

/** Returns the slot to run now. A slot since `watchedSince` always runs; an older one runs by `catchup`. */
export function dueSlot(
  slots: Slots,
  { catchup, lastSlotAt, watchedSince }: SlotHistory,
  now: number,
): number | undefined {
  const latest = slots.latest(now);
  if (latest === undefined || (lastSlotAt !== undefined && latest <= lastSlotAt)) return undefined;
  // A schedule that never ran has missed no slot.
  const mayBeLate = catchup === 'latest' && lastSlotAt !== undefined;
  return latest >= watchedSince || mayBeLate ? latest : undefined;
}
