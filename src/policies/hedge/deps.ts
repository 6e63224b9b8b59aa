import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Call } from '../../proxy/call.ts';
import type { HedgeResult } from '../../proxy/notes.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { HedgeShare } from './hedge-share.ts';
import type { Latency } from './latency.ts';

/** The conditions of a second attempt, and the budget that pays for it. */
export interface SecondDeps {
  readonly clock: Clock;
  /** Bounds the memory of failed replies that are buffered while the other attempt runs. */
  readonly memory: ByteBudget;
  /** The retry budget. */
  readonly budget: { withdraw(now: number): boolean; refund(): void };
  /** Why no attempt may be added now; undefined if one may. */
  readonly blocked: (now: number) => 'refused_breaker' | 'refused_draining' | undefined;
  readonly quotaHasRoom: (call: Call) => boolean;
  /** Statuses that are retried. They do not win a race. */
  readonly failing: ReadonlySet<number>;
}

/** For hedges, whose number is limited too. */
export interface HedgeDeps extends SecondDeps {
  /** Shared by the route's calls. */
  readonly share: HedgeShare;
  /** Undefined if the wait is fixed. */
  readonly latency: Latency | undefined;
}

/** Why a second attempt of `call` must not be sent at `now`; undefined if it may. Spends nothing. */
export function refusalOf(call: Call, deps: SecondDeps, now: number): HedgeResult | undefined {
  if (!call.body.replayable) return 'refused_body';
  return deps.blocked(now) ?? (deps.quotaHasRoom(call) ? undefined : 'refused_quota');
}
