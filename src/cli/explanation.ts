import type { EffectiveValue } from '../config/show/effective.ts';
import type { DurablePlan } from './durable-plan.ts';
import type { RetryRule, Schedule } from './retry-plan.ts';
import type { StreamPlan } from './stream-plan.ts';

/** The state of one policy, by the key of its policy. Shared: failures and load of other routes count for it too. */
export interface PolicyState {
  readonly key: string;
  /** The route has it for itself. Otherwise it shares it with the other routes of its upstream. */
  readonly own: boolean;
}

/** How the proxy handles a request, and why. */
export interface Explanation {
  readonly method: string;
  readonly upstream: string;
  readonly route: string;
  /** URL of the attempt; a part that may be secret is redacted. */
  readonly url: string;
  /** How the tenant of the request is found and checked, one line each. */
  readonly tenant: readonly string[];
  readonly values: readonly EffectiveValue[];
  readonly state: readonly PolicyState[];
  /** The parts of the route that replicas share, one line each. */
  readonly replicas: readonly string[];
  /** The parts of the route that a restart remembers, one line each. */
  readonly remembered: readonly string[];
  readonly retried: readonly RetryRule[];
  readonly totalTimeoutMs: number;
  /** Undefined: not written. */
  readonly attemptTimeoutMs: number | undefined;
  /** A second attempt may be sent in parallel with a stuck one. */
  readonly hedgeStuck: boolean;
  readonly retryAfterMaxMs: number;
  /** How often the rest of a broken body is requested. */
  readonly resumes: number;
  /** Undefined: streams are passed on as they come. */
  readonly stream: StreamPlan | undefined;
  /** Which clients may use the route, one line each; empty: all. */
  readonly allowedClients: readonly string[];
  /** Undefined: the route does not accept durable requests. */
  readonly durable: DurablePlan | undefined;
  /** Schedules of this route, one line each. */
  readonly schedules: readonly string[];
  readonly schedule: { readonly ordinary: Schedule; readonly overloaded: Schedule };
}
