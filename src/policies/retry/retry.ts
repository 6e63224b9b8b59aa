import { BufferedReply } from '../../http/bodies/buffered-reply.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import { type Call, isRepeatable } from '../../proxy/call.ts';
import { gaveUpBecause, ProxyError, shuttingDown } from '../../proxy/errors.ts';
import type { RetryStep } from '../../proxy/events.ts';
import type { RetryDenial } from '../../proxy/gave-up.ts';
import type { Dispatch, Outcome, Receiver, Relay } from '../../proxy/pipeline.ts';
import type { Detour, Trail } from '../../proxy/trail.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { RETRY_COST, type RetryBudget } from './budget.ts';
import { classify, isSuccess, type RetryDecision } from './classify.ts';
import type { RetryOptions } from './options.ts';
import { askedBy, type Failed, nextStep, type Step, stepElsewhere } from './step.ts';
import type { BackoffInterrupt } from './backoff-interrupt.ts';

export interface RetryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly budget: RetryBudget;
  readonly interrupt: BackoffInterrupt;
  /** Bounds the memory of failed replies that are buffered during backoff. */
  readonly memory: ByteBudget;
  /** An attempt may be hedged; the hedge counts as an attempt. */
  readonly hedged?: boolean;
  /** Begins the trail of a call at the targets of the upstream; undefined: it has none. */
  readonly trailOf?: ((call: Call) => Trail) | undefined;
  /** True: another target may follow a failed attempt, and nothing else. The caller counts successes and makes retries. */
  readonly onlyElsewhere?: boolean;
}

type No = Extract<RetryDecision, { retry: 'no' }>;

/** A call with what it is sent by, and who receives its final outcome. */
interface Sent {
  readonly next: Dispatch;
  readonly call: Call;
  /** Stands for all attempts. */
  readonly all: Attempt;
  readonly receiver: Receiver;
}

/**
 * Retries a failed attempt while the kind of failure, the number of attempts, the deadline, the breaker and the budget allow it.
 * Otherwise it returns the last outcome; a reply is passed on unchanged.
 */
export function retry(options: RetryOptions, deps: RetryDeps): Relay {
  return {
    relay: (next) => (call, all, receiver) =>
      new RetriedCall(withOverrides(options, call), deps, { next, call, all, receiver }).attempt(),
  };
}

/** For a caller that makes the retries itself: only another target follows a failed attempt. */
export const detour = (options: RetryOptions, deps: Omit<RetryDeps, 'onlyElsewhere'>): Relay =>
  retry(options, { ...deps, onlyElsewhere: true });

/** Overrides of the client replace the route's values; they are within the route's limits. */
function withOverrides(options: RetryOptions, { overrides }: Call): RetryOptions {
  if (overrides === undefined) return options;
  const { attempts = options.attempts, retryOn: statuses = options.statuses } = overrides;
  return { ...options, attempts, statuses };
}

/** One call with its attempts. */
class RetriedCall implements Receiver {
  readonly #options: RetryOptions;
  readonly #deps: RetryDeps;
  readonly #next: Dispatch;
  readonly #call: Call;
  /** Stands for all attempts. */
  readonly #all: Attempt;
  readonly #receiver: Receiver;
  /** Parallel attempts of other policies. They are counted for the whole call, so that a policy knows those of earlier attempts. */
  hedges = 0;
  readonly #trail: Trail | undefined;
  /** A retry of the client's own, which the budget could not pay for. */
  readonly #owing: boolean;
  /** Tokens paid for the current attempt. */
  #paid: number;
  /** Attempts of this policy. Parallel attempts of other policies do not count. */
  #own = 0;
  /** The number of the current attempt. */
  #number = 0;
  /** The outcome of the attempt before. */
  #last: BufferedOutcome | undefined;
  #previousMs = 0;

