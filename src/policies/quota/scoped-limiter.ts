import { CallReservation } from './call-reservation.ts';
import type { ClientShare } from './client-share.ts';
import type { Limiter } from './limiter.ts';
import { WHOLE } from './cooldown-report.ts';
import { TOLERANCE_MS } from './meter.ts';

/** The number of calls that leave before a call: of its whole credential, and of its scope. */
export interface Ahead {
  readonly whole: number;
  readonly part: number;
}

/** The limits that hold for a call: those of its whole credential and those of its scope. The later of the two times counts. */
export class ScopedLimiter {
  readonly scope: string;
  readonly whole: Limiter;
  readonly part: Limiter | undefined;
  /** The scope is a guess that no reply has confirmed. */
  readonly #assumed: boolean;
  /** The share of the client in these limits; undefined if it has none of its own. */
  share: ClientShare | undefined = undefined;

  constructor(scope: string, whole: Limiter, part: Limiter | undefined, assumed: boolean) {
    this.scope = scope;
    this.whole = whole;
    this.part = part;
    this.#assumed = assumed;
  }

  /** When an attempt may leave, at `now` or later. Infinity: that depends on a probe. */
  readyAt(ahead: Ahead, cost: number, now: number): number {
    const at = Math.max(
      this.#shareAt(cost, now),
      this.whole.readyAt(ahead.whole, cost, now, this.#isUncovered),
    );
    if (this.part === undefined) return at;
    return Math.max(at, this.part.readyAt(ahead.part, cost, now, this.#assumed));
  }

  /** The scope of a cooldown that a call may only pass with the lease for its probes. Call at `readyAt` or later. */
  unleased(now: number): string | undefined {
    if (this.whole.cooldown.needsLease(now)) return WHOLE;
    return this.part?.cooldown.needsLease(now) === true ? this.scope : undefined;
  }

  /** As `readyAt`, from confirmed limits only. A call that could not wait until then may be refused. */
  knownAt(ahead: Ahead, cost: number, now: number): number {
    const at = Math.max(
      this.#shareAt(cost, now),
      this.whole.knownAt(ahead.whole, cost, now, this.#isUncovered),
    );
    if (this.part === undefined) return at;
    return Math.max(at, this.part.knownAt(ahead.part, cost, now, this.#assumed));
  }

  /** True if windows or meters of the whole credential hold the call. Then no other call may overtake it. */
  isCounted(cost: number, now: number, toleranceMs: number): boolean {
    return this.whole.countedAt(0, cost, now) - now > toleranceMs;
  }

  /** When the meters that hold a call may be tested; Infinity if something else holds it. */
  meterTestAt(cost: number, now: number, quietMs = 0): number {
    // A share is no reading that could be wrong.
    if (this.#shareAt(cost, now) - now > TOLERANCE_MS) return Infinity;
    return Math.max(
      this.whole.meterTestAt(cost, now, quietMs),
      this.part?.meterTestAt(cost, now, quietMs) ?? now,
    );
  }

  take(cost: number, now: number, testsMeters: boolean): CallReservation {
    const { part, share, whole } = this;
    share?.take(limitersOf(this), cost, now);
    return new CallReservation(
      whole.take(cost, now, this.#isUncovered, testsMeters),
      part?.take(cost, now, this.#assumed, testsMeters),
      share,
    );
  }

  /** No call is queued. */
  idle(now: number): void {
    this.whole.cooldown.idle(now);
    this.part?.cooldown.idle(now);
  }

  /** True during a cooldown of unknown length. */
  get isUnknown(): boolean {
    return this.whole.cooldown.isUnknown || this.part?.cooldown.isUnknown === true;
  }

  /** The limiter with a cooldown, or with a ramp after one; undefined if there is none. */
  get coolingDown(): Limiter | undefined {
    if (this.part?.cooldown.isOff === false) return this.part;
    return this.whole.cooldown.isOff ? undefined : this.whole;
  }

  /** True during a cooldown, in which only probes pass. */
  get isActive(): boolean {
    return this.whole.cooldown.isActive || this.part?.cooldown.isActive === true;
  }

  /** Milliseconds until the end of its cooldowns if no probe is answered before; 0 while calls pass. */
  cooldownMs(now: number): number {
    return Math.max(this.whole.cooldown.remainingMs(now) ?? 0, this.part?.cooldown.remainingMs(now) ?? 0);
  }

  exhausted(now: number): boolean {
    return this.whole.exhausted(now) || this.part?.exhausted(now) === true;
  }

  /** Whether only the share of the client holds a call. */
  isHeldByShare(cost: number, now: number): boolean {
    return this.#shareAt(cost, now) - now > TOLERANCE_MS && this.whole.countedAt(0, cost, now) <= now;
  }

  #shareAt(cost: number, now: number): number {
    return this.share === undefined ? now : this.share.readyAt(limitersOf(this), cost, now);
  }

  get #isUncovered(): boolean {
    return this.whole.cooldown.isUncovered(this.scope);
  }
}

function limitersOf({ whole, part }: ScopedLimiter): Limiter[] {
  return part === undefined ? [whole] : [whole, part];
}
