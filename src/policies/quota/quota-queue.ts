import type { Attempt } from '../../proxy/attempt.ts';
import { type Call, turnOf } from '../../proxy/call.ts';
import { ProxyError, shuttingDown } from '../../proxy/errors.ts';
import type { QuotaWait } from '../../proxy/journal.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { FairQueue, type Turn } from '../../runtime/fair-queue.ts';
import type { CallReservation } from './call-reservation.ts';
import type { CredentialQuota } from './credential-quota.ts';
import type { Demand } from './demand.ts';
import type { QuotaOptions } from './options.ts';
import { TOLERANCE_MS } from './meter.ts';
import { FIRST, QueueScan } from './queue-scan.ts';
import type { Ahead, ScopedLimiter } from './scoped-limiter.ts';

export interface QuotaQueueOptions {
  readonly clock: Clock;
  /** Aborts when the proxy shuts down. */
  readonly draining: Abort;
  /** Requests the lease for the probes of a cooldown. The queue is pumped when there is an answer, after 50 ms at most. */
  readonly requestLease?: ((scope: string) => void) | undefined;
}

/** A queued call. */
interface Waiter {
  readonly shape: string;
  /** Its name, by its token. */
  readonly client: string | undefined;
  readonly cost: number;
  /** The call is refused at this moment, on the scale of `clock.now()`. */
  readonly expiresAt: number;
  readonly admit: () => void;
  readonly refuse: (error: Error) => void;
}

/** The longest wait for a cooldown of unknown length. A queue that grows for longer takes too long to empty. */
const UNKNOWN_WAIT_MS = 2000;

/** How a call is queued. */
interface QueueEntry {
  readonly turn: Turn;
  readonly shape: string;
  readonly client: string | undefined;
  readonly cost: number;
  readonly expiresAt: number;
  readonly again: boolean;
}

const SECOND: Ahead = { whole: 1, part: 1 };

/** When a call could leave, on the scale of `clock.now()`. */
export interface QuotaReadiness {
  readonly at: number;
  /** The call would test a cooldown. */
  readonly probe: boolean;
}

/** The calls that wait for the quotas of one credential. A call of a free scope overtakes calls of a blocked scope. */
export class QuotaQueue {
  readonly quota: CredentialQuota;
  readonly #options: QuotaQueueOptions;
  #waitMs: number;
  readonly #queue: FairQueue<Waiter>;
  #timer: Timer | undefined;
  /** Limits whose units are leased know of calls that wait. */
  #wants = false;

