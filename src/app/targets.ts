import { accountOf, replacedBy } from '../auth/options.ts';
import type { RouteConfig, TargetConfig, UpstreamConfig } from '../config/config.ts';
import { shownUrl } from '../config/show/effective.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { CredentialNames } from '../http/credentials.ts';
import type { HeaderRules } from '../http/headers.ts';
import { ELSEWHERE, type Policies, targetPipeline } from '../policies/order.ts';
import { Chooser } from '../policies/targets/choose.ts';
import { CredentialGate } from '../policies/targets/credential-gate.ts';
import { Load } from '../policies/targets/load.ts';
import { type Preparation, prepared } from '../policies/targets/prepare.ts';
import type { Readiness, Target, TargetState } from '../policies/targets/target.ts';
import { targetsDispatch } from '../policies/targets/targets.ts';
import { CallTrail, type Pool } from '../policies/targets/trail.ts';
import type { Call } from '../proxy/call.ts';
import type { TargetCause } from '../proxy/events.ts';
import type { Credential } from '../proxy/credential.ts';
import type { Dispatch } from '../proxy/pipeline.ts';
import type { TargetSnapshot } from '../telemetry/snapshot.ts';
import { type Agent, createAgent } from '../upstream/agent.ts';
import { attemptsBy } from './attempts.ts';
import { attemptPoliciesOf, callPoliciesOf, type Destination } from './build-policies.ts';
import { scopeCredential } from './credentials.ts';
import {
  type BreakerHandle,
  type Limiter,
  PolicyState,
  type PolicyStateDeps,
  type TargetIdentity,
} from './policy-state.ts';

interface TargetsDeps extends PolicyStateDeps {
  readonly memory: ByteBudget;
  /** Makes the attempts at a target, without a credential. Default: on connections to its host. A simulation has none. */
  readonly attempts?: ((target: TargetConfig) => Dispatch) | undefined;
}

/** One host of the targets, with its connections. */
interface Host {
  readonly agent: Agent;
  readonly state: PolicyState;
}

/** One target as it runs. */
export interface RunningTarget {
  readonly config: TargetConfig;
  readonly state: TargetState;
  readonly host: Host;
  /** The state of its credential. */
  readonly account: PolicyState;
}

/** A route as its calls pass it. */
export interface Passage {
  readonly policies: Policies;
  readonly dispatch: Dispatch;
  /** The permits of all its attempts together. */
  readonly permits: { readonly limit: number; readonly inFlight: number };
}

/** The targets of an upstream. */
export class Targets {
  readonly all: readonly RunningTarget[];
  readonly #upstream: UpstreamConfig;
  readonly #hosts = new Map<string, Host>();
  readonly #chooser = new Chooser();
  readonly #deps: TargetsDeps;

