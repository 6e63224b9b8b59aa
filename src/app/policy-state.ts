import { accountOf, type AuthOptions } from '../auth/options.ts';
import type { RouteConfig, UpstreamConfig } from '../config/config.ts';
import { CredentialNames, framed } from '../http/credentials.ts';
import { Breaker } from '../policies/circuit-breaker/breaker.ts';
import type { BreakerOptions } from '../policies/circuit-breaker/options.ts';
import { ConcurrencyLimit } from '../policies/concurrency/limit.ts';
import { type PermitQueue, permitQueue } from '../policies/concurrency/permits.ts';
import type { DedupeState } from '../policies/dedupe/policy.ts';
import { DedupeStore } from '../policies/dedupe/store.ts';
import { HedgeShare } from '../policies/hedge/hedge-share.ts';
import { Latency } from '../policies/hedge/latency.ts';
import type { HedgeOptions } from '../policies/hedge/options.ts';
import { UsualTimes } from '../policies/silence/usual-times.ts';
import type { Seer } from '../policies/quota/cooldown.ts';
import { CountedCredentials } from '../policies/quota/counted-windows.ts';
import { learningOf, type QuotaOptions } from '../policies/quota/options.ts';
import { type CooldownStart, Quota } from '../policies/quota/quota.ts';
import type { Callers } from '../policies/response-cache/key.ts';
import type { ResponseCacheDeps } from '../policies/response-cache/response-cache.ts';
import { CacheStore } from '../policies/response-cache/store.ts';
import { RetryBudget } from '../policies/retry/budget.ts';
import { BackoffInterrupt } from '../policies/retry/backoff-interrupt.ts';
import type { Credential } from '../proxy/credential.ts';
import { shuttingDown } from '../proxy/errors.ts';
import type { BreakerCause, BreakerState } from '../proxy/events.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { keyedHash } from '../runtime/keyed-hash.ts';
import { newSecret, type Random } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';
import type { AuthSnapshot } from '../telemetry/snapshot.ts';
import type { FleetSide } from './fleet-side.ts';
import type { QuotaMemories } from './quota-memory.ts';
import type { Droppable, RetainedState } from './retained-state.ts';

export interface PolicyStateDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer;
  readonly state: RetainedState;
  /** Where quotas are retained; undefined: in `state`. */
  readonly quotas?: RetainedState | undefined;
  /** Aborts when the proxy shuts down. It outlives reloads, so it also ends waits in state that a reload has dropped. */
  readonly draining: Abort;
  /** The retry budget of a route, where several states share it; undefined: each has its own. */
  readonly budgetOf?: ((route: RouteConfig) => RetryBudget) | undefined;
  /** The share of each quota that a client may use, by its name; undefined: all of it. */
  readonly shareOf?: ((client: string) => number | undefined) | undefined;
  /** The state that replicas share; undefined: none. */
  readonly fleet?: Pick<FleetSide, 'credentialsOf' | 'values'> | undefined;
  /** The memory of quotas over a restart; undefined: nothing is remembered. */
  readonly memories?: Pick<QuotaMemories, 'of'> | undefined;
}

/** One hash key per process, because state outlives a reload. */
const HASH = keyedHash();

const COOLDOWN_EVENTS = {
  this: 'quota_cooldown_started',
  replica: 'quota_cooldown_heard',
  before: 'quota_cooldown_remembered',
} as const satisfies Record<Seer, string>;

/** A concurrency limit with its queue. */
export interface Limiter {
  readonly limit: ConcurrencyLimit;
  readonly queue: PermitQueue;
}

/** Statistics on which hedges of a route are based. */
export interface Hedging {
  readonly share: HedgeShare;
  readonly latency: Latency | undefined;
}

/** A circuit breaker, or none. */
export class BreakerHandle implements Droppable {
  readonly breaker: Breaker | undefined;
  /** The cause of the last change; undefined if there was none. */
  cause: BreakerCause | undefined = undefined;
  /** Learns of each change. */
  watch: BreakerWatch | undefined = undefined;
  /** The only target that it is about; undefined: none, or several. A reload may change that. */
  target: string | undefined = undefined;
  /** Attempts are refused while it is open. */
  readonly isEnforced: boolean;
  readonly #clock: Clock;
  readonly #report: (from: BreakerState, to: BreakerState, cause: BreakerCause) => void;
  #dropped = false;

