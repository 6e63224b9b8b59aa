import type { TargetOptions } from './options.ts';

/** A failure counts as an attempt in flight, less and less: to a third after this time. */
const FAILURE_MS = 2_000;

/** The load of one target: its attempts in flight, and its recent failures. */
export class Load {
  readonly weight: number;
  readonly tier: number;
  /** Where it stands in the turns of its tier. It grows by 1 ÷ weight with each attempt. */
  turn = 0;
  #inFlight = 0;
  #failures = 0;
  #failuresAt = 0;

  constructor({ weight, tier }: Pick<TargetOptions, 'weight' | 'tier'>) {
    this.weight = weight;
    this.tier = tier;
  }

  /** Attempts whose reply has not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  begin(): void {
    this.#inFlight++;
  }

  /** Call once for each `begin`, at the end of the reply's body or at the failure. */
  end(): void {
    this.#inFlight--;
  }

  /** A target that fails fast has few attempts in flight. Without this it would seem to have room for more. */
  fail(now: number): void {
    this.#failures = this.#recentFailures(now) + 1;
    this.#failuresAt = now;
  }

  at(now: number): number {
    return this.#inFlight + this.#recentFailures(now);
  }

  #recentFailures(now: number): number {
    return this.#failures === 0 ? 0 : this.#failures * Math.exp((this.#failuresAt - now) / FAILURE_MS);
  }
}
