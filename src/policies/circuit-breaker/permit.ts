export type Verdict = 'success' | 'failure' | 'ignored';

export interface FailureDetail {
  /** No connection came about: DNS, TCP or TLS. */
  readonly connect?: boolean;
  /** The upstream's own word on when to come back. */
  readonly retryAfterMs?: number | undefined;
}

/** Receives each permit's first verdict; `latencyMs` is the time to the head, or to the failure. */
export type Settle = (permit: Permit, verdict: Verdict, now: number, failure?: FailureDetail) => void;

/** Leave to send one attempt, given in one epoch of a breaker. Settling it twice is harmless: only the first counts. */
export class Permit {
  /** It tests a half-open breaker. */
  readonly probe: boolean;
  readonly epoch: number;
  readonly #settle: Settle;
  readonly #startedAt: number;
  #headAt: number | undefined;
  #settled = false;

  constructor(settle: Settle, epoch: number, startedAt: number, probe: boolean) {
    this.#settle = settle;
    this.epoch = epoch;
    this.#startedAt = startedAt;
    this.probe = probe;
  }

  /** A good head has come; the body may still spoil it. */
  get answered(): boolean {
    return this.#headAt !== undefined;
  }

  /** From the start to the head, or to `now` without one. */
  latencyMs(now: number): number {
    return (this.#headAt ?? now) - this.#startedAt;
  }

  /** Notes a good head whose body is still to come: latency ends here, and a probe no longer counts as hung. */
  answer(now: number): void {
    this.#headAt = now;
  }

  succeed(now: number): void {
    if (this.#first()) this.#settle(this, 'success', now);
  }

  fail(now: number, failure: FailureDetail = {}): void {
    if (this.#first()) this.#settle(this, 'failure', now, failure);
  }

  /** Counts for neither side (the client left, say); a probe gives its place back. */
  ignore(now: number): void {
    if (this.#first()) this.#settle(this, 'ignored', now);
  }

  #first(): boolean {
    const first = !this.#settled;
    this.#settled = true;
    return first;
  }
}