  constructor(options: RetryOptions, deps: RetryDeps, { next, call, all, receiver }: Sent) {
    this.#options = options;
    this.#deps = deps;
    this.#next = next;
    this.#call = call;
    this.#all = all;
    this.#receiver = receiver;
    this.#trail = deps.trailOf?.(call);
    const { clientRetries = 0 } = call;
    // A client's own retry is charged like a retry of this proxy. If the upper half of the budget cannot pay, the call has one
    // attempt.
    this.#owing = clientRetries > 0 && !deps.budget.withdrawForClient(deps.clock.now());
    this.#paid = clientRetries > 0 && !this.#owing ? RETRY_COST : 0;
  }

  attempt(): void {
    const all = this.#all;
    const call = this.#call;
    this.#own++;
    this.#number = this.#attempts;
    const last = this.#owing || this.#number >= this.#options.attempts || !isRepeatable(call);
    const tally = this.#deps.hedged === true ? this : undefined;
    this.#next(call, all.tried(this.#number, last, tally, this.#trail), this);
  }

  replied(reply: Reply): void {
    this.#ended({ kind: 'reply', reply });
  }

  failed(error: unknown): void {
    if (error instanceof ProxyError) this.#ended({ kind: 'error', error });
    else this.#broke(error);
  }

  /** Attempts of the whole call: those of this policy, and parallel ones. */
  get #attempts(): number {
    return this.#own + this.hedges;
  }

  #ended(outcome: Outcome): void {
    try {
      const decision = classify(outcome, this.#call, this.#options, this.#number);
      const { budget, onlyElsewhere = false } = this.#deps;
      if (!onlyElsewhere && isSuccess(outcome, decision)) budget.deposit();
      this.#decide(outcome, decision);
    } catch (bug) {
      this.#broke(bug);
    }
  }

  #decide(outcome: Outcome, decision: RetryDecision): void {
    const { onlyElsewhere = false, random } = this.#deps;
    const detour = this.#trail?.detour(outcome, decision);
    if (decision.retry === 'yes' && !onlyElsewhere)
      return this.#follow(
        outcome,
        nextStep({ ...this.#failure(outcome, detour), decision }, this.#options, random),
      );
    const elsewhere = detour && stepElsewhere(this.#failure(outcome, detour), this.#options);
    if (elsewhere !== undefined) this.#follow(outcome, elsewhere);
    else if (decision.retry === 'no' && !onlyElsewhere) this.#end(outcome, decision);
    else this.#pass(outcome);
  }

  /** Makes another attempt, or passes the outcome on if none may be made. */
  #follow(outcome: Outcome, step: Step): void {
    if (step.kind === 'stop') return this.#giveUp(outcome, step.because);
    const denial = this.#denial(step);
    if (denial === undefined) this.#again(outcome, step);
    else this.#giveUp(outcome, denial);
  }

  /** Ends the call with an outcome that is not retried. Notes the reason if the failure itself would have allowed a retry. */
  #end(outcome: Outcome, { because }: No): void {
    if (because === 'rejected') this.#deps.budget.refund(this.#paid);
    if (because === 'rejected' && this.#last !== undefined) return this.#endRefused(outcome, this.#last);
    if (because === 'not_idempotent' || because === 'veto' || because === 'permanent')
      this.#giveUp(outcome, because);
    else this.#pass(outcome);
  }

  /** The proxy refused its own retry. The client gets the upstream's last outcome, which says more than the refusal. */
  #endRefused(outcome: Outcome, last: BufferedOutcome): void {
    if (outcome.kind === 'reply') return this.#pass(outcome);
    this.#giveUp(last.take(outcome.error), gaveUpBecause(outcome.error));
  }

  #giveUp(outcome: Outcome, reason: RetryDenial): void {
    this.#call.journal.note('retry_denied', reason);
    this.#pass(outcome);
  }

  #pass(outcome: Outcome): void {
    this.#last?.drop();
    if (outcome.kind === 'reply') this.#receiver.replied(this.#trail?.passed(outcome.reply) ?? outcome.reply);
    else this.#receiver.failed(outcome.error);
  }

  #broke(bug: unknown): void {
    this.#last?.drop();
    this.#receiver.failed(bug);
  }

  #failure(outcome: Outcome, detour: Detour | undefined): Omit<Failed, 'decision'> {
    const { clock } = this.#deps;
    const trail = this.#trail;
    return {
      attempt: this.#attempts,
      previousMs: this.#previousMs,
      replayable: this.#call.body.replayable,
      deadline: this.#all.deadline,
      now: clock.now(),
      askedMs: trail === undefined ? askedBy(outcome, clock.wallTime()) : trail.askedMs(),
      detour,
    };
  }

  /** Why there is no retry, by signature, breaker and budget. The budget comes last, because asking it spends from it. */
  #denial({ cost, delayMs }: RetryStep): RetryDenial | undefined {
    const { budget, clock, interrupt } = this.#deps;
    const now = clock.now();
    const { signatureExpiresAt } = this.#all;
    if (signatureExpiresAt !== undefined && clock.real() + delayMs >= signatureExpiresAt)
      return 'signature_age';
    const interrupted = interrupt.reason(now);
    if (interrupted !== undefined) return interrupted;
    if (cost > 0 && (this.#owing || !budget.withdraw(now, cost))) return 'budget';
    return undefined;
  }

  /** Makes another attempt after a wait. */
  #again(outcome: Outcome, step: RetryStep): void {
    this.#call.journal.retryScheduled(this.#attempts + 1, step.delayMs, step.reason);
    this.#paid = step.cost;
    // Frees the connection of the failed attempt before the wait, not after it.
    this.#last?.drop();
    const last = new BufferedOutcome(outcome, this.#deps.memory);
    this.#last = last;
    this.#previousMs = step.backoffMs;
    // The wait does not know `outcome`, which would hold the failed attempt in memory.
    void this.#retryLater(last, step);
  }

  /** Waits. If the wait is interrupted, the call ends with the last outcome. */
  async #retryLater(last: BufferedOutcome, { delayMs, elsewhere }: RetryStep): Promise<void> {
    const { clock, interrupt } = this.#deps;
    let ended: RetryDenial | undefined = 'client_gone';
    try {
      try {
        // The rest of the failed reply arrives in this turn.
        const atOnce = elsewhere === true && delayMs === 0;
        ended = await (atOnce ? AT_ONCE : interrupt.sleep(clock, delayMs, this.#all.signal));
      } finally {
        if (ended !== undefined) this.#unused(ended);
      }
      if (ended !== undefined) return this.#pass(last.take(unsent(ended)));
      // Its connection and its permit would be held next to the next attempt.
      last.dropUnfinished();
      this.#trail?.again(elsewhere !== true);
      this.attempt();
    } catch (error) {
      this.#broke(error);
    }
  }

  /** The backoff has ended without a retry. */
  #unused(reason: RetryDenial): void {
    this.#deps.budget.refund(this.#paid);
    this.#call.journal.note('retry_denied', reason);
  }
}

