import type { EffectiveValue } from '../config/show/effective.ts';
import type { DurablePlan } from './durable-plan.ts';
import type { RetryRule, Schedule } from './retry-plan.ts';

/** How the proxy handles a request, and why. */
export interface Explanation {
  readonly method: string;
  readonly upstream: string;
  readonly route: string;
  /** URL of the attempt; a part that may be secret is redacted. */
  readonly url: string;
  readonly values: readonly EffectiveValue[];
  readonly retried: readonly RetryRule[];
  readonly totalTimeoutMs: number;
  /** Undefined: not written. */
  readonly attemptTimeoutMs: number | undefined;
  readonly retryAfterMaxMs: number;
  /** How often the rest of a broken body is requested. */
  readonly resumes: number;
  /** Which clients may use the route because it adds a credential, one line each. */
  readonly strangers: readonly string[];
  /** Undefined: the route does not accept durable requests. */
  readonly durable: DurablePlan | undefined;
  /** Schedules of this route, one line each. */
  readonly schedules: readonly string[];
  readonly schedule: { readonly ordinary: Schedule; readonly overloaded: Schedule };
}
