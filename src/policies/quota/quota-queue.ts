import type { Attempt } from '../../proxy/attempt.ts';
import { type Call, clientOf } from '../../proxy/call.ts';
import { ProxyError, shuttingDown } from '../../proxy/errors.ts';
import type { QuotaWait } from '../../proxy/journal.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { FairQueue } from '../../runtime/fair-queue.ts';
import type { Account } from './credential-quota.ts';
import type { Stated } from './demand.ts';
import { FIRST, TOLERANCE_MS, Turn } from './queue-scan.ts';
import type { Ahead, Pass, Way } from './scoped-limiter.ts';

export interface LineOptions {
  readonly clock: Clock;
  /** Calls that may wait. */
  readonly queue: number;
  /** Longest wait besides the deadline. */
  readonly waitMs: number;
  readonly draining: () => boolean;
}

/** A call that waits. */
interface Waiter {
  readonly shape: string;
  readonly cost: number;
  /** From this moment on it is no longer served. */
  readonly leaveBy: number;
  readonly admit: () => void;
  readonly refuse: (error: Error) => void;
}

/** So long a call waits for a gate of which nobody knows when it opens: a queue that grew for longer would take long to empty. */
const UNKNOWN_WAIT_MS = 2000;

/** Where and how a call waits. */
interface Seat {
  readonly client: string;
  readonly shape: string;
  readonly cost: number;
  readonly leaveBy: number;
  readonly again: boolean;
}

const SECOND: Ahead = { whole: 1, part: 1 };

/** The quotas of a credential, and the calls that wait for them. Those of a scope that is free go before those of one that is not. */
export class Line {
  readonly account: Account;
  readonly #options: LineOptions;
  readonly #queue: FairQueue<Waiter>;
  #timer: Timer | undefined;

