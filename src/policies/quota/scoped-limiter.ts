import type { ClientShare } from './client-share.ts';
import type { Limiter, Reservation } from './limiter.ts';
import { WHOLE } from './cooldown-report.ts';
import { TOLERANCE_MS } from './meter.ts';

/** The tokens that one attempt has reserved: those of the whole credential, and those of its scope. */
export interface CallReservation {
  readonly scope: string;
  readonly cost: number;
  readonly whole: LimiterReservation;
  /** Undefined if nothing was known about the scope. */
  readonly part: LimiterReservation | undefined;
  /** The share of the client, and when it was charged; undefined if the client has no share of its own. */
  readonly share: { readonly of: ClientShare; readonly at: number } | undefined;
}

export interface LimiterReservation {
  readonly limiter: Limiter;
  readonly reservation: Reservation;
}

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
    const { part, scope, whole } = this;
    this.share?.take(limitersOf(this), cost, now);
    return {
      scope,
      cost,
      whole: { limiter: whole, reservation: whole.take(cost, now, this.#isUncovered, testsMeters) },
      part: part && { limiter: part, reservation: part.take(cost, now, this.#assumed, testsMeters) },
      share: this.share && { of: this.share, at: now },
    };
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

/** Call when the attempt is about to leave. False: it must wait, because of a limit learned since it was admitted. */
export function start({ whole, part }: CallReservation, now: number): boolean {
  if (whole.limiter.holds(whole.reservation, now) || part?.limiter.holds(part.reservation, now) === true)
    return false;
  whole.limiter.start(whole.reservation, now);
  part?.limiter.start(part.reservation, now);
  return true;
}

/** Call when the attempt has a result, before anything is learned from it. */
export function finish({ whole, part }: CallReservation): void {
  whole.limiter.finish(whole.reservation);
  part?.limiter.finish(part.reservation);
}

/** Call for a reply to the attempt, after its readings were learned. */
export function observe(held: CallReservation | undefined, refused: boolean, now: number): void {
  held?.whole.limiter.observe(held.whole.reservation, refused, now);
  held?.part?.limiter.observe(held.part.reservation, refused, now);
}

/** Call if nothing of the attempt reached the upstream. */
export function refund(held: CallReservation, now: number): void {
  const { whole, part } = held;
  whole.limiter.refund(whole.reservation, now);
  part?.limiter.refund(part.reservation, now);
  correctShare(held, 0, now);
}

/** Call when the reply of the attempt has stated its real cost. */
export function correct(held: CallReservation, actual: number, now: number): void {
  const { whole, part } = held;
  whole.limiter.correct(whole.reservation, actual, now);
  part?.limiter.correct(part.reservation, actual, now);
  correctShare(held, actual, now);
}

function correctShare({ cost, part, share, whole }: CallReservation, actual: number, now: number): void {
  const limiters = limitersOf({ whole: whole.limiter, part: part?.limiter });
  share?.of.correct(limiters, { at: share.at, cost, actual }, now);
}

function limitersOf({
  whole,
  part,
}: {
  readonly whole: Limiter;
  readonly part: Limiter | undefined;
}): Limiter[] {
  return part === undefined ? [whole] : [whole, part];
}

/** Call if the attempt was a probe without a result. The next attempt may be the probe. */
export function releaseProbe({ whole, part }: CallReservation, now: number): void {
  if (whole.reservation.probe) whole.limiter.cooldown.releaseProbe(now);
  if (part?.reservation.probe === true) part.limiter.cooldown.releaseProbe(now);
}
