/** Refusals in a row after which a credential counts as invalid. A single one may be about the call: a key without the right for it. */
const REFUSALS = 2;

/** The first time without calls. It doubles with each refused probe. */
const FIRST_WAIT_MS = 5_000;

/** The longest one. A person has to renew a key or to pay, and then should not wait for long. */
const LONGEST_WAIT_MS = 5 * 60_000;

/** The refusal of a credential: its status, and when the refused attempt left. */
export interface CredentialRefusal {
  readonly status: number;
  readonly startedAt: number;
}

/** Why a target gets no calls. */
export interface Shut {
  /** The status by which its credential was refused. */
  readonly status: number;
  readonly since: number;
  /** The next call that may go there is a probe. */
  readonly probeAt: number;
}

/**
 * Keeps calls away from a target whose credential is refused (401: revoked, 402: out of credit, or by an error rule), on the scale of `now`.
 *
 * - open → shut: other targets have accepted the calls that this one refused
 * - shut → open: a probe, which is one of the calls, was accepted
 */
export class CredentialGate {
  #inRow = 0;
  #acceptedAt = -Infinity;
  #waitMs = FIRST_WAIT_MS;
  #shut: Shut | undefined;

  /** Undefined while it is open. */
  get shut(): Shut | undefined {
    return this.#shut;
  }

  /** Call for a refusal if another target has accepted the same call. True if the gate shuts. */
  refused({ status, startedAt }: CredentialRefusal, now: number): boolean {
    // An attempt that left later was accepted, so the credential is valid by now.
    if (startedAt < this.#acceptedAt) return false;
    if (this.#shut !== undefined) {
      if (startedAt < this.#shut.since) return false;
      this.#waitMs = Math.min(LONGEST_WAIT_MS, 2 * this.#waitMs);
      this.#shut = { ...this.#shut, status, probeAt: now + this.#waitMs };
      return false;
    }
    if (++this.#inRow < REFUSALS) return false;
    this.#shut = { status, since: now, probeAt: now + this.#waitMs };
    return true;
  }

  /** Call when a probe leaves. No other one follows until its result or until the wait is over again. */
  probed(now: number): void {
    if (this.#shut !== undefined) this.#shut = { ...this.#shut, probeAt: now + this.#waitMs };
  }

  /** Call for an attempt whose credential was accepted. True if the gate opens. */
  accepted(startedAt: number): boolean {
    this.#acceptedAt = Math.max(this.#acceptedAt, startedAt);
    this.#inRow = 0;
    if (this.#shut === undefined || startedAt < this.#shut.since) return false;
    this.reset();
    return true;
  }

  /** Opens it: a person says that the credential is valid. */
  reset(): void {
    this.#shut = undefined;
    this.#inRow = 0;
    this.#waitMs = FIRST_WAIT_MS;
  }
}
