import type { Reply } from '../http/reply.ts';
import type { RetryReason } from './events.ts';
import type { Outcome } from './outcome.ts';

/** Another attempt of a call, at another target. */
export interface Detour {
  /** Milliseconds until the other target can take it; 0: at once. */
  readonly inMs: number;
  readonly reason: RetryReason;
  /** The failed attempt has reached a target. */
  readonly sent: boolean;
}

/** The retry rules for an outcome: whether the call may be repeated after it. */
export interface Repeatable {
  readonly retry: 'yes' | 'no';
  readonly because?: string;
}

/** The targets to which the attempts of one call went. One for the whole call. */
export interface Trail {
  /** Another attempt that can follow this failure at another target; undefined: none can. */
  detour(outcome: Outcome, rules: Repeatable): Detour | undefined;
  /** Call before each further attempt. `waited`: it follows a backoff, so targets that have failed may be asked again. */
  again(waited: boolean): void;
  /** Milliseconds until the first target may get the call again, if targets have asked for a wait; undefined: none, or one may get it now. */
  askedMs(): number | undefined;
  /** The failed reply that ends the call. A Retry-After names the soonest time at which a target may be asked again. */
  passed(reply: Reply): Reply;
}
