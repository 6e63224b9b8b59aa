import type { QuotaReading } from '../../http/rate-limit.ts';
import { FlowMeter } from './flow-meter.ts';
import type { ReadingContext, SentAt } from './meter.ts';
import type { LearnedLimit, LearnedUnits } from './shared-credential.ts';
import type { TokenSource } from './token-source.ts';

/** Limits are given per second, minute, hour or day. */
const USUAL_PERIODS_MS = [1_000, 60_000, 3_600_000, 86_400_000];

/** A period that is read from a rounded reset may be wrong by this share. */
const ROUNDING = 0.1;

/** The store is corrected by a reading at most this often, because the last correction must have arrived. */
const CORRECTED_MS = 1_000;

/**
 * A quota that refills continuously, whose units replicas share. Each reply states what is left for all replicas, and each replica
 * could use all of that, while replies to the others are on their way. So a call also needs a unit that is leased from the store.
 * There, the quota is a window with the stated limit and rate. Until the rate is known, nothing is leased.
 */
export class SharedFlowMeter extends FlowMeter {
  readonly #units: LearnedUnits;
  #counted: LearnedLimit | undefined;
  #tokens: TokenSource | undefined;
  #correctedAt = -Infinity;

  constructor(reading: QuotaReading, units: LearnedUnits) {
    super(reading);
    this.#units = units;
  }

  override learn(reading: QuotaReading, context: ReadingContext, now: number): void {
    super.learn(reading, context, now);
    this.#count(reading.windowMs ?? usualPeriodMs(this.periodMs));
    if (reading.remaining !== undefined) this.#follow(reading.remaining, now);
  }

  override readyAt(ahead: number, units: number, now: number): number {
    const at = super.readyAt(ahead, units, now);
    return this.#tokens === undefined ? at : Math.max(at, this.#tokens.readyAt(ahead, units, now));
  }

  override take(units: number, now: number): void {
    super.take(units, now);
    this.#tokens?.take(units, now);
  }

  override refund(units: number, takenAt: number, leftAt: number | undefined): void {
    super.refund(units, takenAt, leftAt);
    this.#tokens?.correct(units, 0);
  }

  override correct(units: number, actual: number, sent: SentAt, now: number): void {
    super.correct(units, actual, sent, now);
    this.#tokens?.correct(units, actual);
  }

  wanted(units: number, first: number): void {
    this.#tokens?.wanted?.(units, first);
  }

  /** Replicas with another limit or period would count apart. So a period that is not sure is not used. */
  #count(windowMs: number | undefined): void {
    const { limit } = this;
    if (this.#counted?.limit === limit && this.#counted.windowMs === windowMs) return;
    this.#counted = windowMs === undefined ? undefined : { limit, windowMs };
    this.#tokens = this.#counted && this.#units.refilled(this.#counted);
  }

  /**
   * Others than the replicas may use the quota, and some of it was used before it was counted. Every replica sees this. So each of them
   * takes its part of the difference. Calls that are on their way are counted in the store first, so they make no difference.
   */
  #follow(remaining: number, now: number): void {
    if (this.#tokens === undefined || this.#units.away || now < this.#correctedAt + CORRECTED_MS) return;
    // A stated rest is rounded down.
    const more = (this.#tokens.remaining(now) - remaining - 1) / this.#units.replicas;
    if (more <= 0) return;
    this.#correctedAt = now;
    this.#tokens.correct(0, more);
  }
}

/** The usual period that is near `ms`; undefined if none is. */
function usualPeriodMs(ms: number): number | undefined {
  return USUAL_PERIODS_MS.find((usual) => Math.abs(ms - usual) <= ROUNDING * usual);
}
