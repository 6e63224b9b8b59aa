import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { HedgeAllowance } from './allowance.ts';
import type { Latency } from './latency.ts';

/** What hedges are paid from, and what must be well for them. */
export interface HedgeDeps {
  readonly clock: Clock;
  /** Bounds the failed replies that are kept while the other attempt still runs. */
  readonly memory: ByteBudget;
  /** Shared by the route's calls. */
  readonly allowance: HedgeAllowance;
  /** Undefined where the wait is fixed. */
  readonly latency: Latency | undefined;
  /** The budget of retries. */
  readonly budget: { withdraw(now: number): boolean; refund(): void };
  readonly breakerClosed: (now: number) => boolean;
  readonly quotaHasRoom: (call: Call) => boolean;
  /** Statuses that a retry would follow: no answer to be content with. */
  readonly failing: ReadonlySet<number>;
}
