import { isDeepStrictEqual } from 'node:util';
import type { RouteSettings } from '../config/config.ts';
import { Breaker } from '../policies/circuit-breaker/breaker.ts';
import type { BreakerOptions } from '../policies/circuit-breaker/options.ts';
import { ConcurrencyLimit } from '../policies/concurrency/limit.ts';
import type { ConcurrencyOptions } from '../policies/concurrency/options.ts';
import type { Admit } from '../policies/concurrency/policy.ts';
import { WaitQueue } from '../policies/concurrency/queue.ts';
import { RetryBudget } from '../policies/retry/budget.ts';
import type { BudgetOptions } from '../policies/retry/options.ts';
import { Trip } from '../policies/retry/trip.ts';
import type { BreakerCause, BreakerState } from '../proxy/events.ts';
import type { Observer } from '../proxy/observer.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { KeptState } from './kept-state.ts';

export interface ScopeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer;
  readonly state: KeptState;
  readonly draining: () => boolean;
}

/** A concurrency limit and those who wait for it. */
export interface Limiter {
  readonly limit: ConcurrencyLimit;
  readonly queue: WaitQueue<Admit>;
}

/** A circuit breaker (or none) with what hangs on its changes: calls in backoff, the budget's trickle, the reports. */
export class Guard {
  readonly breaker: Breaker | undefined;
  readonly trip: Trip;
  /** Why the breaker is as it is; undefined when it never changed. */
  cause: BreakerCause | undefined = undefined;
  /** Earns by time only while this breaker is closed. */
  budget: RetryBudget | undefined = undefined;

  constructor(
    { upstream, scope }: { upstream: string; scope: string },
    options: BreakerOptions,
    deps: ScopeDeps,
  ) {
    const { clock, observer, random } = deps;
    const enforced = options.mode === 'enforce';
    const changed = (from: BreakerState, to: BreakerState, cause: BreakerCause) => {
      this.cause = cause;
      this.budget?.trickling(to === 'closed', clock.now());
      observer.stateChanged(upstream, { type: 'breaker_changed', scope, from, to, cause });
      if (to === 'open' && enforced) this.trip.wake('breaker');
    };
    const stale = () => observer.stateChanged(upstream, { type: 'breaker_stale_result', scope });
    const breaker = options.mode === 'off' ? undefined : new Breaker(options, random, { changed, stale });
    this.breaker = breaker;
    this.trip = new Trip((now) => {
      if (deps.draining()) return 'draining';
      return enforced && breaker?.state(now) === 'open' ? 'breaker' : undefined;
    });
  }
}

/** The policy state of one scope, for those who look at it: a route's scope holds only what is its own. */
export interface Scope {
  /** The upstream's name, or `upstream/route`. */
  readonly name: string;
  budget: RetryBudget | undefined;
  guard: Guard | undefined;
  limiter: Limiter | undefined;
}

/**
 * Finds the state that a route's policies share. Breaker, budget and limit are each the upstream's, unless the route
 * sets its own: then that one is the route's alone.
 */
export class Scopes {
  readonly #upstream: string;
  readonly #shared: RouteSettings;
  readonly #deps: ScopeDeps;
  readonly #scopes = new Map<string, Scope>();

  /** `shared` is what a route has unless it says otherwise. */
  constructor(upstream: string, shared: RouteSettings, deps: ScopeDeps) {
    this.#upstream = upstream;
    this.#shared = shared;
    this.#deps = deps;
    this.#scope(upstream);
  }

  /** The upstream's own first. */
  all(): readonly Scope[] {
    return [...this.#scopes.values()];
  }

  budget(route: string, options: BudgetOptions): RetryBudget {
    const scope = this.#scopeOf(route, options, this.#shared.budget);
    scope.budget = this.#deps.state.keep(`${scope.name} budget`, options, () => new RetryBudget(options));
    return scope.budget;
  }

  guard(route: string, options: BreakerOptions): Guard {
    const { probeLeaseMs } = this.#shared.breaker;
    // The lease follows the route's attempt timeout; alone it is no reason for a breaker of its own.
    const scope = this.#scopeOf(route, { ...options, probeLeaseMs }, this.#shared.breaker);
    const own = scope.name === this.#upstream ? this.#shared.breaker : options;
    const names = { upstream: this.#upstream, scope: scope.name };
    scope.guard = this.#deps.state.keep(
      `${scope.name} breaker`,
      own,
      () => new Guard(names, own, this.#deps),
    );
    return scope.guard;
  }

  limiter(route: string, options: ConcurrencyOptions): Limiter {
    const scope = this.#scopeOf(route, options, this.#shared.concurrency);
    scope.limiter = this.#deps.state.keep(`${scope.name} concurrency`, options, () => ({
      limit: new ConcurrencyLimit(options),
      queue: new WaitQueue<Admit>(options.queue),
    }));
    return scope.limiter;
  }

  /** Ties what belongs together once all is known; a reload may have renewed one of them and kept the other. */
  connect(): void {
    for (const { budget, guard } of this.#scopes.values()) if (guard !== undefined) guard.budget = budget;
  }

  #scopeOf(route: string, options: unknown, shared: unknown): Scope {
    return this.#scope(isDeepStrictEqual(options, shared) ? this.#upstream : `${this.#upstream}/${route}`);
  }

  #scope(name: string): Scope {
    let scope = this.#scopes.get(name);
    if (scope === undefined) {
      scope = { name, budget: undefined, guard: undefined, limiter: undefined };
      this.#scopes.set(name, scope);
    }
    return scope;
  }
}
