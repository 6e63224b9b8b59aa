import type { ClientShare } from './client-share.ts';
import type { Limiter, Reservation } from './limiter.ts';

/** The tokens that one attempt has reserved: those of the whole credential, those of its scope, and those of its client. */
export class CallReservation {
  readonly whole: Reservation;
  /** Undefined if nothing was known about the scope. */
  readonly part: Reservation | undefined;
  /** Undefined if the client has no share of its own. */
  readonly #share: ClientShare | undefined;

  constructor(whole: Reservation, part: Reservation | undefined, share: ClientShare | undefined) {
    this.whole = whole;
    this.part = part;
    this.#share = share;
  }

  get cost(): number {
    return this.whole.cost;
  }

  /** The tokens at `limiter`; undefined: none were reserved there. */
  at(limiter: Limiter | undefined): Reservation | undefined {
    if (this.whole.limiter === limiter) return this.whole;
    return this.part?.limiter === limiter ? this.part : undefined;
  }

  /** Call when the attempt is about to leave. False: it must wait, because of a limit learned since it was admitted. */
  start(now: number): boolean {
    const { whole, part } = this;
    if (whole.isHeld(now) || part?.isHeld(now) === true) return false;
    whole.limiter.start(whole, now);
    part?.limiter.start(part, now);
    return true;
  }

  /** Call when the attempt has a result, before anything is learned from it. */
  finish(): void {
    const { whole, part } = this;
    whole.limiter.finish(whole);
    part?.limiter.finish(part);
  }

  /** Call for a reply to the attempt, after its readings were learned. */
  observe(refused: boolean, now: number): void {
    const { whole, part } = this;
    whole.limiter.observe(whole, refused, now);
    part?.limiter.observe(part, refused, now);
  }

  /** Call if nothing of the attempt reached the upstream. */
  refund(now: number): void {
    const { whole, part } = this;
    whole.limiter.refund(whole, now);
    part?.limiter.refund(part, now);
    this.#correctShare(0, now);
  }

  /** Call when the reply of the attempt has stated its real cost. */
  correct(actual: number, now: number): void {
    const { whole, part } = this;
    whole.limiter.correct(whole, actual, now);
    part?.limiter.correct(part, actual, now);
    this.#correctShare(actual, now);
  }

  #correctShare(actual: number, now: number): void {
    const { whole, part } = this;
    const limiters = part === undefined ? [whole.limiter] : [whole.limiter, part.limiter];
    this.#share?.correct(limiters, { at: whole.at, cost: whole.cost, actual }, now);
  }

  /** `part`: the limiter of the attempt's scope, as its reply names it. If another was assumed, its probe has no result. */
  confirm(part: Limiter | undefined, now: number): void {
    if (this.part?.limiter !== part) this.part?.releaseProbe(now);
  }

  /** Call if the attempt was a probe without a result. The next attempt may be the probe. */
  releaseProbe(now: number): void {
    this.whole.releaseProbe(now);
    this.part?.releaseProbe(now);
  }
}
