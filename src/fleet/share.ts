import type { WindowPlan } from './plan.ts';

/** A replica's own part of a window, while no units come from the engine: the limit divided by the replicas that were last seen. */
export class Share {
  readonly #intervalMs: number;
  readonly #burst: number;
  #tat: number;
  /** The engine knows of the units up to then. */
  #reportedUntil: number;
  /** Units of which the engine knows, and that are not used yet. */
  #reportedAhead = 0;
  /** Units used here that are to be reported, and that are not refilled yet. */
  #owed = 0;
  #owedAt: number;

  /**
   * `left`: units of the whole window that are left when it begins; less than 0: so many are used in advance. `random`: from 0 to 1. If less
   * than one is left for each replica, all begin at different moments, so that their units do not come together.
   */
  constructor(
    { intervalMs, burst }: WindowPlan,
    { replicas, left, random }: { replicas: number; left: number; random: number },
    now: number,
  ) {
    this.#intervalMs = intervalMs * replicas;
    this.#burst = Math.max(1, Math.floor(burst / replicas));
    const each = left / replicas;
    const mine = each < 1 ? Math.min(0, each) + 1 - random : Math.min(this.#burst, Math.floor(each));
    this.#tat = now + (this.#burst - mine) * this.#intervalMs;
    this.#reportedUntil = this.#tat;
    this.#owedAt = now;
  }

  /** Units that were reported, and are not used yet. Those of past moments, except for the last one, count no more: time has refilled them. */
  reportedAhead(now: number): number {
    return Math.min(this.#reportedAhead, Math.max(0, this.#reportedUntil - now) / this.#intervalMs + 1);
  }

  /** Everything that was reported ahead is past. */
  isOver(now: number): boolean {
    return now >= this.#reportedUntil;
  }

  /** When `units` may be used after `ahead` others. */
  readyAt(ahead: number, units: number, now: number): number {
    const more = ahead + Math.min(units, this.#burst) - this.#burst;
    return Math.max(now, Math.max(now, this.#tat) + more * this.#intervalMs);
  }

  /** Returns the units that are not reported. */
  use(units: number, now: number): number {
    this.#tat = Math.max(now, this.#tat) + Math.min(units, this.#burst) * this.#intervalMs;
    const reportedAhead = this.reportedAhead(now);
    const known = Math.min(units, reportedAhead);
    this.#reportedAhead = reportedAhead - known;
    return units - known;
  }

  /** `units` are to be reported when the engine is there again. No replica leases until then, so time refills them. */
  owe(units: number, now: number): void {
    this.#owed = this.owed(now) + units;
    this.#owedAt = now;
  }

  /** Units to report that were used. The others have been refilled by time. */
  owed(now: number): number {
    return Math.max(0, this.#owed - (now - this.#owedAt) / this.#intervalMs);
  }

  /** Units until the moment `until` that are not reported. `perMs`: how many are needed. */
  unreported(until: number, perMs: number, now: number): number {
    return Math.max(0, until - Math.max(now, this.#reportedUntil)) * Math.min(perMs, 1 / this.#intervalMs);
  }

  /** When so many units are unreported, if all are needed. */
  dueAt(units: number): number {
    return this.#reportedUntil + units * this.#intervalMs;
  }

  /** `owed` and `unreported` are reported now. */
  report(until: number, perMs: number, now: number): void {
    this.#reportedAhead = this.reportedAhead(now) + this.unreported(until, perMs, now);
    this.#reportedUntil = Math.max(this.#reportedUntil, until);
    this.#owed = 0;
  }
}