const AT_ONCE = Promise.resolve(undefined);

/** A failed outcome that is buffered during backoff. It is the answer if no later attempt brings a better one. */
class BufferedOutcome {
  readonly #reply: BufferedReply | undefined;
  readonly #error: ProxyError | undefined;

  constructor(outcome: Outcome, memory: ByteBudget) {
    if (outcome.kind === 'reply') this.#reply = new BufferedReply(outcome.reply, memory);
    else this.#error = outcome.error;
  }

  /** The outcome; `refusal` if the reply was too large to buffer. */
  take(refusal: ProxyError): Outcome {
    if (this.#error !== undefined) return { kind: 'error', error: this.#error };
    const reply = this.#reply?.take();
    return reply === undefined ? { kind: 'error', error: refusal } : { kind: 'reply', reply };
  }

  drop(): void {
    this.#reply?.drop();
  }

  /** Ends a reply whose body has not arrived by now. A failed stream may stay open for minutes. */
  dropUnfinished(): void {
    if (this.#reply?.ended === false) this.drop();
  }
}

/** The refusal of an attempt that was in backoff. */
function unsent(reason: RetryDenial): ProxyError {
  if (reason === 'draining') return shuttingDown();
  return new ProxyError('breaker_open', 'the circuit breaker opened during the backoff');
}
