import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { QuotaWait } from '../../proxy/events.ts';
import { headerOf } from '../../http/headers.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Allowance, Taken } from './allowance.ts';
import { FairQueue } from './fair-queue.ts';

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
  readonly cost: number;
  readonly leaveBy: number;
  readonly again: boolean;
}

/** Sums of fractions of a millisecond do not meet exactly; a timer is coarser than this. */
const TOLERANCE_MS = 1e-3;

/** An allowance and the calls that wait for it. */
export class Line {
  readonly allowance: Allowance;
  readonly #options: LineOptions;
  readonly #queue: FairQueue<Waiter>;
  #timer: Timer | undefined;
  /** Those who would have to wait beyond this have been sent away. */
  #swept = 0;

  constructor(allowance: Allowance, options: LineOptions) {
    this.allowance = allowance;
    this.#options = options;
    this.#queue = new FairQueue(options.queue, ({ refuse }) => refuse(this.#refusal(FULL)));
  }

  get size(): number {
    return this.#queue.size;
  }

  /** Nobody waits, and two more calls could leave at once. */
  get hasRoom(): boolean {
    const now = this.#options.clock.now();
    return this.#queue.size === 0 && this.allowance.readyAt(1, 1, now) - now <= TOLERANCE_MS;
  }

  /** Settles when the call may leave; rejects when that would be too late. `again`: it was called back. */
  enter(call: Call, cost: number, again: boolean): Taken | Promise<Taken> {
    const { clock, draining, waitMs } = this.#options;
    const now = clock.now();
    if (this.#queue.size === 0) this.allowance.gate.idle(now);
    if (this.#queue.size === 0 && this.allowance.readyAt(0, cost, now) - now <= TOLERANCE_MS) {
      return this.allowance.take(cost, now);
    }
    const client = clientOf(call);
    const ahead = again ? 0 : this.#queue.ahead(client);
    const patienceMs = this.allowance.gate.isUnknown ? Math.min(waitMs, UNKNOWN_WAIT_MS) : waitMs;
    const leaveBy = Math.min(call.deadline, now + patienceMs);
    if (draining()) return Promise.reject(report(call, DRAINING()));
    if (this.#known(ahead, cost, now) >= leaveBy) {
      return Promise.reject(report(call, this.#refusal('it would free up too late', ahead, cost)));
    }
    return this.#wait(call, { client, cost, leaveBy, again });
  }

  /** Lets go whoever may, and comes back when the next one may. */
  pump(): void {
    const { clock } = this.#options;
    if (this.#queue.size === 0 && this.#timer === undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (;;) {
      const head = this.#queue.head();
      if (head === undefined) return;
      const now = clock.now();
      const at = this.allowance.readyAt(0, head.cost, now);
      if (at - now > TOLERANCE_MS) {
        if (at !== Infinity) this.#timer = clock.timer(at - now, () => this.pump());
        return;
      }
      this.#queue.shift();
      head.admit();
    }
  }

  /** What was just learned may have made waiting pointless for some: they are told now. */
  sweep(now: number): void {
    const at = this.#known(0, 1, now);
    if (this.#queue.size > 0 && at > this.#swept) {
      this.#swept = at;
      for (const { leaveBy, refuse } of this.#queue.entries()) {
        if (at >= leaveBy) refuse(this.#refusal('it will free up too late'));
      }
    }
    this.pump();
  }

  /** Sends everyone away. */
  drain(): void {
    for (const { refuse } of this.#queue.entries()) refuse(DRAINING());
  }

  /** Nobody knows how a probe ends: to wait for it is no known wait. */
  #known(ahead: number, cost: number, now: number): number {
    const at = this.allowance.readyAt(ahead, cost, now);
    return at === Infinity ? now : at;
  }

  #refusal(why: string, ahead = this.#queue.size, cost = 1): ProxyError {
    const now = this.#options.clock.now();
    const { gate } = this.allowance;
    const closed = gate.closed ? CLOSED[gate.cause === 'permanent' ? 'permanent' : 'throttled'] : USED_UP;
    const retryAfterMs = this.#known(ahead, cost, now) - now;
    return new ProxyError('quota', `${closed}; ${why}`, { retryAfterMs });
  }

  #wait(call: Call, { client, cost, leaveBy, again }: Seat): Promise<Taken> {
    const { clock } = this.#options;
    const since = clock.now();
    const cause = this.#cause(since);
    return new Promise((resolve, reject) => {
      if (call.signal.aborted) return reject(call.signal.reason);
      let waiting = true;
      const admit = () => {
        stopWaiting();
        resolve(this.allowance.take(cost, clock.now()));
      };
      const refuse = (error: Error) => {
        // Those before it may have made room for it meanwhile.
        if (!waiting) return;
        stopWaiting();
        reject(error instanceof ProxyError ? report(call, error) : error);
        this.pump();
      };
      const place = this.#queue.push(client, { cost, leaveBy, admit, refuse }, again);
      if (place === undefined) return reject(report(call, this.#refusal(FULL)));
      const onTime = () => refuse(this.#refusal('it did not free up in time'));
      const onAbort = () => {
        const reason = call.signal.reason as Error;
        // A deadline that passes in our queue is our doing: nobody further out may take it for a slow upstream.
        if (reason instanceof ProxyError && reason.code === 'deadline_exceeded') onTime();
        else refuse(reason);
      };
      const timer = clock.timer(leaveBy - since, onTime);
      call.signal.on(onAbort);
      const stopWaiting = () => {
        waiting = false;
        timer.cancel();
        this.#queue.remove(place);
        call.signal.off(onAbort);
        call.report({ type: 'quota_waited', waitMs: clock.now() - since, cause });
      };
      this.pump();
    });
  }

  #cause(now: number): QuotaWait {
    if (!this.allowance.gate.isOpen) return 'gate';
    return this.allowance.exhausted(now) ? 'learned' : 'window';
  }
}

const FULL = 'the queue for it is full';
const USED_UP = 'the quota of this upstream is used up';
const CLOSED = {
  throttled: 'the upstream asked its callers to wait',
  permanent: 'the upstream says that the quota is used up for good',
} as const;

const DRAINING = (): ProxyError => new ProxyError('draining', 'the proxy is shutting down');

function report(call: Call, error: ProxyError): ProxyError {
  if (error.code === 'quota') call.report({ type: 'rejected', reason: 'quota', shadow: false });
  return error;
}

/** Who is treated as one in the queue: the host that called, and the program there by its own word. */
function clientOf(call: Call): string {
  return `${call.client ?? ''}\n${headerOf(call.headers, 'user-agent') ?? ''}`;
}
