import { ObservedBody } from '../../http/bodies/observed-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Hook, Send, Wrapper } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { costReader, type ReadCost } from './cost-reader.ts';
import type { SeenReply } from './credential-quota.ts';
import type { QuotaQueue } from './quota-queue.ts';
import type { Quota } from './quota.ts';
import { type CallReservation, correct, finish, refund, releaseProbe, start } from './scoped-limiter.ts';

/** Thrown by the inner part for an admitted attempt that has to wait again. The outer part catches it. */
const REQUEUED = new Error('sent back to the quota queue');

/** The two parts of one policy. */
export interface QuotaPolicies {
  /** Queues attempts and learns from their replies. */
  readonly outer: Wrapper;
  /**
   * Inside the concurrency limit: an admitted attempt may wait for a permit. A limit that is learned meanwhile holds for
   * this attempt too.
   */
  readonly inner: Hook;
}

export interface QuotaPolicyDeps {
  readonly clock: Clock;
  /** Bounds the memory of buffered bodies. */
  readonly memory: ByteBudget;
}

/** Keeps attempts within the configured and the learned limits of an upstream. Attempts wait, and fail only if the wait is too long. */
export function quotaPolicies(quota: Quota, deps: QuotaPolicyDeps): QuotaPolicies {
  const admission = new Admission(quota, deps);
  return {
    outer: (next) => (call, attempt) =>
      quota.isUntracked
        ? admission.sendUntracked(next, call, attempt)
        : admission.sendQueued(next, call, attempt, false),
    inner: {
      before(_call, attempt) {
        if (!departs(quota, attempt)) throw REQUEUED;
        return undefined;
      },
    },
  };
}

function departs(quota: Quota, { reservation }: Attempt): boolean {
  if (reservation !== undefined) return reservation.start();
  if (!quota.isUntracked) return false;
  quota.countUntracked();
  return true;
}

/** An attempt that may leave. */
interface Admitted {
  readonly queue: QuotaQueue;
  readonly held: CallReservation;
  readonly shape: string;
}

class Admission {
  readonly #quota: Quota;
  readonly #clock: Clock;
  readonly #memory: ByteBudget;

  constructor(quota: Quota, { clock, memory }: QuotaPolicyDeps) {
    this.#quota = quota;
    this.#clock = clock;
    this.#memory = memory;
  }

  /** For an upstream without any known quota. The only cost is reading the reply's headers. */
  async sendUntracked(next: Send, call: Call, attempt: Attempt): Promise<Reply> {
    const startedAt = this.#clock.now();
    const before = this.#quota.untrackedStarts;
    try {
      const reply = await next(call, attempt);
      const unseen = Math.max(0, this.#quota.untrackedStarts - before - 1);
      const seen = { startedAt, unseen, cost: 1, held: undefined };
      this.#quota.observe(call, reply, seen, this.#clock.now());
      return reply;
    } catch (error) {
      if (error !== REQUEUED) throw error;
      return this.sendQueued(next, call, attempt, true);
    }
  }

  /** `again`: the attempt was admitted before and sent back to the queue. */
  async sendQueued(next: Send, call: Call, attempt: Attempt, again: boolean): Promise<Reply> {
    const demand = this.#quota.demandOf(call);
    const { cost, shape } = demand instanceof Promise ? await demand : demand;
    for (let front = again; ; front = true) {
      const queue = this.#quota.queueOf(call);
      const entered = queue.enter(call, attempt, { shape, cost }, front);
      const held = entered instanceof Promise ? await entered : entered;
      attempt.reservation = { start: () => start(held, this.#clock.now()) };
      try {
        const reply = await next(call, attempt);
        this.#answered(call, reply, { queue, held, shape });
        return this.#withCost(call, reply, { queue, held });
      } catch (error) {
        this.#failed(error, { queue, held, shape });
        if (error !== REQUEUED) throw error;
      }
    }
  }

  #answered(call: Call, reply: Reply, { queue, held, shape }: Admitted): void {
    const now = this.#clock.now();
    finish(held);
    const { limiter, reservation } = held.whole;
    const startedAt = reservation.sent?.at ?? now;
    const seen: SeenReply = { startedAt, unseen: limiter.unseen(reservation), cost: held.cost, shape, held };
    if (!this.#quota.observe(call, reply, seen, now)) releaseProbe(held, now);
    queue.pump();
  }

  /** The reply whose body corrects the cost of its call as it passes; the same reply if it states none. */
  #withCost({ journal }: Call, reply: Reply, { queue, held }: Pick<Admitted, 'queue' | 'held'>): Reply {
    const { reply: parts } = this.#quota.options.cost;
    if (parts.length === 0) return reply;
    const onRead = (read: ReadCost) => {
      // A part that is not stated is unknown, so the cost does not fall below the estimate.
      const cost = read.result === 'read' ? read.cost : Math.max(read.cost, held.cost);
      journal.note('cost_reading', read.result);
      journal.note('estimated_cost', held.cost);
      journal.note('cost', cost);
      if (cost === held.cost) return;
      correct(held, cost, this.#clock.now());
      queue.pump();
    };
    const observer = costReader(reply, parts, { memory: this.#memory, onRead });
    return observer === undefined ? reply : { ...reply, body: new ObservedBody(reply.body, observer) };
  }

  #failed(error: unknown, { queue, held }: Admitted): void {
    const now = this.#clock.now();
    finish(held);
    const { sent } = held.whole.reservation;
    const unsent = sent === undefined || (error instanceof ProxyError && error.sent === 'not_sent');
    if (unsent) refund(held, now);
    else releaseProbe(held, now);
    queue.pump();
  }
}
