import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Call } from '../../proxy/call.ts';
import type { HedgeResult } from '../../proxy/notes.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { HedgeAllowance } from './hedge-share.ts';
import type { Latency } from './latency.ts';

/** What a second attempt is paid from, and what must be well for it. */
export interface SecondDeps {
  readonly clock: Clock;
  /** Bounds the failed replies that are kept while the other attempt still runs. */
  readonly memory: ByteBudget;
  /** The budget of retries. */
  readonly budget: { withdraw(now: number): boolean; refund(): void };
  /** Why no attempt may be added now; undefined: one may. */
  readonly blocked: (now: number) => 'refused_breaker' | 'refused_draining' | undefined;
  readonly quotaHasRoom: (call: Call) => boolean;
  /** Statuses that a retry would follow: no answer to be content with. */
  readonly failing: ReadonlySet<number>;
}

/** For hedges, which are limited in number too. */
export interface HedgeDeps extends SecondDeps {
  /** Shared by the route's calls. */
  readonly allowance: HedgeAllowance;
  /** Undefined where the wait is fixed. */
  readonly latency: Latency | undefined;
}

/** Why a second attempt of `call` may not be sent at `now`, before anything is spent on it. */
export function refusalOf(call: Call, deps: SecondDeps, now: number): HedgeResult | undefined {
  if (!call.body.replayable) return 'refused_body';
  return deps.blocked(now) ?? (deps.quotaHasRoom(call) ? undefined : 'refused_quota');
}
