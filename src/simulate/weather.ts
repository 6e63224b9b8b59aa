import { rollOf } from './seeded-random.ts';
import type { Scenario } from './scenario.ts';

/** What the upstream does with an attempt: serve it in its turn, refuse it at once, or keep silent. */
export type Treatment =
  | { readonly kind: 'serve' }
  | { readonly kind: 'refuse'; readonly status: 503 | 429; readonly retryAfterSeconds?: number }
  | { readonly kind: 'silence' };

const SERVE: Treatment = { kind: 'serve' };
const DOWN: Treatment = { kind: 'refuse', status: 503 };

/** Faults that treat every attempt alike. A brownout shows in the time that serving takes. */
const STEADY = {
  brownout: SERVE,
  outage: DOWN,
  blackhole: { kind: 'silence' },
  exhausted: { kind: 'refuse', status: 429 },
} as const satisfies Partial<Record<Scenario['fault']['kind'], Treatment>>;

const BROWNOUT_SLOWDOWN = 10;
/** The quota of a rate-limited upstream: this share of its capacity, counted in windows of this length. */
const QUOTA_SHARE = 0.5;
const QUOTA_WINDOW_MS = 5_000;
/** A flapping upstream changes its mind this often. */
const FLAP_MS = 2_000;

/** The fault as it is at any moment. */
export class Weather {
  readonly #scenario: Scenario;
  #quota = { window: -1, used: 0 };

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  slowdown(now: number): number {
    return this.#scenario.fault.kind === 'brownout' && this.#faultAgeMs(now) !== undefined
      ? BROWNOUT_SLOWDOWN
      : 1;
  }

  treat(target: string, attempt: number, now: number): Treatment {
    const age = this.#faultAgeMs(now);
    if (age === undefined) return SERVE;
    const { fault } = this.#scenario;
    if (fault.kind === 'flapping') return Math.floor(age / FLAP_MS) % 2 === 0 ? DOWN : SERVE;
    if (fault.kind === 'flaky') return isUnlucky(this.#scenario, target, attempt) ? DOWN : SERVE;
    if (fault.kind === 'rate-limited') return this.#count(age);
    return STEADY[fault.kind];
  }

  /** How long the fault has lasted; undefined outside of it. */
  #faultAgeMs(now: number): number | undefined {
    const age = now - this.#scenario.faultAtMs;
    return age >= 0 && age < this.#scenario.faultMs ? age : undefined;
  }

  #count(age: number): Treatment {
    const window = Math.floor(age / QUOTA_WINDOW_MS);
    if (window !== this.#quota.window) this.#quota = { window, used: 0 };
    this.#quota.used++;
    const quota = (QUOTA_SHARE * this.#scenario.capacityPerSecond * QUOTA_WINDOW_MS) / 1_000;
    if (this.#quota.used <= quota) return SERVE;
    const left = (window + 1) * QUOTA_WINDOW_MS - age;
    return { kind: 'refuse', status: 429, retryAfterSeconds: Math.ceil(left / 1_000) };
  }
}

/**
 * Whether a flaky upstream fails this attempt: decided by the attempt's name alone and not by its time, so that what could
 * have been rescued at best is known exactly.
 */
export function isUnlucky(
  { fault, seed }: Pick<Scenario, 'fault' | 'seed'>,
  target: string,
  attempt: number,
): boolean {
  return fault.kind === 'flaky' && rollOf(seed, `${target}#${attempt}`) < fault.share;
}
