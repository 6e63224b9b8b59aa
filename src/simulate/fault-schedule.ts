import type { Effect, Limits, Trouble } from './effect.ts';
import { type Endpoint, endpointsOf, type Scenario } from './scenario.ts';
import { rollOf } from './seeded-random.ts';
import { QuotaCounter } from './quota-counter.ts';
import { troublesOf } from './trouble.ts';

/** An attempt, as the upstream sees it. */
export interface Asked {
  readonly endpoint: Endpoint;
  readonly target: string;
  /** Number of the attempt of this call, from 1. */
  readonly attempt: number;
  readonly key?: string | undefined;
}

/** How the upstream treats an attempt: serve it, refuse it, break the connection, be silent for a time, or send a useless stream. */
export type Treatment =
  | { readonly kind: 'serve'; readonly headers: readonly string[] }
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly headers: readonly string[];
      readonly afterMs?: number;
    }
  | { readonly kind: 'break'; readonly code: 'connection_refused' | 'connection_terminated' }
  | { readonly kind: 'silence'; readonly ms: number }
  | { readonly kind: 'stream'; readonly content: 'nothing' | 'error' };

const SERVE: Treatment = { kind: 'serve', headers: [] };
const NO_HEADERS: readonly string[] = [];

/** The faults of a scenario at any time. */
export class FaultSchedule {
  readonly #scenario: Scenario;
  readonly #troubles: ReadonlyMap<Endpoint, readonly Trouble[]>;
  readonly #concerned = new Map<Trouble, number>();
  readonly #counters = new Map<Limits, Map<string, QuotaCounter>>();

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#troubles = new Map(endpointsOf(scenario).map((one) => [one, troublesOf(scenario, one)]));
  }

  /** Factor by which an attempt that a worker starts now is slower. */
  slowdown(asked: Asked, now: number): number {
    const age = this.#ageMs(now);
    if (age === undefined) return 1;
    const slow = this.#find(asked, age, (effect) => effect.kind === 'slows');
    return slow?.kind === 'slows' ? slow.times : 1;
  }

  /** How an attempt is treated. `wallMs`: `now` since the epoch, for replies with a date. */
  treat(asked: Asked, now: number, wallMs: number = now): Treatment {
    const age = this.#ageMs(now);
    if (age === undefined) return SERVE;
    const effect = this.#find(asked, age, ({ kind }) => kind !== 'slows');
    return effect === undefined ? SERVE : this.#treatment(effect, asked, { age, wallMs });
  }

  /** How long the fault has lasted; undefined outside of it. */
  #ageMs(now: number): number | undefined {
    const age = now - this.#scenario.faultAtMs;
    return age >= 0 && age < this.#scenario.faultMs ? age : undefined;
  }

  #find(asked: Asked, age: number, wanted: (effect: Effect) => boolean): Effect | undefined {
    const troubles = this.#troubles.get(asked.endpoint) ?? [];
    return troubles.find((one, index) => wanted(one.does) && this.#concerns(one, index, asked, age))?.does;
  }

  #concerns(trouble: Trouble, index: number, { target, attempt }: Asked, age: number): boolean {
    const { everyMs, most, share } = trouble;
    if (everyMs !== undefined && Math.floor(age / everyMs) % 2 === 1) return false;
    if (share !== undefined && !isUnlucky(this.#scenario.seed, share, { target, attempt, index }))
      return false;
    if (most === undefined) return true;
    const before = this.#concerned.get(trouble) ?? 0;
    this.#concerned.set(trouble, before + 1);
    return before < most;
  }

  #treatment(effect: Effect, asked: Asked, at: { readonly age: number; readonly wallMs: number }): Treatment {
    switch (effect.kind) {
      case 'answers':
        return { ...effect, kind: 'refuse', headers: effect.headers ?? NO_HEADERS };
      case 'slows':
        return SERVE;
      case 'hangs':
        return {
          kind: 'silence',
          ms: effect.untilOver === true ? this.#scenario.faultMs - at.age : Number.POSITIVE_INFINITY,
        };
      case 'streams':
        return { kind: 'stream', content: effect.content };
      case 'breaks':
        return { kind: 'break', code: effect.code };
      case 'limits': {
        const { allowed, headers } = this.#counterOf(effect, asked).count(at.age, at.wallMs);
        return allowed ? { kind: 'serve', headers } : { kind: 'refuse', status: 429, headers };
      }
    }
  }

  #counterOf(limits: Limits, { endpoint, key = '' }: Asked): QuotaCounter {
    const name = limits.per === 'key' ? key : endpoint.path;
    const counters = this.#counters.get(limits) ?? new Map<string, QuotaCounter>();
    this.#counters.set(limits, counters);
    const counter = counters.get(name) ?? new QuotaCounter(limits);
    counters.set(name, counter);
    return counter;
  }
}

/** An attempt, and the index of the trouble in its endpoint. */
interface Luck {
  readonly target: string;
  readonly attempt: number;
  readonly index?: number;
}

/**
 * Whether a trouble of this share affects an attempt. This depends on the attempt and not on its time, so the best possible
 * result is known exactly.
 */
export function isUnlucky(seed: number, share: number, { target, attempt, index = 0 }: Luck): boolean {
  return rollOf(seed, `${target}#${attempt}${index === 0 ? '' : `#${index}`}`) < share;
}
