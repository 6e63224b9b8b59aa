import { policiesOf } from '../app/build-policies.ts';
import { RetainedState } from '../app/retained-state.ts';
import { PolicyState, type PolicyStateDeps, type ScopeState } from '../app/policy-state.ts';
import { Targets } from '../app/targets.ts';
import type { RouteConfig, TargetConfig, UpstreamConfig } from '../config/config.ts';
import { ByteBudget } from '../http/byte-budget.ts';
import { pipeline } from '../policies/order.ts';
import { dispatchBy, type Send, sendBy } from '../proxy/pipeline.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';

/** The simulated route, as configured. */
export interface Subject {
  readonly upstream: UpstreamConfig;
  readonly route: RouteConfig;
  /** The only target that has the fault; undefined: all have it. */
  readonly failing?: TargetConfig | undefined;
}

export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer;
  /** The innermost Send. */
  readonly upstream: Send;
  /** The innermost Send of a target, by its name; undefined: targets are not simulated. */
  readonly targets?: ((name: string) => Send) | undefined;
  /** The state that it shares with other proxies; undefined: none. */
  readonly fleet?: PolicyStateDeps['fleet'];
}

/** Replies of two bytes need no bound. */
const MEMORY_BYTES = 64 * 1024 * 1024;

/** One proxy in the simulation: the pipeline of the data path and its state, with a simulated upstream at its end. */
export interface Sidecar {
  /** The pipeline. It may be wrapped before the first call. */
  send: Send;
  readonly scopes: readonly ScopeState[];
}

export function startSidecar(
  { upstream, route }: Subject,
  { clock, random, observer, upstream: send, targets: sendTo, fleet }: World,
): Sidecar {
  const state = new RetainedState();
  const memory = new ByteBudget(MEMORY_BYTES);
  const deps = { clock, random, observer, state, draining: new Abort(), fleet };
  const policyState = new PolicyState(upstream, deps);
  if (sendTo === undefined || upstream.targets === undefined) {
    const policies = policiesOf(route, policyState, { clock, random, memory });
    policyState.connect();
    return { send: sendBy(pipeline(policies, dispatchBy(send))), scopes: policyState.all() };
  }
  const attempts = ({ name }: TargetConfig) => dispatchBy(sendTo(name));
  const targets = new Targets(upstream, upstream.targets, { ...deps, memory, attempts });
  const { policies, dispatch } = targets.passage(upstream.routes.indexOf(route), route, policyState);
  const states = [policyState, ...targets.states];
  for (const one of states) one.connect();
  return { send: sendBy(pipeline(policies, dispatch)), scopes: states.flatMap((one) => one.all()) };
}