  constructor(upstream: UpstreamConfig, targets: readonly TargetConfig[], deps: TargetsDeps) {
    this.#upstream = upstream;
    this.#deps = deps;
    this.all = targets.map((config) => this.#running(config, targets));
  }

  /** All scopes of policy state: of the hosts, then of the credentials. */
  get states(): readonly PolicyState[] {
    return [...this.#hostStates(), ...this.all.map(({ account }) => account)];
  }

  snapshot(now: number): TargetSnapshot[] {
    return this.all.map(({ config, host, account, state: { load, gate, out } }) => {
      const { shut } = gate;
      const refused = shut === undefined ? 'in' : 'refused';
      return {
        name: config.name,
        url: shownUrl(config),
        weight: config.weight,
        tier: config.tier,
        inFlight: load.inFlight,
        state: out ? 'out' : refused,
        status: shut?.status,
        retryAfterMs: shut === undefined ? undefined : Math.max(0, shut.probeAt - now),
        scopes: { host: host.state.name, credential: account.name },
      };
    });
  }

  /** Takes a target out, or puts it in again. False: there is none of this name. */
  set(name: string, to: 'out' | 'in'): boolean {
    const target = this.all.find(({ config }) => config.name === name);
    if (target === undefined) return false;
    const { state } = target;
    state.out = to === 'out';
    if (to === 'in') state.gate.reset();
    this.#report(name, to, 'operator');
    return true;
  }

  connections(): number {
    let open = 0;
    for (const { agent } of this.#hosts.values()) open += agent.connections();
    return open;
  }

  close(): void {
    for (const { agent } of this.#hosts.values()) agent.close();
  }

  /** How calls of the route with this index pass. `policyState`: that of the upstream. */
  passage(index: number, route: RouteConfig, policyState: PolicyState): Passage {
    const parts = this.all.map((target) => this.#partOf(target, index, route));
    const pool: Pool = {
      targets: parts.map(({ target }) => target),
      chooser: this.#chooser,
      sticky: this.#upstream.sticky,
      notProcessed: route.settings.retry.notProcessed,
      now: () => this.#deps.clock.now(),
      wallTime: () => this.#deps.clock.wallTime(),
      onGate: (target) => this.#gateChanged(target),
    };
    const handles = [...new Set(parts.map(({ handle }) => handle))];
    const limits = [...new Set(parts.map(({ limiter }) => limiter.limit))];
    const destination: Destination = {
      interrupt: policyState.watch(route, handles).interrupt,
      isWell: (now) => handles.some((handle) => handle.isClosed(now)),
      hasRoom: (call) => parts.some(({ hasRoom }) => hasRoom(call)),
      repeats: parts.some(({ repeats }) => repeats),
      identity: identityOf(
        this.all.map(({ config }) => config),
        index,
      ),
      trailOf: (call) => new CallTrail(pool, call),
    };
    const { clock, random, memory } = this.#deps;
    return {
      policies: {
        ...ELSEWHERE,
        ...callPoliciesOf(route, policyState, { clock, random, memory, destination }),
      },
      dispatch: targetsDispatch(pool),
      permits: {
        get limit() {
          return limits.reduce((sum, { limit }) => sum + limit, 0);
        },
        get inFlight() {
          return limits.reduce((sum, { inFlight }) => sum + inFlight, 0);
        },
      },
    };
  }

  *#hostStates(): Generator<PolicyState> {
    for (const { state } of this.#hosts.values()) yield state;
  }

  #running(config: TargetConfig, all: readonly TargetConfig[]): RunningTarget {
    const { name, origin, weight, tier, routes } = config;
    const { state } = this.#deps;
    const host = this.#hostOf(config, all);
    const account = new PolicyState({ name: this.#upstream.name, origin }, this.#deps, {
      name,
      target: name,
    });
    // Another key or host begins without a history.
    const identity = routes.map(({ headers, settings: { auth } }) => ({ headers, auth }));
    const kept = state.retain(
      `${this.#upstream.name}@${name} target`,
      { origin, weight, tier, identity },
      () => ({
        load: new Load({ weight, tier }),
        gate: new CredentialGate(),
        out: false,
        probeDueAt: undefined,
      }),
    );
    return { config, state: kept, host, account };
  }

  #hostOf({ origin, allowPrivate, ...target }: TargetConfig, all: readonly TargetConfig[]): Host {
    const known = this.#hosts.get(origin);
    if (known !== undefined) return known;
    const { clock, state } = this.#deps;
    const policyState = new PolicyState({ name: this.#upstream.name, origin }, this.#deps, {
      name: this.#nameOf(origin),
      target: all.filter((one) => one.origin === origin).length === 1 ? target.name : undefined,
    });
    const connection = { ...target.connection, allowPrivate };
    const agent = state.retain(`${policyState.name} agent`, { origin, connection }, () =>
      createAgent(origin, connection, { clock }),
    );
    const host = { agent, state: policyState };
    this.#hosts.set(origin, host);
    return host;
  }

  /** The host of an origin. Of two that differ only in their scheme, the later one has its whole origin as name. */
  #nameOf(origin: string): string {
    const { host } = new URL(origin);
    return [...this.#hosts.keys()].some((other) => new URL(other).host === host) ? origin : host;
  }

  #gateChanged({ name, state: { gate } }: Target): void {
    const { shut } = gate;
    if (shut === undefined) this.#report(name, 'in', 'accepted');
    else this.#report(name, 'out', `status_${shut.status}`);
  }

  #report(target: string, to: 'out' | 'in', cause: TargetCause): void {
    const upstream = this.#upstream.name;
    const scope = `${upstream}@${target}`;
    this.#deps.observer.stateChanged(upstream, { type: 'target_changed', scope, target, to, cause });
  }

  #partOf({ config, state, host, account }: RunningTarget, index: number, shared: RouteConfig): Part {
    const route = config.routes[index] as RouteConfig;
    const { origin } = config;
    const { attempts, clock, random, memory } = this.#deps;
    const { settings } = route;
    const credential =
      attempts === undefined
        ? account.credential(route, (auth, scope) =>
            scopeCredential(
              {
                auth,
                endpoint: settings.authEndpoint,
                upstream: { name: this.#upstream.name, origin },
                scope,
                target: config.name,
              },
              this.#deps,
            ),
          )
        : undefined;
    const preparation = preparationOf(route, shared, { from: this.#upstream, to: config });
    const dispatch = attempts?.(config) ?? attemptsBy(host.agent, origin, route, { clock, random });
    const places = { host: host.state, account };
    const policies = attemptPoliciesOf(route, places, { clock, random, memory, credential });
    const readiness = new Ready(route, places, preparation.headers.add);
    return {
      target: {
        name: config.name,
        host: origin,
        state,
        readiness: (call, now) => readiness.of(call, now),
        prepare: (call, signal) => prepared(call, preparation, signal),
        dispatch: targetPipeline(policies, dispatch),
      },
      handle: readiness.handle,
      limiter: readiness.limiter,
      hasRoom: (call) => account.quota(route)?.hasRoom(call) ?? true,
      repeats: credentialRepeats(credential),
    };
  }
}

interface Part {
  readonly target: Target;
  readonly handle: BreakerHandle;
  readonly limiter: Limiter;
  readonly hasRoom: (call: Call) => boolean;
  readonly repeats: boolean;
}

const credentialRepeats = (credential: Credential | undefined): boolean => credential?.renewal !== undefined;

/** When a target can take an attempt: by its breaker, its limit and its quota. */
class Ready {
  readonly handle: BreakerHandle;
  readonly limiter: Limiter;
  readonly #quota: ReturnType<PolicyState['quota']>;
  readonly #quotaWaitMs: number;
  readonly #added: readonly string[];

  constructor(
    route: RouteConfig,
    { host, account }: { readonly host: PolicyState; readonly account: PolicyState },
    added: readonly string[],
  ) {
    this.handle = host.breakerHandle(route);
    this.limiter = host.limiter(route);
    this.#quota = account.quota(route);
    this.#quotaWaitMs = route.settings.quota.waitMs;
    this.#added = added;
  }

  of(call: Call, now: number): Readiness {
    const { breaker } = this.handle;
    const open = breaker === undefined || !this.handle.isEnforced ? 0 : breaker.retryAfterMs(now);
    const testing = this.handle.isEnforced && !this.handle.isClosed(now);
    const { limit } = this.limiter;
    const full = limit.inFlight >= limit.limit ? SOON_MS : 0;
    const quota = this.#quotaAt(call, now);
    return {
      at: Math.max(now + open, now + full, quota.at),
      refuses: open > 0 || quota.at - now > this.#quotaWaitMs,
      probe: testing || quota.probe,
    };
  }

  #quotaAt(call: Call, now: number): Omit<Readiness, 'refuses'> {
    if (this.#quota === undefined) return { at: now, probe: false };
    // The target's own fields come first, so they are found first.
    const own = this.#added.length === 0 ? call.headers : [...this.#added, ...call.headers];
    return this.#quota.readiness(call, own, now);
  }
}

/** It is unknown when a permit becomes free. A target whose limit is full comes before those that are shut for longer. */
const SOON_MS = 1;

const NONE: ReadonlySet<string> = new Set();

function preparationOf(
  route: RouteConfig,
  shared: RouteConfig,
  { from, to }: { readonly from: UpstreamConfig; readonly to: TargetConfig },
): Preparation {
  const { auth } = route.settings;
  const replaced = auth === undefined ? undefined : replacedBy(auth);
  const { set, remove } = differenceOf(route.headers, shared.headers);
  return {
    from: from.basePath,
    to: to.basePath,
    headers: {
      drop: new Set([...remove, ...set.map(([name]) => name.toLowerCase()), ...(replaced?.headers ?? [])]),
      add: set.flat(),
    },
    parameters: replaced?.parameters ?? NONE,
    body: to.body.set,
  };
}

/** The rules of a target that are not those of its upstream, which are applied before. */
function differenceOf({ set, remove }: HeaderRules, shared: HeaderRules): HeaderRules {
  const same = ([name, value]: readonly [string, string]) =>
    shared.set.some(([other, text]) => other.toLowerCase() === name.toLowerCase() && text === value);
  return {
    set: set.filter((field) => !same(field)),
    remove: remove.filter((name) => !shared.remove.includes(name)),
  };
}

function identityOf(targets: readonly TargetConfig[], index: number): TargetIdentity {
  const accounts = targets.flatMap(({ routes }) => {
    const { headers, settings } = routes[index] as RouteConfig;
    const names = new CredentialNames(settings.identity);
    const secrets = headers.set.filter(([name]) => names.isIdentity(name)).flat();
    return [...accountOf(settings.auth), ...secrets];
  });
  return { hosts: targets.map(({ origin, basePath }) => origin + basePath), accounts };
}

/** Lower-case names of the fields that every target replaces, so that those of a client do not identify it. */
export function replacedByAll(
  targets: readonly TargetConfig[],
  index: number,
  shared: RouteConfig,
): string[] {
  const sets = targets.map(({ routes }) => {
    const { headers, settings } = routes[index] as RouteConfig;
    const { set, remove } = differenceOf(headers, shared.headers);
    const auth = settings.auth === undefined ? [] : replacedBy(settings.auth).headers;
    return new Set([...set.map(([name]) => name.toLowerCase()), ...remove, ...auth]);
  });
  const [first = new Set<string>(), ...others] = sets;
  return [...first].filter((name) => others.every((names) => names.has(name)));
}
