import type { Attempt } from '../../proxy/attempt.ts';
import { type Call, clientOf } from '../../proxy/call.ts';
import { ProxyError, type Sent } from '../../proxy/errors.ts';
import type { Clock } from '../../runtime/clock.ts';
import { FairQueue } from '../../runtime/fair-queue.ts';
import type { ConcurrencyLimit, Evidence } from './limit.ts';

/** A wait in the queue is at most this share of the time left, so that what follows it still has a chance. */
const DEADLINE_SHARE = 0.1;

/** The Retry-After of a refusal. When a permit comes back is unknown; this is longer than most are held. */
const RETRY_AFTER_MS = 1_000;

/** A call that waits for a permit. */
interface Waiter {
  /** On the clock's scale; from this moment on it is not admitted. */
  readonly leaveBy: number;
  /** Hands it a permit. */
  readonly admit: () => void;
  /** It loses its place. */
  readonly refuse: () => void;
}

/** Where the calls wait that share a limit. */
export type PermitQueue = FairQueue<Waiter>;

export function permitQueue(capacity: number): PermitQueue {
  return new FairQueue({ capacity, order: 'adaptive', evict: ({ refuse }) => refuse() });
}

export interface PermitsOptions {
  /** Shared by all that share the limit: an attempt that ends lets in one that waits. */
  readonly queue: PermitQueue;
  /** Longest wait for a permit. */
  readonly waitMs: number;
  readonly clock: Clock;
}

/** The permits of one limit, and the calls that wait for them. */
export class Permits {
  readonly #limit: ConcurrencyLimit;
  readonly #options: PermitsOptions;

  constructor(limit: ConcurrencyLimit, options: PermitsOptions) {
    this.#limit = limit;
    this.#options = options;
  }

  /** How many are given. */
  get given(): number {
    return this.#limit.inFlight;
  }

  /**
   * Takes a permit: at once (undefined), or once the promise resolves; it rejects without one. `again`: the attempt has had a permit
   * and is under way.
   */
  acquire(call: Call, attempt: Attempt, again: boolean): Promise<void> | undefined {
    if (attempt.watch?.probe === true) {
      this.#limit.acquireReserved();
      return undefined;
    }
    return this.#limit.tryAcquire()
      ? undefined
      : waitForPermit(call, attempt, this.#limit, { ...this.#options, again });
  }

  /** Takes a permit back, once for each that was taken, and lets in what waits. `amid` permits were given when its attempt left. */
  release(evidence: Evidence, latencyMs: number, amid: number): void {
    const { clock, queue } = this.#options;
    const now = clock.now();
    this.#limit.release(evidence, latencyMs, now, amid);
    while (queue.size > 0 && this.#limit.tryAcquire()) {
      // A timer that is late has left some in the queue whose time is over.
      const waiter = queue.shift(({ leaveBy }) => (now < leaveBy ? 'yes' : 'no'));
      if (waiter === undefined) {
        this.#limit.release('ignored', 0, now);
        return;
      }
      waiter.admit();
    }
  }
}

/**
 * The permit of one attempt. `lent`: the client lets the upstream wait, so that the permit is with others. `over`: it is given back
 * for good.
 */
export class Permit {
  readonly #permits: Permits;
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #clock: Clock;
  #state: 'held' | 'lent' | 'over' = 'held';
  #startedAt: number;
  #amid: number;
  #latencyMs: number | undefined;

  /** One has been acquired for `call`. */
  constructor(permits: Permits, call: Call, attempt: Attempt, clock: Clock) {
    this.#permits = permits;
    this.#call = call;
    this.#attempt = attempt;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#amid = permits.given;
  }

  /** The head is here. What the client still uploads is a conversation, and needs no permit that it has not. */
  answered(): void {
    this.#latencyMs = this.#clock.now() - this.#startedAt;
    if (this.#state === 'lent') this.#state = 'over';
  }

  /** Given back for good; later calls change nothing. */
  release(evidence: Evidence): void {
    const held = this.#state === 'held';
    this.#state = 'over';
    if (held) this.#giveBack(evidence);
  }

  lend(): void {
    if (this.#state !== 'held') return;
    this.#state = 'lent';
    this.#giveBack('ignored');
  }

  /** Resolves when it is held again, or no longer needed. Rejects where it cannot be had in time. */
  async regain(): Promise<void> {
    if (this.#state !== 'lent') return;
    try {
      await this.#permits.acquire(this.#call, this.#attempt, true);
    } catch (error) {
      if (this.#isLent()) throw error;
      return;
    }
    if (!this.#isLent()) return this.#giveBack('ignored');
    this.#state = 'held';
    this.#startedAt = this.#clock.now();
    this.#amid = this.#permits.given;
  }

  /** Asked after a wait: the attempt may be over, or answered. */
  #isLent(): boolean {
    return this.#state === 'lent';
  }

  #giveBack(evidence: Evidence): void {
    // A probe says whether the upstream is well, and not what it can bear.
    const counted = evidence === 'overload' && this.#attempt.watch?.probe === true ? 'ignored' : evidence;
    this.#permits.release(counted, this.#latencyMs ?? this.#clock.now() - this.#startedAt, this.#amid);
  }
}

/**
 * Resolves once a permit is held: the attempt that ends takes it for the one that waits. Rejects without one. `again`: the attempt
 * has had a permit, and is under way.
 */
function waitForPermit(
  call: Call,
  attempt: Attempt,
  limit: ConcurrencyLimit,
  { queue, waitMs, clock, again }: PermitsOptions & { readonly again: boolean },
): Promise<void> {
  const since = clock.now();
  // The deadline of a call whose client is slow moves on with the upload, and is not known here.
  const patienceMs = again ? waitMs : Math.min(waitMs, DEADLINE_SHARE * (attempt.deadline - since));
  const refusal = () => refused(call, again ? 'sent_unknown' : 'not_sent');
  return new Promise((resolve, reject) => {
    if (attempt.signal.aborted) return reject(attempt.signal.reason);
    const waiter = { leaveBy: since + patienceMs, admit: onAdmit, refuse: onEvicted };
    const place = patienceMs > 0 ? queue.push(clientOf(call), waiter, again) : undefined;
    if (place === undefined) return reject(refusal());
    const timer = clock.timer(patienceMs, onTimeout);
    attempt.signal.on(onAbort);

    function onAdmit(): void {
      stopWaiting();
      resolve();
    }
    function onEvicted(): void {
      stopWaiting();
      reject(refusal());
    }
    function onTimeout(): void {
      stopWaiting();
      if (limit.tryExtend(since)) resolve();
      else reject(refusal());
    }
    function onAbort(): void {
      stopWaiting();
      reject(abortReason(attempt, refusal));
    }
    function stopWaiting(): void {
      timer.cancel();
      if (place !== undefined) queue.remove(place);
      attempt.signal.off(onAbort);
      call.journal.note('queued', clock.now() - since);
    }
  });
}

/** A deadline that passes in our queue is our doing: nobody further out may take it for a slow upstream. */
function abortReason({ signal: { reason } }: Attempt, refusal: () => ProxyError): unknown {
  return reason instanceof ProxyError && reason.code === 'deadline_exceeded' ? refusal() : reason;
}

function refused(call: Call, sent: Sent): ProxyError {
  call.journal.note('rejected', 'concurrency_limit');
  return new ProxyError(
    'concurrency_limit',
    'the concurrency limit of this upstream is reached, and no permit became available',
    {
      retryAfterMs: RETRY_AFTER_MS,
      sent,
    },
  );
}