  constructor(
    { upstream, scope }: { upstream: string; scope: string },
    options: BreakerOptions,
    { clock, observer, random }: PolicyStateDeps,
  ) {
    this.#clock = clock;
    this.isEnforced = options.mode === 'enforce';
    this.#report = (from, to, cause) => {
      const { target } = this;
      if (!this.#dropped)
        observer.stateChanged(upstream, { type: 'breaker_changed', scope, target, from, to, cause });
    };
    const changed = (from: BreakerState, to: BreakerState, cause: BreakerCause) => {
      this.cause = cause;
      this.#report(from, to, cause);
      this.watch?.changed(clock.now());
    };
    const stale = () =>
      observer.stateChanged(upstream, { type: 'breaker_stale_result', scope, target: this.target });
    this.breaker = options.mode === 'off' ? undefined : new Breaker(options, random, { changed, stale });
  }

  /** A new breaker is closed, so who has heard of this one must hear of that. Calls that still run on it report nothing. */
  dropped(): void {
    const state = this.breaker?.state(this.#clock.now()) ?? 'closed';
    if (state !== 'closed') this.#report(state, 'closed', 'reload');
    this.#dropped = true;
  }

  /** It reports refusals, and refuses nothing. */
  get isShadow(): boolean {
    return !this.isEnforced && this.breaker !== undefined;
  }

  isClosed(now: number): boolean {
    return this.breaker === undefined || this.breaker.state(now) === 'closed';
  }

  /** True if it refuses attempts now. */
  isShut(now: number): boolean {
    return this.isEnforced && this.breaker?.state(now) === 'open';
  }
}

/** The effects of breakers on the calls that pass one of them: on their backoff, and on the refill of their budget. */
export class BreakerWatch {
  readonly interrupt: BackoffInterrupt;
  readonly #handles: readonly BreakerHandle[];
  #budget: RetryBudget | undefined = undefined;

  constructor(handles: readonly BreakerHandle[], draining: Abort) {
    this.#handles = handles;
    this.interrupt = new BackoffInterrupt(draining, (now) => this.#isShut(now));
  }

  /** Follows the breakers from now on. `budget` refills by time only while one of them is closed. */
  follow(budget: RetryBudget | undefined): void {
    this.#budget = budget;
    for (const handle of this.#handles) handle.watch = this;
  }

  get budget(): RetryBudget | undefined {
    return this.#budget;
  }

  changed(now: number): void {
    this.#budget?.trickling(
      this.#handles.some((handle) => handle.isClosed(now)),
      now,
    );
    if (this.#isShut(now)) this.interrupt.wake('breaker');
  }

  #isShut(now: number): boolean {
    return this.#handles.every((handle) => handle.isShut(now));
  }
}

/** The hosts and credentials of all targets of a route, as texts. They are secret, so hash them. */
export interface TargetIdentity {
  readonly hosts: readonly string[];
  readonly accounts: readonly string[];
}

/** Cached replies, and the identity of their callers. */
type Cache = Pick<ResponseCacheDeps, 'store' | 'callers' | 'running'>;

/** The policy state of one scope, for metrics and the admin API. The scope of a route has only the route's own state. */
export interface ScopeState {
  /** The upstream's name, or `upstream/route`. */
  readonly name: string;
  /** The only target that it is about; undefined: none, or several. */
  readonly target: string | undefined;
  budget: RetryBudget | undefined;
  breakerHandle: BreakerHandle | undefined;
  watch: BreakerWatch | undefined;
  limiter: Limiter | undefined;
  cache: CacheStore | undefined;
  dedupe: DedupeState | undefined;
  quota: Quota | undefined;
  credential: ScopeCredential | undefined;
}

export const emptyScope = (name: string, target?: string): ScopeState => ({
  name,
  target,
  budget: undefined,
  breakerHandle: undefined,
  watch: undefined,
  limiter: undefined,
  cache: undefined,
  dedupe: undefined,
  quota: undefined,
  credential: undefined,
});

/** The credential of a scope, with the state of its secret. */
export interface ScopeCredential {
  readonly credential: Credential;
  readonly snapshot: () => AuthSnapshot;
  /** Closes the connections to its issuer. */
  readonly close?: () => void;
}

/** A part of an upstream: a host of its targets, or the credential of one of them. */
export interface Part {
  readonly name: string;
  /** The only target that it is about; undefined: several share it. */
  readonly target: string | undefined;
}

/** Provides the state of a route's policies: shared by the upstream, or the route's own (`RouteConfig.own`). */
export class PolicyState {
  readonly #upstream: string;
  readonly #origin: string;
  /** Ends the names of its scopes; '' for the state of the upstream itself. */
  readonly #part: string;
  readonly #target: string | undefined;
  readonly #deps: PolicyStateDeps;
  readonly #scopes = new Map<string, ScopeState>();
  /** With the options that they are to have. */
  readonly #quotas = new Map<Quota, QuotaOptions>();
  /** Signals of calls that continue without a client, also after a reload. */
  readonly #detached: Set<Abort>;

