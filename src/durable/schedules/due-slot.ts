import type { Slots } from './cron.ts';

export interface SlotHistory {
  /** `latest`: the last slot that nobody ran is run late, those before it are not; `none`: what was missed is missed. */
  readonly catchup: 'latest' | 'none';
  /** The last slot up to now that any process has run; undefined when none was. */
  readonly lastSlotAt: number | undefined;
  /** Since when this schedule has been watched here. */
  readonly watchedSince: number;
}

/** The slot to run now, if any. A slot that came while a process watched is always due; an older one by `catchup`. */
export function dueSlot(
  slots: Slots,
  { catchup, lastSlotAt, watchedSince }: SlotHistory,
  now: number,
): number | undefined {
  const latest = slots.latest(now);
  if (latest === undefined || (lastSlotAt !== undefined && latest <= lastSlotAt)) return undefined;
  // A schedule that never ran has missed nothing before it was there.
  const mayBeLate = catchup === 'latest' && lastSlotAt !== undefined;
  return latest >= watchedSince || mayBeLate ? latest : undefined;
}
