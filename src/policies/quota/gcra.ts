import type { QuotaWindow } from './options.ts';
import type { TokenSource } from './token-source.ts';

/** A rate with a period up to this is spread evenly, because APIs that count by the second refuse bursts. */
const SPREAD_PERIOD_MS = 1000;

/** The share of a spread window that may still pass at once, because timers can be late. */
const SPREAD_BURST = 0.05;

type Rate = Pick<QuotaWindow, 'limit' | 'periodMs' | 'burst'>;

/** The most that may pass at once after a pause. */
export function burstOf({ limit, periodMs, burst }: Rate): number {
  if (burst !== undefined) return burst;
  return periodMs <= SPREAD_PERIOD_MS ? Math.max(1, Math.floor(limit * SPREAD_BURST)) : limit;
}

/**
 * One rate, by the generic cell rate algorithm (ITU-T I.371 annex A; virtual scheduling). `tat` is the theoretical arrival
 * time of the next unit. In any `t` ms at most `burst + t / interval` units pass.
 *
 * - A written burst: `limit` units per period pass after it.
 * - No burst, a period of a second or less: a twentieth may pass at once, and the rate is that much lower. So no period has more
 *   than `limit` units.
 * - No burst, a longer period: all of `limit` may pass at once. Spreading a daily limit helps no caller.
 *
 * A cost above the burst counts as the burst. Otherwise one call could block the window for years.
 */
export class Gcra implements TokenSource<void> {
  #burst = 1;
  #intervalMs = 0;
  #limit = 0;
  #periodMs = 0;
  #tat = -Infinity;
  /** Units taken in the latest two periods, for `remaining`. */
  #period = -Infinity;
  #used = 0;
  #usedBefore = 0;

  constructor(rate: Rate) {
    this.#set(rate);
  }

  get burst(): number {
    return this.#burst;
  }

  #set({ limit, periodMs, burst }: Rate): void {
    const spread = burst === undefined && periodMs <= SPREAD_PERIOD_MS;
    this.#burst = burstOf({ limit, periodMs, burst });
    this.#intervalMs = periodMs / (spread ? limit - this.#burst + 1 : limit);
    [this.#limit, this.#periodMs] = [limit, periodMs];
  }

  /** The limit or the burst changes. Used units that time has not refilled stay used, up to a full burst of the new rate. */
  follow(rate: Rate, now: number): void {
    const { units } = this.debt(now);
    const intervalMs = this.#intervalMs;
    const burst = this.#burst;
    this.#set(rate);
    if (intervalMs === this.#intervalMs && burst === this.#burst) return;
    this.#tat = now + Math.min(units, this.#burst) * this.#intervalMs;
  }

  /** When `units` may pass after `ahead` units. More than a burst waits for a full burst. */
  readyAt(ahead: number, units: number, now: number): number {
    const tat = Math.max(now, this.#tat);
    return Math.max(now, tat + (ahead + Math.min(units, this.burst) - this.burst) * this.#intervalMs);
  }

  take(units: number, now: number): void {
    const taken = Math.min(units, this.burst);
    this.#tat = Math.max(now, this.#tat) + taken * this.#intervalMs;
    this.#roll(now);
    this.#used += taken;
  }

  /** Returns units that were taken and not used. */
  refund(units: number): void {
    this.correct(units, 0);
  }

  /** Units that were taken have cost `actual`, less or more than `units`. */
  correct(units: number, actual: number): void {
    const more = Math.min(actual, this.burst) - Math.min(units, this.burst);
    this.#tat += more * this.#intervalMs;
    this.#used = Math.max(0, this.#used + more);
  }

  /** Units of the written limit that the latest period has not used, and that the rate has refilled. 0 to `limit`. */
  remaining(now: number): number {
    if (this.burst >= this.#limit) return this.#back(now);
    this.#roll(now);
    const share = 1 - (now / this.#periodMs - this.#period);
    return Math.max(0, Math.min(this.#limit, this.#limit - this.#used - this.#usedBefore * share));
  }

  debt(now: number): { ms: number; units: number } {
    const ms = this.resetMs(now);
    return { ms, units: ms / this.#intervalMs };
  }

  /** `units` were used before. More than a full burst cannot be owed. */
  owe(units: number, now: number): void {
    const owed = Math.min(units, this.burst);
    if (owed <= 0) return;
    this.#tat = Math.max(this.#tat, now + owed * this.#intervalMs);
    this.#roll(now);
    this.#used = Math.max(this.#used, owed);
  }

  /** Milliseconds until the full burst is available. */
  resetMs(now: number): number {
    return Math.max(0, this.#tat - now);
  }

  /** Units that may pass now, 0 to `burst`. */
  #back(now: number): number {
    const owed = Math.max(0, this.#tat - now) / this.#intervalMs;
    return Math.max(0, Math.min(this.burst, this.burst - owed));
  }

  #roll(now: number): void {
    const period = Math.floor(now / this.#periodMs);
    if (period === this.#period) return;
    this.#usedBefore = period === this.#period + 1 ? this.#used : 0;
    [this.#period, this.#used] = [period, 0];
  }
}