  /** `part`: the part of the upstream that the state is about. Left out: the upstream as a whole. */
  constructor(upstream: Pick<UpstreamConfig, 'name' | 'origin'>, deps: PolicyStateDeps, part?: Part) {
    this.#upstream = upstream.name;
    this.#target = part?.target;
    this.#part = part === undefined ? '' : `@${part.name}`;
    this.#origin = upstream.origin;
    this.#deps = deps;
    this.#detached = deps.state.retain(`${upstream.name} detached`, undefined, () => new Set<Abort>());
    if (part === undefined) this.#scope(upstream.name);
  }

  /** The name of the scope that its routes share. */
  get name(): string {
    return this.#nameOf();
  }

  /** All scopes, the upstream's first. */
  all(): readonly ScopeState[] {
    return [...this.#scopes.values()];
  }

  budget(route: RouteConfig): RetryBudget {
    const { name, own, settings } = route;
    const scope = this.#scopeOf(name, own.budget);
    const { budgetOf, state } = this.#deps;
    // A shared one is shown once, where it belongs.
    if (budgetOf !== undefined) return budgetOf(route);
    const { budget: options } = settings;
    scope.budget = state.retain(`${scope.name} budget`, options, () => new RetryBudget(options));
    return scope.budget;
  }

  breakerHandle({ name, own, settings: { breaker: options } }: RouteConfig): BreakerHandle {
    const scope = this.#scopeOf(name, own.breaker);
    const names = { upstream: this.#upstream, scope: scope.name };
    scope.breakerHandle = this.#deps.state.retain(
      `${scope.name} breaker`,
      options,
      () => new BreakerHandle(names, options, this.#deps),
    );
    return scope.breakerHandle;
  }

  /** Watches the breakers that calls of a route may pass. */
  watch({ name, own, settings }: RouteConfig, handles: readonly BreakerHandle[]): BreakerWatch {
    const scope = this.#scopeOf(name, own.breaker);
    scope.watch = this.#deps.state.retain(
      `${scope.name} breaker watch`,
      settings.breaker,
      () => new BreakerWatch(handles, this.#deps.draining),
    );
    return scope.watch;
  }

  /** Times of the attempts of a route, and the budget of its hedges. */
  hedging(route: string, options: HedgeOptions): Hedging {
    const { after, maxExtra } = options;
    return this.#deps.state.retain(`${this.#nameOf(route)} hedge`, options, () => ({
      share: new HedgeShare(maxExtra),
      latency: 'percentile' in after ? new Latency(after.percentile) : undefined,
    }));
  }

  /** UsualTime times of a route. */
  usualTimes(route: string): UsualTimes {
    const { state } = this.#deps;
    const pulse = state.retain(`${this.#nameOf()} pulse`, undefined, () => ({
      answeredAt: -Infinity,
      wellAt: -Infinity,
    }));
    return state.retain(`${this.#nameOf(route)} usual times`, undefined, () => new UsualTimes(pulse));
  }

