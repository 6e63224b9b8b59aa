import type { QuotaWindow } from './options.ts';

/** A rate up to this period is spread evenly, because APIs that count by the second refuse what comes at once. */
const SPREAD_PERIOD_MS = 1000;

/** The share of a spread window that may go at once all the same: room for timers that are late. */
const SPREAD_BURST = 0.05;

/**
 * One rate, kept by the generic cell rate algorithm (ITU-T I.371 annex A; virtual scheduling): `tat` is the theoretical
 * arrival time of the next unit, one number however large the window. Over any stretch of `t` ms no more than
 * `burst + t / interval` units pass.
 *
 * With a written burst, `limit` units per period pass behind it. Without one, a window of a second or less lets a twentieth
 * go at once and is that much slower, so that no stretch of its period ever sees more than `limit`; a longer window lets all
 * of it go at once, because to be refused at the eleventh of a thousand calls a day helps nobody.
 *
 * Rule "a cost above the burst is the burst": what claims to cost more waits for a whole burst and takes it, and no more. Otherwise one
 * call could close the window for years.
 */
export class Gcra {
  readonly burst: number;
  readonly #intervalMs: number;
  readonly #limit: number;
  readonly #periodMs: number;
  #tat = -Infinity;
  /** What was taken in the latest two periods, for those who look at it. */
  #period = -Infinity;
  #used = 0;
  #usedBefore = 0;

  constructor({ limit, periodMs, burst }: Pick<QuotaWindow, 'limit' | 'periodMs' | 'burst'>) {
    const spread = burst === undefined && periodMs <= SPREAD_PERIOD_MS;
    this.burst = burst ?? (spread ? Math.max(1, Math.floor(limit * SPREAD_BURST)) : limit);
    this.#intervalMs = periodMs / (spread ? limit - this.burst + 1 : limit);
    [this.#limit, this.#periodMs] = [limit, periodMs];
  }

  /** When `units` may pass once `ahead` have passed before them; more than a whole burst waits for a whole burst. */
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

  /** Gives back what was taken and not used. */
  refund(units: number): void {
    const taken = Math.min(units, this.burst);
    this.#tat -= taken * this.#intervalMs;
    this.#used = Math.max(0, this.#used - taken);
  }

  /** Of the limit as it is written: what the latest period has not used; and not more than the rate has brought back. */
  remaining(now: number): number {
    if (this.burst >= this.#limit) return this.#back(now);
    this.#roll(now);
    const share = 1 - (now / this.#periodMs - this.#period);
    return Math.max(0, Math.min(this.#limit, this.#limit - this.#used - this.#usedBefore * share));
  }

  /** Milliseconds until all of the burst is there again. */
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
