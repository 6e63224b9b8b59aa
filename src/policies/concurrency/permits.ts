import type { Attempt } from '../../proxy/attempt.ts';
import { type Call, turnOf } from '../../proxy/call.ts';
import { ProxyError, type Sent } from '../../proxy/errors.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import { FairQueue } from '../../runtime/fair-queue.ts';
import type { ConcurrencyLimit, Evidence } from './limit.ts';

/** The longest wait in the queue as a share of the remaining time, so that enough time is left for the attempt. */
const DEADLINE_SHARE = 0.1;

/** The Retry-After of a refusal. The time until a permit is released is unknown; most are held for less than this. */
const RETRY_AFTER_MS = 1_000;

/** A call that waits for a permit. */
interface Waiter {
  /** On the scale of `clock.now()`. The call is not admitted at this moment or later. */
  readonly expiresAt: number;
  /** Called with a permit taken for it. */
  readonly admit: () => void;
  /** Called if it is evicted. */
  readonly refuse: () => void;
}

/** The queue of the calls that share a limit. */
export type PermitQueue = FairQueue<Waiter>;

export function permitQueue(capacity: number): PermitQueue {
  return new FairQueue({ capacity, order: 'adaptive', evict: ({ refuse }) => refuse() });
}

export interface PermitsOptions {
  /** Shared by all calls of the limit: an attempt that ends admits one that waits. */
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

  /** Permits in use. */
  get given(): number {
    return this.#limit.inFlight;
  }

  /**
   * Takes a permit: at once (undefined), or when the promise resolves. The promise rejects with `concurrency_limit`, or with the
   * reason of the attempt's signal. `again`: the attempt has had a permit before and is in flight.
   */
  acquire(call: Call, attempt: Attempt, again: boolean): Promise<void> | undefined {
    if (attempt.watch?.probe === true) {
      this.#limit.acquireBeyond();
      return undefined;
    }
    if (this.#limit.tryAcquire()) return undefined;
    if (!this.#limit.shadow) return waitForPermit(call, attempt, this.#limit, { ...this.#options, again });
    this.#limit.acquireBeyond();
    call.journal.note('shadow_rejected', 'concurrency_limit');
    return undefined;
  }

  /** Releases a permit, once for each that was taken, and admits calls that wait. `amid`: permits in use when its attempt left. */
  release(evidence: Evidence, latencyMs: number, amid: number): void {
    const { clock, queue } = this.#options;
    const now = clock.now();
    this.#limit.release(evidence, latencyMs, now, amid);
    while (queue.size > 0 && this.#limit.tryAcquire()) {
      // If a timer is late, the queue still has calls whose time is over.
      const waiter = queue.shift(({ expiresAt }) => (now < expiresAt ? 'yes' : 'no'));
      if (waiter === undefined) {
        this.#limit.release('ignored', 0, now);
        return;
      }
      waiter.admit();
    }
  }
}

/** The permit of one attempt. `lent`: the client keeps the upstream waiting, so other attempts may use it. `over`: released finally. */
export class Permit {
  readonly #permits: Permits;
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #clock: Clock;
  #state: 'held' | 'lent' | 'over' = 'held';
  #startedAt: number;
  #amid: number;
  #latencyMs: number | undefined;
  /** The wait of `regain`, which ends early if the permit is no longer needed. */
  #waiting: Abort | undefined;

  /** Create it after a permit was acquired for `call`. */
  constructor(permits: Permits, call: Call, attempt: Attempt, clock: Clock) {
    this.#permits = permits;
    this.#call = call;
    this.#attempt = attempt;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#amid = permits.given;
  }

  /** Call for the head. A client that still uploads now is in a conversation, so a lent permit is not needed again. */
  answered(): void {
    this.#latencyMs = this.#clock.now() - this.#startedAt;
    if (this.#state === 'lent') this.#end();
  }

  /** Releases the permit finally; later calls have no effect. */
  release(evidence: Evidence): void {
    const held = this.#state === 'held';
    this.#end();
    if (held) this.#giveBack(evidence);
  }

  lend(): void {
    if (this.#state !== 'held') return;
    this.#state = 'lent';
    this.#giveBack('ignored');
  }

  /** Resolves when the permit is held again or no longer needed. Rejects if none is available in time. */
  async regain(): Promise<void> {
    if (this.#state !== 'lent') return;
    const waiting = new Abort(this.#attempt.signal);
    this.#waiting = waiting;
    try {
      await this.#permits.acquire(this.#call, this.#attempt.with({ signal: waiting }), true);
    } catch (error) {
      if (this.#isLent()) throw error;
      return;
    }
    if (!this.#isLent()) return this.#giveBack('ignored');
    this.#state = 'held';
    this.#startedAt = this.#clock.now();
    this.#amid = this.#permits.given;
  }

  #end(): void {
    this.#state = 'over';
    this.#waiting?.abort(new Error('the permit is no longer needed'));
  }

  /** A method, because the state may change during a wait. */
  #isLent(): boolean {
    return this.#state === 'lent';
  }

  #giveBack(evidence: Evidence): void {
    // A probe shows whether the upstream works, not its capacity.
    const counted = evidence === 'overload' && this.#attempt.watch?.probe === true ? 'ignored' : evidence;
    this.#permits.release(counted, this.#latencyMs ?? this.#clock.now() - this.#startedAt, this.#amid);
  }
}

/** Resolves when a permit is held, which the ending attempt has taken for it. Rejects if there is none. `again`: see `acquire`. */
function waitForPermit(
  call: Call,
  attempt: Attempt,
  limit: ConcurrencyLimit,
  { queue, waitMs, clock, again }: PermitsOptions & { readonly again: boolean },
): Promise<void> {
  const since = clock.now();
  // The deadline of a call with a slow upload moves with the upload, and is unknown here.
  const patienceMs = again ? waitMs : Math.min(waitMs, DEADLINE_SHARE * (attempt.deadline - since));
  const refusal = () => refused(call, again ? 'sent_unknown' : 'not_sent');
  return new Promise((resolve, reject) => {
    if (attempt.signal.aborted) return reject(attempt.signal.reason);
    const waiter = { expiresAt: since + patienceMs, admit: onAdmit, refuse: onEvicted };
    // An attempt that is in flight is not held up by new ones of a higher class: its refusal would waste what was sent.
    const place =
      patienceMs > 0
        ? queue.push(again ? { ...turnOf(call), rank: 0 } : turnOf(call), waiter, again)
        : undefined;
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

/** A deadline that passes in this queue says nothing about the upstream, so it becomes a refusal. */
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
