import type { RequestBody } from '../http/bodies/request-body.ts';
import type { Reply } from '../http/reply.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { isCutShort, ProxyError } from './errors.ts';

/** The expected time of an attempt to its head. */
export interface Expectation {
  /** An attempt without a head after this time is suspected to hang; Infinity if too little is known. */
  readonly patienceMs: number;
  /** Nine in ten attempts are answered within this time; undefined if too little is known. */
  readonly usualMs: number | undefined;
  /** The longest recent time to a good head, in milliseconds; 0 if too little is known. */
  readonly longestMs: number;
  /** The time that the route allows for an attempt, or otherwise for the whole call. */
  readonly totalMs: number;
  readonly usual: UsualTime;
}

/** Learns the times to good heads of attempts of one kind. */
export interface UsualTime {
  /** The latest start of an attempt with a good answer. */
  wellAt: number;
  begin(): boolean;
  record(ms: number, first: boolean): void;
  forget(): void;
}

/** Learns that an attempt seems to hang. It listens to one watch. */
export interface SuspicionListener {
  suspected(watch: AttemptWatch): void;
  /** The listener before it, which the watch sets: a list without objects of its own. */
  listensAfter?: SuspicionListener | undefined;
}

function tellSuspicion(watch: AttemptWatch, latest: SuspicionListener | undefined): void {
  if (latest === undefined) return;
  tellSuspicion(watch, latest.listensAfter);
  latest.suspected(watch);
}

/** The latest answers of an upstream, for attempts that are still silent. */
export interface Pulse {
  /** When the upstream last sent any head. */
  answeredAt: number;
  /** The latest start of an attempt with a good answer. */
  wellAt: number;
}

/** If the upstream answers nothing for this long, an attempt that its client ends counts against the upstream. */
const SILENCE_MS = 4_000;

/** The usual time is an estimate, so an attempt gets half as much again. */
const USUAL_MARGIN = 1.5;

/** An attempt begins later than its call, so it never has all of the call's time. */
const TOTAL_SHARE = 0.9;

/**
 * Decides whether the silence of one attempt counts against the upstream. The breaker and the concurrency limit both ask it, so
 * that they agree:
 *
 * - No head within `patienceMs`: the attempt is suspected to hang. Listeners are called at once.
 * - The attempt is cut short by its client or by a deadline: a failure only after `patienceMs`, after the route's own time, or if
 *   the upstream has answered no attempt for some seconds.
 */
export class AttemptWatch {
  /** The attempt probes a half-open breaker, so it does not wait in queues. */
  probe = false;
  readonly expectation: Expectation;
  readonly #pulse: Pulse;
  readonly #clock: Clock;
  #body: RequestBody | undefined;
  #startedAt = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #suspected = false;
  /** The attempt is one of the first of its kind. */
  #first = false;
  #latest: SuspicionListener | undefined;

  constructor(expectation: Expectation, pulse: Pulse, clock: Clock) {
    this.expectation = expectation;
    this.#pulse = pulse;
    this.#clock = clock;
  }

  get suspected(): boolean {
    return this.#suspected;
  }

  /** True if the upstream has answered a later attempt well. Then the silence of this one says nothing about the upstream. */
  get overtaken(): boolean {
    return this.#pulse.wellAt > this.#startedAt;
  }

  /** True if the later attempt was of the same kind. Then the path works, and only this attempt hangs. */
  get overtakenByItsKind(): boolean {
    return this.expectation.usual.wellAt > this.#startedAt;
  }

  /** Calls `listener` once, if the attempt is suspected to hang. */
  onSuspected(listener: SuspicionListener): void {
    listener.listensAfter = this.#latest;
    this.#latest = listener;
  }

  /** Call when the attempt leaves. */
  start(body: RequestBody): void {
    this.#body = body;
    this.#startedAt = this.#clock.now();
    this.#first = this.expectation.usual.begin();
    const { patienceMs } = this.expectation;
    if (patienceMs !== Number.POSITIVE_INFINITY) this.#wait(patienceMs);
  }

  replied(reply: Reply): void {
    const now = this.#clock.now();
    this.#pulse.answeredAt = now;
    this.#stop();
    if (!isGood(reply)) return this.#learnNothing();
    const { usual } = this.expectation;
    this.#pulse.wellAt = Math.max(this.#pulse.wellAt, this.#startedAt);
    usual.wellAt = Math.max(usual.wellAt, this.#startedAt);
    usual.record(now - this.#startedAt, this.#first);
  }

  failed(): void {
    this.#stop();
    this.#learnNothing();
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#latest = undefined;
  }

  #learnNothing(): void {
    if (this.#first) this.expectation.usual.forget();
  }

  /** Milliseconds of silence of the upstream, without the time in which the client still sends its body. */
  silentMs(now: number): number {
    return now - Math.max(this.#startedAt, this.#body?.broughtOnAt(now) ?? 0);
  }

  /** True if the attempt was cut short too early, so that its end says nothing about the upstream. */
  saysNothing(error: unknown): boolean {
    return error instanceof ProxyError && isCutShort(error) && !this.#hadItsTime();
  }

  /** True if the attempt was cut short after it had enough time. */
  ranOut(error: unknown): boolean {
    return error instanceof ProxyError && isCutShort(error) && this.#hadItsTime();
  }

  #hadItsTime(): boolean {
    if (this.overtaken) return false;
    const { patienceMs, totalMs, usualMs = 0 } = this.expectation;
    const silentMs = this.silentMs(this.#clock.now());
    if (silentMs >= Math.min(patienceMs, TOTAL_SHARE * totalMs)) return true;
    const silence = this.#pulse.answeredAt < this.#startedAt;
    return silence && silentMs >= Math.max(SILENCE_MS, USUAL_MARGIN * usualMs);
  }

  #wait(ms: number): void {
    this.#timer = this.#clock.timer(ms, this);
  }

  onTime(): void {
    const left = this.expectation.patienceMs - this.silentMs(this.#clock.now());
    // Less than a millisecond is no wait: floating-point errors could repeat it without end.
    if (left >= 1) return this.#wait(left);
    this.#suspected = true;
    const latest = this.#latest;
    this.#latest = undefined;
    tellSuspicion(this, latest);
  }
}

/** Failures do not count, because their times say nothing about the times of answers. */
function isGood({ status, classification }: Reply): boolean {
  return status < 500 && status !== 429 && classification?.throttled !== true;
}
