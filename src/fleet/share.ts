import type { WindowPlan } from './plan.ts';

/** A replica's own part of a window, while there is no engine: the limit divided by the replicas that were last seen. */
export class Share {
  readonly #intervalMs: number;
  readonly #burst: number;
  #tat: number;
  /** Units used here that are not refilled yet. */
  #owed = 0;
  #owedAt: number;

  /** `left`: units of the whole window that were left when the engine was last heard. */
  constructor({ intervalMs, burst }: WindowPlan, replicas: number, left: number, now: number) {
    this.#intervalMs = intervalMs * replicas;
    this.#burst = Math.max(1, Math.floor(burst / replicas));
    const mine = Math.min(this.#burst, Math.floor(left / replicas));
    this.#tat = now + (this.#burst - mine) * this.#intervalMs;
    this.#owedAt = now;
  }

  /** When `units` may be used after `ahead` others. */
  readyAt(ahead: number, units: number, now: number): number {
    const more = ahead + Math.min(units, this.#burst) - this.#burst;
    return Math.max(now, Math.max(now, this.#tat) + more * this.#intervalMs);
  }

  take(units: number, now: number): void {
    this.#tat = Math.max(now, this.#tat) + Math.min(units, this.#burst) * this.#intervalMs;
    this.#owed = this.owed(now) + units;
    this.#owedAt = now;
  }

  /** The units used here, which the engine gets to know now. */
  settle(now: number): number {
    const owed = this.owed(now);
    this.#owed = 0;
    return owed;
  }

  /** Units of which the engine must be told. The others have been refilled by time. */
  owed(now: number): number {
    return Math.max(0, this.#owed - (now - this.#owedAt) / this.#intervalMs);
  }
}