  limiter({ name, own, settings: { concurrency: options } }: RouteConfig): Limiter {
    const scope = this.#scopeOf(name, own.concurrency);
    scope.limiter = this.#deps.state.retain(`${scope.name} concurrency`, options, () => ({
      limit: new ConcurrencyLimit(options),
      queue: permitQueue(options.queue),
    }));
    return scope.limiter;
  }

  /** Stored replies survive a change of the upstream's address or of the route's headers, but are not found any more. */
  cache(
    { name, own, headers, settings }: RouteConfig,
    { hosts, accounts }: TargetIdentity,
  ): Cache | undefined {
    const options = settings.cache;
    if (options.ttlMs === undefined) return undefined;
    const scope = this.#scopeOf(name, own.cache);
    const store = this.#deps.state.retain(
      `${scope.name} cache`,
      options,
      () => new CacheStore(options.memoryBytes),
    );
    scope.cache = store;
    const account = [...accountOf(settings.auth), ...accounts];
    const asked = [this.#origin, ...hosts, ...headers.set.flat(), ...account];
    const names = new CredentialNames(settings.identity);
    const callers: Callers = {
      identityOf: (call) => names.identityOf(call),
      callerOf: (identity) => ({
        id: HASH(framed([...asked, ...identity]).join('')),
        known: identity.length + account.length > 0,
      }),
    };
    return { store, callers, running: this.#detached };
  }

  dedupe({ name, own, settings: { dedupe: options } }: RouteConfig): DedupeState | undefined {
    const { windowMs } = options;
    if (windowMs === undefined) return undefined;
    const { clock, fleet, state } = this.#deps;
    const scope = this.#scopeOf(name, own.dedupe);
    scope.dedupe = state.retain(`${scope.name} dedupe`, options, () => {
      const store = new DedupeStore(options, () => clock.now());
      const forget = (id: string) => store.forget(id);
      const shared = fleet?.values?.repliesOf(scope.name, this.#origin, { windowMs, forget });
      return {
        store,
        secret: shared?.secret ?? newSecret(),
        shared: shared?.keys,
        running: this.#detached,
      };
    });
    return scope.dedupe;
  }

  /** The quota of a route; undefined if off. */
  quota({ name: route, own, settings: { auth, quota: options } }: RouteConfig): Quota | undefined {
    if (options.mode === 'off') return undefined;
    const scope = this.#scopeOf(route, own.quota);
    const { clock, draining, memories, observer, random, shareOf, state } = this.#deps;
    const { quotas = state } = this.#deps;
    const [upstream, { name, target }] = [this.#upstream, scope];
    const onCooldown = (start: CooldownStart, seenBy: Seer) => {
      const type = COOLDOWN_EVENTS[seenBy];
      const shadow = quota.options.mode === 'shadow' ? ({ shadow: true } as const) : undefined;
      observer.stateChanged(upstream, { type, scope: name, target, ...start, ...shadow });
    };
    const onProbeLease = (granted: boolean) =>
      observer.stateChanged(upstream, {
        type: 'quota_probe',
        scope: name,
        target,
        by: granted ? 'this' : 'another',
      });
    const onRecall = (credential: string) =>
      observer.stateChanged(upstream, { type: 'quota_remembered', scope: name, target, credential });
    const identity = { name, origin: this.#origin, account: accountOf(auth) };
    const learning = learningOf(options);
    // In shadow mode no call waits for a lease, so units are counted here.
    const fleet = options.mode === 'shadow' ? undefined : this.#deps.fleet;
    const counted = quotas.retain(`${name} used units`, identity, () => new CountedCredentials());
    const quota: Quota = quotas.retain(
      `${name} quota`,
      { identity, learning, shared: fleet !== undefined },
      () =>
        new Quota(options, {
          clock,
          random,
          draining,
          onCooldown,
          onProbeLease,
          onRecall,
          shareOf,
          hash: HASH,
          counted,
          shared: fleet?.credentialsOf(identity, learning),
          memory: memories?.of(identity, learning),
        }),
    );
    scope.quota = quota;
    this.#quotas.set(quota, options);
    return quota;
  }

  /** The credential that the proxy adds to the attempts of a route; undefined: none. */
  credential(
    { name: route, own, settings: { auth } }: RouteConfig,
    create: (auth: AuthOptions, scope: string) => ScopeCredential,
  ): Credential | undefined {
    if (auth === undefined) return undefined;
    const scope = this.#scopeOf(route, own.auth);
    scope.credential ??= create(auth, scope.name);
    return scope.credential.credential;
  }

  /** The number of calls that continue without a client. */
  get detached(): number {
    return this.#detached.size;
  }

  /** Aborts the calls that continue without a client. */
  endDetached(): void {
    const stopped = shuttingDown();
    for (const signal of this.#detached) signal.abort(stopped);
  }

  /**
   * Connects each budget with its breakers, and each breaker with its target. A reload may have replaced one and retained the other.
   * Quotas that were retained follow their new options.
   */
  connect(): void {
    for (const [quota, options] of this.#quotas) quota.follow(options);
    for (const { breakerHandle, budget, target, watch } of this.#scopes.values()) {
      watch?.follow(budget);
      if (breakerHandle !== undefined) breakerHandle.target = target;
    }
  }

  #scopeOf(route: string, own: boolean): ScopeState {
    return this.#scope(this.#nameOf(own ? route : undefined));
  }

  #nameOf(route?: string): string {
    return (route === undefined ? this.#upstream : `${this.#upstream}/${route}`) + this.#part;
  }

  #scope(name: string): ScopeState {
    let scope = this.#scopes.get(name);
    if (scope === undefined) {
      scope = emptyScope(name, this.#target);
      this.#scopes.set(name, scope);
    }
    return scope;
  }
}
