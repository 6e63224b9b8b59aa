import type { RequestBody } from '../http/bodies/request-body.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { isCutShort, ProxyError } from './errors.ts';

/** What is known beforehand of the time that an attempt takes to its head. */
export interface Expectation {
  /** Without a head for longer than this, the attempt is suspected to hang; Infinity where too little is known. */
  readonly patienceMs: number;
  /** The time within which nearly all are answered; undefined where too little is known. */
  readonly usualMs: number | undefined;
  /** The longest time to a good head of late; 0 where too little is known. */
  readonly longestMs: number;
  /** What the route itself allows: for an attempt, or else for the whole call. */
  readonly totalMs: number;
  /** Takes the time to a good head. */
  readonly usual: { begin(): boolean; record(ms: number, first: boolean): void; forget(): void };
}

/** What the latest answers of an upstream say about the attempts that are still silent. */
export interface Pulse {
  /** When the upstream last answered anything at all. */
  answeredAt: number;
  /** When the attempt left that left last of those answered well. */
  wellAt: number;
}

/** Without any answer from the upstream for so long, an attempt that its client gives up counts against the upstream. */
const SILENCE_MS = 4_000;

/** A usual time is an estimate: an attempt has had it when it has had half as much again. */
const USUAL_MARGIN = 1.5;

/** An attempt begins a little later than its call, so it never has quite all of the call's time. */
const TOTAL_SHARE = 0.9;

/**
 * What the silence of one attempt says about the upstream. It is asked by all who judge attempts (the breaker, the
 * concurrency limit), so that they judge alike:
 *
 * - A head has not come within the attempt's patience: the attempt is suspected to hang. This is told at once.
 * - The attempt is cut short by its client or by a deadline: this is a failure only if the attempt had its patience, or all
 *   of the route's own time, or if the upstream has been silent to everybody for some seconds.
 */
export class AttemptWatch {
  /** The attempt tests a half-open breaker, so it waits behind nobody. */
  probe = false;
  readonly expectation: Expectation;
  readonly #pulse: Pulse;
  readonly #clock: Clock;
  #body: RequestBody | undefined;
  #startedAt = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #suspected = false;
  /** It is one of the first of its kind. */
  #first = false;
  #listeners: Array<() => void> | undefined;

  constructor(expectation: Expectation, pulse: Pulse, clock: Clock) {
    this.expectation = expectation;
    this.#pulse = pulse;
    this.#clock = clock;
  }

  get suspected(): boolean {
    return this.#suspected;
  }

  /** The upstream has answered an attempt well that left later. The silence of this one is then its own, and not the upstream's. */
  get overtaken(): boolean {
    return this.#pulse.wellAt > this.#startedAt;
  }

  /** Calls `listener` once, if the attempt is suspected to hang. */
  onSuspected(listener: () => void): void {
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  /** The attempt leaves now. */
  start({ body }: { readonly body: RequestBody }): void {
    this.#body = body;
    this.#startedAt = this.#clock.now();
    this.#first = this.expectation.usual.begin();
    const { patienceMs } = this.expectation;
    if (patienceMs !== Number.POSITIVE_INFINITY) this.#wait(patienceMs);
  }

  /** The attempt is over, or has its head. */
  stop(): void {
    this.#timer?.cancel();
    this.#listeners = undefined;
  }

  /** A head came, whatever it says. */
  answered(): void {
    this.#pulse.answeredAt = this.#clock.now();
    this.stop();
  }

  /** A good head came after `ms`; undefined: none came. */
  learn(ms: number | undefined): void {
    const { usual } = this.expectation;
    if (ms !== undefined) {
      this.#pulse.wellAt = Math.max(this.#pulse.wellAt, this.#startedAt);
      usual.record(ms, this.#first);
    } else if (this.#first) usual.forget();
  }

  /** How long the upstream has kept silent. The time in which the client still sends its body does not count. */
  silentMs(now: number): number {
    return now - Math.max(this.#startedAt, this.#body?.broughtOnAt(now) ?? 0);
  }

  /** True for an end that says nothing about the upstream, because the attempt was cut short too early. */
  saysNothing(error: unknown): boolean {
    return error instanceof ProxyError && isCutShort(error) && !this.#hadItsTime();
  }

  /** True for an attempt that was cut short after it had its time. */
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
    this.#timer = this.#clock.timer(ms, () => {
      const left = this.expectation.patienceMs - this.silentMs(this.#clock.now());
      // Less than a timer can tell apart is no time: floating point may leave a trace of it for ever.
      if (left >= 1) return this.#wait(left);
      this.#suspected = true;
      const listeners = this.#listeners;
      this.#listeners = undefined;
      if (listeners !== undefined) for (const listener of listeners) listener();
    });
  }
}