  constructor(account: Account, options: LineOptions) {
    this.account = account;
    this.#options = options;
    this.#queue = new FairQueue({
      capacity: options.queue,
      order: 'oldest',
      evict: ({ refuse, shape }) => refuse(this.#refusal(FULL, this.account.way(shape), SECOND, 1)),
    });
  }

  get size(): number {
    return this.#queue.size;
  }

  /** Nobody waits, and two more calls could leave at once. */
  hasRoom(shape: string): boolean {
    const now = this.#options.clock.now();
    return this.#queue.size === 0 && this.account.way(shape).readyAt(SECOND, 1, now) - now <= TOLERANCE_MS;
  }

  /** Settles when the call may leave; rejects when that would be too late. `again`: it was called back. */
  enter(call: Call, attempt: Attempt, { shape, cost }: Stated, again: boolean): Pass | Promise<Pass> {
    const { clock, draining, waitMs } = this.#options;
    const now = clock.now();
    const way = this.account.way(shape);
    if (this.#queue.size === 0) {
      way.idle(now);
      if (way.readyAt(FIRST, cost, now) - now <= TOLERANCE_MS) return way.take(cost, now, false);
    }
    const client = clientOf(call);
    const ahead = again ? FIRST : this.#ahead(client, way, now);
    const patienceMs = way.isUnknown ? Math.min(waitMs, UNKNOWN_WAIT_MS) : waitMs;
    const leaveBy = Math.min(attempt.deadline, now + patienceMs);
    if (draining()) return Promise.reject(report(call, shuttingDown()));
    if (way.knownAt(ahead, cost, now) >= leaveBy) {
      if (way.riskAt(cost, now) <= now) return way.take(cost, now, true);
      return Promise.reject(
        report(
          call,
          this.#refusal('no quota is available within the time that this call may wait', way, ahead, cost),
        ),
      );
    }
    return this.#wait(call, attempt, { client, shape, cost, leaveBy, again });
  }

  /** Lets go all who may, and comes back when the next one may. */
  pump(): void {
    if (this.#queue.size === 0 && this.#timer === undefined) return;
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#queue.size > 0) {
      const now = clock.now();
      const turn = new Turn(this.account, now);
      const waiter = this.#queue.shift((entry) => turn.may(entry));
      if (waiter !== undefined) {
        waiter.admit();
        continue;
      }
      if (turn.nextAt !== Infinity) this.#timer = clock.timer(turn.nextAt - now, () => this.pump());
      return;
    }
  }

  /** What was just learned may have made waiting pointless for some: they are told now. */
  sweep(now: number): void {
    if (this.#queue.size === 0) return;
    /** By shape, for the first in line and for all behind it. */
    const known = new Map<string, number>();
    for (const { shape, leaveBy, refuse } of this.#queue.entries()) {
      const at = known.get(shape);
      const way = this.account.way(shape);
      if (at === undefined) known.set(shape, way.knownAt(SECOND, 1, now));
      if ((at ?? way.knownAt(FIRST, 1, now)) >= leaveBy)
        refuse(
          this.#refusal('no quota is available within the time that this call may wait', way, SECOND, 1),
        );
    }
    this.pump();
  }

  /** Sends everyone away. */
  drain(): void {
    for (const { refuse } of this.#queue.entries()) refuse(shuttingDown());
  }

  /** Those who could leave, were it not for the whole credential, and those of the same scope. */
  #ahead(client: string, { scope }: Way, now: number): Ahead {
    if (this.#queue.size === 0) return FIRST;
    const turn = new Turn(this.account, now);
    return {
      whole: this.#queue.ahead(client, (entry) => turn.isFree(entry)),
      part: this.#queue.ahead(client, ({ shape }) => this.account.way(shape).scope === scope),
    };
  }

  #refusal(why: string, way: Way, ahead: Ahead, cost: number): ProxyError {
    const now = this.#options.clock.now();
    const cause = way.closed?.gate.cause;
    const closed = cause === undefined ? USED_UP : CLOSED[cause === 'permanent' ? 'permanent' : 'throttled'];
    const probedAt = way.readyAt(FIRST, cost, now);
    const at = Math.max(way.knownAt(ahead, cost, now), probedAt === Infinity ? now : probedAt);
    const retryAfterMs = at - now;
    return new ProxyError('quota', `${closed}; ${why}`, { retryAfterMs });
  }

  #wait(call: Call, { signal }: Attempt, { client, shape, cost, leaveBy, again }: Seat): Promise<Pass> {
    const { clock } = this.#options;
    const since = clock.now();
    const cause = this.#cause(shape, since);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      let waiting = true;
      const admit = () => {
        stopWaiting();
        const now = clock.now();
        const way = this.account.way(shape);
        resolve(way.take(cost, now, way.readyAt(FIRST, cost, now) - now > TOLERANCE_MS));
      };
      const refuse = (error: Error) => {
        // Those before it may have made room for it meanwhile.
        if (!waiting) return;
        stopWaiting();
        reject(error instanceof ProxyError ? report(call, error) : error);
        this.pump();
      };
      const refusal = (why: string) => this.#refusal(why, this.account.way(shape), SECOND, cost);
      const place = this.#queue.push(client, { shape, cost, leaveBy, admit, refuse }, again);
      if (place === undefined) return reject(report(call, refusal(FULL)));
      const onTime = () =>
        refuse(refusal('no quota became available within the time that this call may wait'));
      const onAbort = () => {
        const reason = signal.reason as Error;
        // A deadline that passes in our queue is our doing: nobody further out may take it for a slow upstream.
        if (reason instanceof ProxyError && reason.code === 'deadline_exceeded') onTime();
        else refuse(reason);
      };
      const timer = clock.timer(leaveBy - since, onTime);
      signal.on(onAbort);
      const stopWaiting = () => {
        waiting = false;
        timer.cancel();
        this.#queue.remove(place);
        signal.off(onAbort);
        call.journal.waitedForQuota(clock.now() - since, cause);
      };
      this.pump();
    });
  }

  #cause(shape: string, now: number): QuotaWait {
    const way = this.account.way(shape);
    if (way.closed !== undefined) return 'cooldown';
    return way.exhausted(now) ? 'learned' : 'window';
  }
}

const FULL = 'the queue of waiting calls is full';
const USED_UP = 'the quota of this upstream is used up';
const CLOSED = {
  throttled: 'the upstream throttles calls',
  permanent: 'the upstream reports that waiting does not restore the quota',
} as const;

function report(call: Call, error: ProxyError): ProxyError {
  if (error.code === 'quota') call.journal.note('rejected', 'quota');
  return error;
}
