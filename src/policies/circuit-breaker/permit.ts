export type Verdict = 'success' | 'failure' | 'ignored';

export interface FailureDetail {
  /** No connection came about: DNS, TCP or TLS. */
  readonly connect?: boolean;
}

/** Whoever gave a permit hears what becomes of it. */
export interface Judge {
  /** The permit's first verdict. */
  readonly settle: (permit: Permit, verdict: Verdict, now: number, failure?: FailureDetail) => void;
  /** It was settled as failed at `failedAt` because of its silence, and has been answered well since. */
  readonly redeem: (permit: Permit, failedAt: number, now: number) => void;
}

/** Leave to send one attempt, given in one epoch of a breaker. Settling it twice is harmless: only the first counts. */
export class Permit {
  readonly epoch: number;
  readonly startedAt: number;
  /** The beginning of the outage whose end it tests; undefined: it is no probe. */
  readonly probeOf: number | undefined;
  readonly #judge: Judge;
  #headAt: number | undefined;
  #settled = false;
  #suspectedAt: number | undefined;

  constructor(judge: Judge, epoch: number, startedAt: number, probeOf?: number) {
    this.#judge = judge;
    this.epoch = epoch;
    this.startedAt = startedAt;
    this.probeOf = probeOf;
  }

  get probe(): boolean {
    return this.probeOf !== undefined;
  }

  /** A good head has come; the body may still spoil it. */
  get answered(): boolean {
    return this.#headAt !== undefined;
  }

  /** From the start to the head, or to `now` without one. */
  latencyMs(now: number): number {
    return (this.#headAt ?? now) - this.startedAt;
  }

  /** Notes a good head whose body is still to come: latency ends here, and a probe no longer counts as hung. */
  answer(now: number): void {
    this.#headAt = now;
  }

  succeed(now: number): void {
    if (this.#first()) this.#judge.settle(this, 'success', now);
    else if (this.#suspectedAt !== undefined) this.#judge.redeem(this, this.#suspectedAt, now);
    this.#suspectedAt = undefined;
  }

  fail(now: number, failure: FailureDetail = {}): void {
    if (this.#first()) this.#judge.settle(this, 'failure', now, failure);
  }

  /** It is suspected to hang, and counts as failed unless it is answered well later. A probe has its lease instead. */
  suspect(now: number): void {
    if (this.probe || this.#settled) return;
    this.fail(now);
    this.#suspectedAt = now;
  }

  /** Counts for neither side (the client left, say); a probe gives its place back. */
  ignore(now: number): void {
    if (this.#first()) this.#judge.settle(this, 'ignored', now);
  }

  #first(): boolean {
    const first = !this.#settled;
    this.#settled = true;
    return first;
  }
}
