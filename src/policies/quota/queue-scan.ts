import type { Account } from './credential-quota.ts';
import type { Ahead } from './scoped-limiter.ts';

/** Sums of fractions of a millisecond do not meet exactly; a timer is coarser than this. */
export const TOLERANCE_MS = 1e-3;

/** A meter that holds calls is tested by one of them when no reply has come for so long: it may be wrong, and no reply would say so. */
const TEST_AFTER_MS = 5_000;

export const FIRST: Ahead = { whole: 0, part: 0 };

/** What is looked at in a call that waits. */
interface Waiting {
  readonly shape: string;
  readonly cost: number;
}

/** One look through the queue: each scope is judged once, by the first who waits for it. */
export class Turn {
  /** When the next one may go; Infinity where that hangs on a probe. */
  nextAt = Infinity;
  readonly #account: Account;
  readonly #now: number;
  readonly #blocked = new Map<string, 'no' | 'stop'>();
  readonly #free = new Map<string, boolean>();

  constructor(account: Account, now: number) {
    this.#account = account;
    this.#now = now;
  }

  may({ shape, cost }: Waiting): 'yes' | 'no' | 'stop' {
    const known = this.#blocked.get(shape);
    if (known !== undefined) return known;
    const way = this.#account.way(shape);
    const at = way.readyAt(FIRST, cost, this.#now);
    if (at - this.#now <= TOLERANCE_MS) return 'yes';
    const riskAt = way.riskAt(cost, this.#now, TEST_AFTER_MS);
    if (riskAt <= this.#now) return 'yes';
    // Who waits for a window that all share is not overtaken by those who need less of it.
    const answer = way.isCounted(cost, this.#now, TOLERANCE_MS) ? 'stop' : 'no';
    this.#blocked.set(shape, answer);
    this.nextAt = Math.min(this.nextAt, at, riskAt);
    return answer;
  }

  /** Nothing of its own scope holds it. */
  isFree({ shape, cost }: Waiting): boolean {
    let free = this.#free.get(shape);
    if (free === undefined) {
      const { part } = this.#account.way(shape);
      free = part === undefined || part.readyAt(0, cost, this.#now) - this.#now <= TOLERANCE_MS;
      this.#free.set(shape, free);
    }
    return free;
  }
}