  constructor(
    quota: CredentialQuota,
    { queue: capacity, waitMs }: Pick<QuotaOptions, 'queue' | 'waitMs'>,
    options: QuotaQueueOptions,
  ) {
    this.quota = quota;
    this.#options = options;
    this.#waitMs = waitMs;
    this.#queue = new FairQueue({
      capacity,
      order: 'oldest',
      costOf: ({ cost }) => cost,
      evict: ({ refuse, shape }) => refuse(this.#refusal(FULL, this.quota.limiterFor(shape), SECOND, 1)),
    });
  }

  get size(): number {
    return this.#queue.size;
  }

  /** The configuration changes. Calls that wait leave by the new windows, and wait no longer than they could before. */
  follow({ queue, waitMs, windows }: Pick<QuotaOptions, 'queue' | 'waitMs' | 'windows'>): void {
    this.#queue.capacity = queue;
    this.#waitMs = waitMs;
    this.quota.follow(windows);
    this.sweep(this.#options.clock.now());
  }

  /** True if the queue is empty and two more calls could leave at once. */
  hasRoom(shape: string, client: string | undefined): boolean {
    const now = this.#options.clock.now();
    return (
      this.#queue.size === 0 &&
      this.quota.limiterFor(shape, client).readyAt(SECOND, 1, now) - now <= TOLERANCE_MS
    );
  }

  /** When a call could leave after those that wait ahead of it. */
  readiness(call: Call, shape: string, now: number): QuotaReadiness {
    const limiter = this.quota.limiterFor(shape, call.identity?.clientName);
    const at = limiter.readyAt(this.#ahead(turnOf(call), limiter, now), 1, now);
    if (at === Infinity) return { at: now + limiter.cooldownMs(now), probe: true };
    return { at: at - now <= TOLERANCE_MS ? now : at, probe: limiter.isActive };
  }

  /**
   * Settles when the call may leave. Rejects with `quota`, `draining` or the reason of the attempt's signal. `again`: the
   * call was admitted before, so it goes to the front.
   */
  enter(
    call: Call,
    attempt: Attempt,
    { shape, cost }: Demand,
    again: boolean,
  ): CallReservation | Promise<CallReservation> {
    const { clock, draining } = this.#options;
    const waitMs = this.#waitMs;
    const now = clock.now();
    const client = call.identity?.clientName;
    const limiter = this.quota.limiterFor(shape, client);
    if (this.#queue.size === 0) {
      limiter.idle(now);
      const ready = limiter.readyAt(FIRST, cost, now) - now <= TOLERANCE_MS;
      if (ready && limiter.unleased(now) === undefined) return limiter.take(cost, now, false);
    }
    const turn = turnOf(call);
    const ahead = again ? FIRST : this.#ahead(turn, limiter, now);
    const patienceMs = limiter.isUnknown ? Math.min(waitMs, UNKNOWN_WAIT_MS) : waitMs;
    const expiresAt = Math.min(attempt.deadline, now + patienceMs);
    if (draining.aborted) return Promise.reject(report(call, shuttingDown()));
    if (limiter.knownAt(ahead, cost, now) >= expiresAt) {
      if (limiter.meterTestAt(cost, now) <= now) return limiter.take(cost, now, true);
      return Promise.reject(
        report(
          call,
          this.#refusal(
            'no quota is available within the time that this call may wait',
            limiter,
            ahead,
            cost,
          ),
        ),
      );
    }
    return this.#wait(call, attempt, { turn, shape, client, cost, expiresAt, again });
  }

  /** For shadow mode: as `enter`, but undefined in place of a wait or a refusal. */
  tryEnter({ identity }: Call, { shape, cost }: Demand): CallReservation | undefined {
    const now = this.#options.clock.now();
    const limiter = this.quota.limiterFor(shape, identity?.clientName);
    limiter.idle(now);
    if (limiter.readyAt(FIRST, cost, now) - now <= TOLERANCE_MS) return limiter.take(cost, now, false);
    return limiter.meterTestAt(cost, now) <= now ? limiter.take(cost, now, true) : undefined;
  }

  /** Admits every call that may leave now, and sets a timer for the next one. */
  pump(): void {
    if (this.#queue.size === 0 && this.#timer === undefined && !this.#wants) return;
    this.#admit();
    if (!this.quota.isShared) return;
    this.#wants = this.#queue.size > 0;
    this.quota.wanted(this.#queue.size, this.#queue.first?.cost ?? 0, this.#options.clock.now());
  }

  #admit(): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#queue.size > 0) {
      const now = clock.now();
      const scan = new QueueScan(this.quota, now);
      const waiter = this.#queue.shift((entry) => scan.check(entry));
      if (waiter !== undefined) {
        waiter.admit();
        continue;
      }
      for (const scope of scan.unleased) this.#options.requestLease?.(scope);
      if (scan.nextAt !== Infinity) this.#timer = clock.timer(scan.nextAt - now, () => this.pump());
      return;
    }
  }

  /** Refuses the calls that can no longer leave in time, after a limit was learned. */
  sweep(now: number): void {
    if (this.#queue.size === 0) return;
    /** By shape, for every call but the first. */
    const known = new Map<string, number>();
    for (const { shape, expiresAt, refuse } of this.#queue.entries()) {
      const at = known.get(shape);
      const limiter = this.quota.limiterFor(shape);
      if (at === undefined) known.set(shape, limiter.knownAt(SECOND, 1, now));
      if ((at ?? limiter.knownAt(FIRST, 1, now)) >= expiresAt)
        refuse(
          this.#refusal('no quota is available within the time that this call may wait', limiter, SECOND, 1),
        );
    }
    this.pump();
  }

  /** The proxy drains: refuses every queued call. */
  onAbort(): void {
    for (const { refuse } of this.#queue.entries()) refuse(shuttingDown());
  }

  /** The calls ahead that only the credential's limits hold, and the calls ahead of the same scope. */
  #ahead(turn: Turn, { scope }: ScopedLimiter, now: number): Ahead {
    if (this.#queue.size === 0) return FIRST;
    const scan = new QueueScan(this.quota, now);
    return {
      whole: this.#queue.ahead(turn, (entry) => scan.isFree(entry)),
      part: this.#queue.ahead(turn, ({ shape }) => this.quota.limiterFor(shape).scope === scope),
    };
  }

  #refusal(why: string, limiter: ScopedLimiter, ahead: Ahead, cost: number): ProxyError {
    const now = this.#options.clock.now();
    const cause = limiter.coolingDown?.cooldown.cause;
    const closed =
      cause === undefined
        ? usedUp(limiter, cost, now)
        : CLOSED[cause === 'permanent' ? 'permanent' : 'throttled'];
    const probedAt = limiter.readyAt(FIRST, cost, now);
    const at = Math.max(limiter.knownAt(ahead, cost, now), probedAt === Infinity ? now : probedAt);
    const retryAfterMs = at - now;
    return new ProxyError('quota', `${closed}; ${why}`, { retryAfterMs });
  }

  #wait(
    call: Call,
    { signal }: Attempt,
    { turn, shape, client, cost, expiresAt, again }: QueueEntry,
  ): Promise<CallReservation> {
    const { clock, draining } = this.#options;
    const since = clock.now();
    const cause = this.#cause(shape, since);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      let waiting = true;
      const admit = () => {
        stopWaiting();
        const now = clock.now();
        const limiter = this.quota.limiterFor(shape, client);
        resolve(limiter.take(cost, now, limiter.readyAt(FIRST, cost, now) - now > TOLERANCE_MS));
      };
      const refuse = (error: Error) => {
        // It may have been admitted meanwhile, after calls ahead of it left.
        if (!waiting) return;
        stopWaiting();
        reject(error instanceof ProxyError ? report(call, error) : error);
        this.pump();
      };
      const refusal = (why: string) => this.#refusal(why, this.quota.limiterFor(shape, client), SECOND, cost);
      const place = this.#queue.push(turn, { shape, client, cost, expiresAt, admit, refuse }, again);
      if (place === undefined) return reject(report(call, refusal(FULL)));
      if (this.#queue.size === 1) draining.on(this);
      const onTime = () =>
        refuse(refusal('no quota became available within the time that this call may wait'));
      const onAbort = () => {
        const reason = signal.reason as Error;
        // A deadline that passes in this queue says nothing about the upstream, so it must not look like a timeout.
        if (reason instanceof ProxyError && reason.code === 'deadline_exceeded') onTime();
        else refuse(reason);
      };
      const timer = clock.timer(expiresAt - since, onTime);
      signal.on(onAbort);
      const stopWaiting = () => {
        waiting = false;
        timer.cancel();
        this.#queue.remove(place);
        if (this.#queue.size === 0) draining.off(this);
        signal.off(onAbort);
        call.journal.waitedForQuota(clock.now() - since, cause);
      };
      this.pump();
    });
  }

  #cause(shape: string, now: number): QuotaWait {
    const limiter = this.quota.limiterFor(shape);
    if (limiter.coolingDown !== undefined) return 'cooldown';
    return limiter.exhausted(now) ? 'learned' : 'window';
  }
}

const FULL = 'the queue of waiting calls is full';
const USED_UP = 'the quota of this upstream is used up';
const SHARE_USED_UP = 'the share of this client in the quota is used up (clients.tokens[].quota)';

const usedUp = (limiter: ScopedLimiter, cost: number, now: number): string =>
  limiter.isHeldByShare(cost, now) ? SHARE_USED_UP : USED_UP;

const CLOSED = {
  throttled: 'the upstream throttles calls',
  permanent: 'the upstream reports that waiting does not restore the quota',
} as const;

function report(call: Call, error: ProxyError): ProxyError {
  if (error.code === 'quota') call.journal.note('rejected', 'quota');
  return error;
}
