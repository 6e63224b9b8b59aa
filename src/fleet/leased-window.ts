import type { Lease, Receipt } from './lease.ts';
import type { LeaseReply, LeaseRequest } from './ledger.ts';
import type { WindowLimit, WindowPlan } from './plan.ts';

/** The part of the fleet that a window needs. */
export interface WindowHost {
  /** Real milliseconds of this process. */
  real(): number;
  readonly away: boolean;
  readonly connected: boolean;
  readonly replicas: number;
  /** Sends a request. The window gets its end by `heard` or `lost`, and by `late` if it takes long. */
  send(window: LeasedWindow, request: LeaseRequest): void;
  /** Calls `window.ask` after `ms`. */
  remind(window: LeasedWindow, ms: number): void;
}

/** A busy replica looks this often whether it needs units, in milliseconds. It is short in comparison with the life of a lease. */
const LOOK_MS = 1;

/** A shared window, as the quota policy uses it: it gives units that are leased, and leases more before they run out. */
export class LeasedWindow {
  readonly key: string;
  readonly burst: number;
  /** Called when waiting calls may have got units. */
  wake: () => void = () => {};
  readonly #limit: WindowLimit;
  readonly #plan: WindowPlan;
  readonly #lease: Lease;
  readonly #host: WindowHost;
  /** Then a call that takes units looks whether more are needed. */
  #lookAt = -Infinity;
  /** The latest time of a call, and the real time then. */
  #now = -Infinity;
  #realNow = -Infinity;

  constructor(key: string, parts: { limit: WindowLimit; plan: WindowPlan; lease: Lease }, host: WindowHost) {
    this.key = key;
    this.burst = parts.plan.most;
    this.#limit = parts.limit;
    this.#plan = parts.plan;
    this.#lease = parts.lease;
    this.#host = host;
  }

  readyAt(ahead: number, units: number, now: number): number {
    const real = this.#real();
    [this.#now, this.#realNow] = [now, real];
    return now + this.#lease.readyAt(ahead, units, real) - real;
  }

  take(units: number, now: number): Receipt {
    // Usually at the moment of `readyAt`. The time costs a call more than the rest of this.
    const real = now === this.#now ? this.#realNow : this.#real();
    const receipt = this.#lease.take(units, real);
    if (real >= this.#lookAt || receipt === undefined) this.ask(real);
    return receipt;
  }

  refund(units: number, receipt: Receipt): void {
    this.#lease.refund(units, receipt);
  }

  correct(units: number, actual: number): void {
    this.#lease.correct(units, actual, this.#real());
    this.ask();
  }

  /** Units that all waiting calls need, and units of the first of them. */
  wanted(units: number, first: number): void {
    this.#lease.wanted(units, first);
    this.ask();
  }

  /** Units that are left of the window, as far as this replica knows. 0 to the limit. */
  remaining(): number {
    const { limit, burst } = this.#limit;
    const missing = this.#plan.burst - this.#lease.left(this.#real());
    return Math.max(0, Math.min(limit, Math.max(limit, burst) - missing));
  }

  /** Milliseconds until the window is full again, as far as this replica knows. */
  resetMs(): number {
    return Math.max(0, this.#plan.burst - this.#lease.left(this.#real())) * this.#plan.intervalMs;
  }

  /** Sends the next request if one is needed, or comes back when one may be. */
  ask(real = this.#real()): void {
    this.#lookAt = real + LOOK_MS;
    const request = this.#lease.ask(real);
    if (request !== undefined) return this.#host.send(this, request);
    const at = this.#lease.askAt(real);
    if (at !== Infinity) this.#host.remind(this, at - real);
  }

  /** The engine has lost its data: this replica reports what it knows. */
  announce(): void {
    const request = this.#lease.announce(this.#real());
    if (request !== undefined) this.#host.send(this, request);
  }

  heard(request: LeaseRequest, reply: LeaseReply, sentAt: number): void {
    this.#lease.heard(request, reply, sentAt, this.#host.real());
    this.wake();
    this.ask();
  }

  late(request: LeaseRequest): void {
    this.#lease.late(request);
  }

  lost(request: LeaseRequest): void {
    this.#lease.lost(request);
  }

  /** The process ends: everything goes back. */
  giveUp(): void {
    const request = this.#lease.giveUp(this.#real());
    if (request !== undefined) this.#host.send(this, request);
  }

  #real(): number {
    const { away } = this.#host;
    const real = this.#host.real();
    this.#lease.setAway(away, real, this.#host);
    return real;
  }
}
