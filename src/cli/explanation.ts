import type { EffectiveValue } from '../config/show/effective.ts';
import type { DurablePlan } from './durable-plan.ts';
import type { RetryRule, Schedule } from './retry-plan.ts';

/** What happens to a request, and why. */
export interface Explanation {
  readonly method: string;
  readonly upstream: string;
  readonly route: string;
  /** Where the attempt goes; a part that may be secret is redacted. */
  readonly url: string;
  readonly values: readonly EffectiveValue[];
  readonly retried: readonly RetryRule[];
  readonly totalTimeoutMs: number;
  /** Undefined where none is written. */
  readonly attemptTimeoutMs: number | undefined;
  readonly retryAfterMaxMs: number;
  /** How often the rest of a body that breaks is asked for. */
  readonly resumes: number;
  /** Whom it refuses because it adds a credential, a line each. */
  readonly strangers: readonly string[];
  /** Undefined where requests cannot be handed over. */
  readonly durable: DurablePlan | undefined;
  /** What is made by schedule on this route, a line each. */
  readonly schedules: readonly string[];
  readonly schedule: { readonly ordinary: Schedule; readonly overloaded: Schedule };
}
