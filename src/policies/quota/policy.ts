import { ObservedBody } from '../../http/bodies/observed-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { After, Hook } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { CallReservation } from './call-reservation.ts';
import { costReader, type ReadCost } from './cost-reader.ts';
import type { SeenReply } from './credential-quota.ts';
import type { Demand } from './demand.ts';
import type { QuotaQueue } from './quota-queue.ts';
import type { Quota } from './quota.ts';
import type { CostPlan } from './stated-cost.ts';

/** Thrown by the inner part for an admitted attempt that has to wait again. The outer part handles it. */
const REQUEUED = new Error('sent back to the quota queue');

/** The two parts of one policy. */
export interface QuotaPolicies {
  /** Queues attempts and learns from their replies. */
  readonly outer: Hook;
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
  return {
    outer: new Admission(quota, deps),
    inner: {
      before(_call, { reservation }) {
        if (reservation?.start() === false) throw REQUEUED;
        return undefined;
      },
    },
  };
}

class Admission implements Hook {
  readonly #quota: Quota;
  readonly #deps: QuotaPolicyDeps;

  constructor(quota: Quota, deps: QuotaPolicyDeps) {
    this.#quota = quota;
    this.#deps = deps;
  }

  before(call: Call, attempt: Attempt): After | Promise<After> {
    const { requeued } = attempt;
    attempt.requeued = false;
    if (!requeued && this.#quota.isUntracked)
      return reserve(attempt, new UntrackedAttempt(this.#quota, call, attempt, this.#deps.clock));
    const demand = this.#quota.demandOf(call);
    return demand instanceof Promise
      ? this.#enterLater(call, attempt, demand, requeued)
      : this.#enter(call, attempt, demand, requeued);
  }

  async #enterLater(call: Call, attempt: Attempt, demand: Promise<Demand>, again: boolean): Promise<After> {
    return this.#enter(call, attempt, await demand, again);
  }

  #enter(call: Call, attempt: Attempt, demand: Demand, again: boolean): After | Promise<After> {
    const { shape } = demand;
    const queue = this.#quota.queueOf(call);
    const entered = queue.enter(call, attempt, demand, again);
    if (entered instanceof Promise) return this.#admitLater(entered, { call, attempt, queue, shape });
    return this.#admit({ call, attempt, queue, held: entered, shape });
  }

  async #admitLater(wait: Promise<CallReservation>, entered: Omit<Admitted, 'held'>): Promise<After> {
    return this.#admit({ ...entered, held: await wait });
  }

  #admit(admitted: Admitted): After {
    return reserve(admitted.attempt, new AdmittedAttempt(admitted, this.#quota, this.#deps));
  }
}

/** Sets the reservation of `attempt`, for the inner part. */
function reserve<T extends NonNullable<Attempt['reservation']>>(attempt: Attempt, reservation: T): T {
  attempt.reservation = reservation;
  return reservation;
}

/** An attempt at an upstream without any known quota. The only cost is reading the reply's headers. */
export class UntrackedAttempt implements After {
  readonly #quota: Quota;
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #clock: Clock;
  readonly #startedAt: number;
  /** Attempts that had left by then. */
  readonly #before: number;

  constructor(quota: Quota, call: Call, attempt: Attempt, clock: Clock) {
    this.#quota = quota;
    this.#call = call;
    this.#attempt = attempt;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#before = quota.untrackedStarts;
  }

  /** False if a quota is known by now. */
  start(): boolean {
    if (!this.#quota.isUntracked) return false;
    this.#quota.countUntracked();
    return true;
  }

  replied(reply: Reply): void {
    const unseen = Math.max(0, this.#quota.untrackedStarts - this.#before - 1);
    const seen = { startedAt: this.#startedAt, unseen, cost: 1, held: undefined };
    this.#quota.observe(this.#call, reply, seen, this.#clock.now());
  }

  failed(error: unknown): 'again' | void {
    return againIfRequeued(error, this.#attempt);
  }
}

/** An attempt that may leave. */
interface Admitted {
  readonly call: Call;
  readonly attempt: Attempt;
  readonly queue: QuotaQueue;
  readonly held: CallReservation;
  readonly shape: string;
}

export class AdmittedAttempt implements After {
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #queue: QuotaQueue;
  readonly #held: CallReservation;
  readonly #shape: string;
  readonly #quota: Quota;
  readonly #deps: QuotaPolicyDeps;

  constructor({ call, attempt, queue, held, shape }: Admitted, quota: Quota, deps: QuotaPolicyDeps) {
    this.#call = call;
    this.#attempt = attempt;
    this.#queue = queue;
    this.#held = held;
    this.#shape = shape;
    this.#quota = quota;
    this.#deps = deps;
  }

  /** False if a limit learned since then holds it. */
  start(): boolean {
    return this.#held.start(this.#deps.clock.now());
  }

  replied(reply: Reply): Reply | undefined {
    const held = this.#held;
    const now = this.#deps.clock.now();
    held.finish();
    const { cost, limiter, sentAt = now } = held.whole;
    const unseen = limiter.unseen(held.whole);
    const seen: SeenReply = { startedAt: sentAt, unseen, cost, shape: this.#shape, held };
    if (!this.#quota.observe(this.#call, reply, seen, now)) held.releaseProbe(now);
    this.#queue.pump();
    return this.#withCost(reply);
  }

  /** The reply with a body that corrects the cost of its call as it passes; undefined if it states none. */
  #withCost(reply: Reply): Reply | undefined {
    const plan = this.#quota.statedCost;
    return plan === undefined ? undefined : this.#withReadCost(reply, plan);
  }

  #withReadCost(reply: Reply, plan: CostPlan): Reply | undefined {
    const onRead = (read: ReadCost) => this.#costWasRead(read);
    const observer = costReader(reply, plan, { memory: this.#deps.memory, onRead });
    return observer === undefined ? undefined : { ...reply, body: new ObservedBody(reply.body, observer) };
  }

  #costWasRead(read: ReadCost): void {
    const held = this.#held;
    const { journal } = this.#call;
    // A part that is not stated is unknown, so the cost does not fall below the estimate.
    const cost = read.result === 'read' ? read.cost : Math.max(read.cost, held.cost);
    journal.note('cost_reading', read.result);
    journal.note('estimated_cost', held.cost);
    journal.note('cost', cost);
    if (cost === held.cost) return;
    held.correct(cost, this.#deps.clock.now());
    this.#queue.pump();
  }

  failed(error: unknown): 'again' | void {
    const held = this.#held;
    const now = this.#deps.clock.now();
    held.finish();
    const unsent =
      held.whole.sentAt === undefined || (error instanceof ProxyError && error.sent === 'not_sent');
    if (unsent) held.refund(now);
    else held.releaseProbe(now);
    this.#queue.pump();
    return againIfRequeued(error, this.#attempt);
  }
}

/** An attempt that was sent back enters the queue again, at its front. */
function againIfRequeued(error: unknown, attempt: Attempt): 'again' | void {
  if (error !== REQUEUED) return;
  attempt.requeued = true;
  return 'again';
}
