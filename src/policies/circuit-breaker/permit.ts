export type PermitResult = 'success' | 'failure' | 'ignored';

export interface FailureDetail {
  /** No connection came about: DNS, TCP or TLS. */
  readonly connect?: boolean;
  /** The attempt is silent, but a later one was answered well. So it is part of a rate of failures, and of no run of them. */
  readonly overtaken?: boolean;
}

/** The breaker that issued a permit. It receives the result. */
export interface PermitIssuer {
  /** Receives the first result of a permit. */
  readonly settle: (permit: Permit, result: PermitResult, now: number, failure?: FailureDetail) => void;
  /** The permit failed at `failedAt` because of its silence, and its attempt has succeeded since. */
  readonly redeem: (permit: Permit, failedAt: number, now: number) => void;
  /** The permit has succeeded, and its stream has failed since. */
  readonly revoke: (permit: Permit, now: number) => void;
}

/** The permission to send one attempt, issued in one epoch of a breaker. Only the first result counts. */
export class Permit {
  readonly epoch: number;
  readonly startedAt: number;
  /** The start of the outage that it probes; undefined if it is no probe. */
  readonly probeOf: number | undefined;
  readonly #issuer: PermitIssuer;
  #headAt: number | undefined;
  #settled = false;
  #suspectedAt: number | undefined;

  constructor(issuer: PermitIssuer, epoch: number, startedAt: number, probeOf?: number) {
    this.#issuer = issuer;
    this.epoch = epoch;
    this.startedAt = startedAt;
    this.probeOf = probeOf;
  }

  get probe(): boolean {
    return this.probeOf !== undefined;
  }

  /** A good head has arrived; the body may still fail. */
  get answered(): boolean {
    return this.#headAt !== undefined;
  }

  /** Milliseconds from the start to the head, or to `now` without a head. */
  latencyMs(now: number): number {
    return (this.#headAt ?? now) - this.startedAt;
  }

  /** Call for a good head whose body is still to come. Its latency ends here, and a probe no longer counts as hung. */
  answer(now: number): void {
    this.#headAt = now;
  }

  succeed(now: number): void {
    if (this.#first()) this.#issuer.settle(this, 'success', now);
    else if (this.#suspectedAt !== undefined) this.#issuer.redeem(this, this.#suspectedAt, now);
    this.#suspectedAt = undefined;
  }

  fail(now: number, failure: FailureDetail = {}): void {
    if (this.#first()) this.#issuer.settle(this, 'failure', now, failure);
  }

  /** Call if an attempt that succeeded with the first event of its stream has failed later. */
  revoke(now: number): void {
    this.#issuer.revoke(this, now);
  }

  /** Call if the attempt seems to hang. It counts as failed unless it succeeds later. For a probe the lease does this. */
  suspect(now: number, overtaken = false): void {
    if (this.probe || this.#settled) return;
    this.fail(now, { overtaken });
    this.#suspectedAt = now;
  }

  /** Call for a result that says nothing, for example if the client left. Another probe may follow. */
  ignore(now: number): void {
    if (this.#first()) this.#issuer.settle(this, 'ignored', now);
  }

  #first(): boolean {
    const first = !this.#settled;
    this.#settled = true;
    return first;
  }
}
