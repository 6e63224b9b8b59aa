import type { CredentialQuota } from './credential-quota.ts';
import { TOLERANCE_MS } from './meter.ts';
import type { Ahead } from './scoped-limiter.ts';

/**
 * After this long without a reply, one of the calls that a meter holds is sent to test it. The meter may be wrong, and
 * without a test no reply would correct it.
 */
const TEST_AFTER_MS = 5_000;

export const FIRST: Ahead = { whole: 0, part: 0 };

/** The part of a queued call that a scan reads. */
interface Waiting {
  readonly shape: string;
  readonly client: string | undefined;
  readonly cost: number;
}

/** One pass through the queue. Each scope is checked once, with its first call. */
export class QueueScan {
  /** When the next call may leave; Infinity if that depends on a probe. */
  nextAt = Infinity;
  /** Scopes with a cooldown in which a call could leave as a probe, if this replica had the lease for it. */
  readonly unleased = new Set<string>();
  readonly #quota: CredentialQuota;
  readonly #now: number;
  readonly #blocked = new Map<string, 'no' | 'stop'>();
  readonly #free = new Map<string, boolean>();

  constructor(quota: CredentialQuota, now: number) {
    this.#quota = quota;
    this.#now = now;
  }

  /** Whether a call may leave now. `stop`: neither it nor any call behind it may. */
  check({ shape, client, cost }: Waiting): 'yes' | 'no' | 'stop' {
    // The share of one client holds no other.
    const key = client === undefined ? shape : `${shape}\n${client}`;
    const known = this.#blocked.get(key);
    if (known !== undefined) return known;
    const limiter = this.#quota.limiterFor(shape, client);
    const at = limiter.readyAt(FIRST, cost, this.#now);
    if (at - this.#now <= TOLERANCE_MS) {
      const unleased = limiter.unleased(this.#now);
      if (unleased === undefined) return 'yes';
      this.unleased.add(unleased);
      this.#blocked.set(key, 'no');
      return 'no';
    }
    const testAt = limiter.meterTestAt(cost, this.#now, TEST_AFTER_MS);
    if (testAt <= this.#now) return 'yes';
    // A call that waits for a shared window is not overtaken by calls that need less of the window.
    const answer = limiter.isCounted(cost, this.#now, TOLERANCE_MS) ? 'stop' : 'no';
    this.#blocked.set(key, answer);
    this.nextAt = Math.min(this.nextAt, at, testAt);
    return answer;
  }

  /** Whether its own scope does not hold the call. */
  isFree({ shape, cost }: Waiting): boolean {
    let free = this.#free.get(shape);
    if (free === undefined) {
      const { part } = this.#quota.limiterFor(shape);
      free = part === undefined || part.readyAt(0, cost, this.#now) - this.#now <= TOLERANCE_MS;
      this.#free.set(shape, free);
    }
    return free;
  }
}
