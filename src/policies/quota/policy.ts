import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Policy, Send } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Sight } from './credential-quota.ts';
import type { Line } from './quota-queue.ts';
import type { Quota } from './quota.ts';
import { giveBack, type Pass, start, voided } from './scoped-limiter.ts';

/** Sends an attempt back to the queue that was let through and has not left yet; nobody outside sees it. */
const CALLED_BACK = new Error('called back to wait for the quota');

/** The two ends of one policy. */
export interface QuotaPolicies {
  /** Has attempts wait for their turn and learns from their replies. */
  readonly admission: Policy;
  /**
   * Inside the concurrency limit: between its turn and its start an attempt may wait for a permit, and what was learned
   * meanwhile holds for it too.
   */
  readonly departure: Policy;
}

/** Keeps attempts within what an upstream allows, as far as that is configured or was learned; they wait rather than fail. */
export function quotaPolicies(quota: Quota, clock: Clock): QuotaPolicies {
  const admission = new Admission(quota, clock);
  return {
    admission: (next) => (call, attempt) =>
      quota.quiet ? admission.quietly(next, call, attempt) : admission.inTurn(next, call, attempt, false),
    departure: (next) => (call, attempt) =>
      departs(quota, attempt) ? next(call, attempt) : Promise.reject(CALLED_BACK),
  };
}

function departs(quota: Quota, { ticket }: Attempt): boolean {
  if (ticket !== undefined) return ticket.start();
  if (!quota.quiet) return false;
  quota.quietStart();
  return true;
}

/** Leave to send one attempt. */
interface Leave {
  readonly line: Line;
  readonly pass: Pass;
  readonly shape: string;
}

class Admission {
  readonly #quota: Quota;
  readonly #clock: Clock;

  constructor(quota: Quota, clock: Clock) {
    this.#quota = quota;
    this.#clock = clock;
  }

  /** While nothing is known of any quota: costs a reply's headers being looked through. */
  async quietly(next: Send, call: Call, attempt: Attempt): Promise<Reply> {
    const startedAt = this.#clock.now();
    const before = this.#quota.quietStarted;
    try {
      const reply = await next(call, attempt);
      const unseen = Math.max(0, this.#quota.quietStarted - before - 1);
      const sight = { startedAt, unseen, cost: 1, pass: undefined };
      this.#quota.heard(call, reply, sight, this.#clock.now());
      return reply;
    } catch (error) {
      if (error !== CALLED_BACK) throw error;
      return this.inTurn(next, call, attempt, true);
    }
  }

  /** `again`: it was let through before, and called back. */
  async inTurn(next: Send, call: Call, attempt: Attempt, again: boolean): Promise<Reply> {
    const stated = this.#quota.statedBy(call);
    const { cost, shape } = stated instanceof Promise ? await stated : stated;
    for (let front = again; ; front = true) {
      const line = this.#quota.lineOf(call);
      const entered = line.enter(call, attempt, { shape, cost }, front);
      const pass = entered instanceof Promise ? await entered : entered;
      attempt.ticket = { start: () => start(pass, this.#clock.now()) };
      try {
        const reply = await next(call, attempt);
        this.#answered(call, reply, { line, pass, shape });
        return reply;
      } catch (error) {
        this.#failed(error, { line, pass, shape });
        if (error !== CALLED_BACK) throw error;
      }
    }
  }

  #answered(call: Call, reply: Reply, { line, pass, shape }: Leave): void {
    const now = this.#clock.now();
    const { allowance, taken } = pass.whole;
    const startedAt = taken.left?.at ?? now;
    const sight: Sight = { startedAt, unseen: allowance.unseen(taken), cost: pass.cost, shape, pass };
    if (!this.#quota.heard(call, reply, sight, now)) voided(pass, now);
    line.pump();
  }

  #failed(error: unknown, { line, pass }: Leave): void {
    const now = this.#clock.now();
    const { left } = pass.whole.taken;
    const unsent = left === undefined || (error instanceof ProxyError && error.sent === 'not_sent');
    if (unsent) giveBack(pass, now);
    else voided(pass, now);
    line.pump();
  }
}
