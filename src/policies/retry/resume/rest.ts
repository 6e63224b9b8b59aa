import type { Reply } from '../../../http/reply.ts';
import type { Attempt } from '../../../proxy/attempt.ts';
import type { Call } from '../../../proxy/call.ts';
import { gaveUpBecause, type ProxyError } from '../../../proxy/errors.ts';
import type { ResumeDenial } from '../../../proxy/gave-up.ts';
import { type Outcome, type Send, settle } from '../../../proxy/pipeline.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Random } from '../../../runtime/random.ts';
import type { RetryBudget } from '../budget.ts';
import { classify, type RetryDecision } from '../classify.ts';
import type { RetryOptions } from '../options.ts';
import { askedBy, nextStep, type Step } from '../step.ts';
import type { BackoffInterrupt } from '../backoff-interrupt.ts';
import { type Download, restHeaders, wholeLength } from './download.ts';

export interface ResumeDeps {
  /** Requests for the rest of one body, failed ones included. */
  readonly attempts: number;
  readonly retry: RetryOptions;
  /** The longest time to the head of each of them, in milliseconds, including the wait for a permit. */
  readonly totalTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly budget: RetryBudget;
  readonly interrupt: BackoffInterrupt;
}

/** A download that may break. */
export interface Breakable {
  readonly next: Send;
  readonly call: Call;
  readonly attempt: Attempt;
  readonly download: Download;
  /** Parallel second attempts of the call before `attempt`. */
  readonly hedgesBefore: number;
}

/** The reply with the missing bytes and the length of the whole body, or the reason why there is none. */
export type Rest = { readonly reply: Reply; readonly length: number } | { readonly denial: ResumeDenial };

type Yes = Extract<RetryDecision, { retry: 'yes' }>;

/** Requests the rest of a body as often as attempts, breaker and budget allow, with the backoff of retries. */
export class RestOfBody {
  readonly #from: Breakable;
  readonly #deps: ResumeDeps;
  #tries = 0;
  #previousMs = 0;
  #paid = 0;

  constructor(from: Breakable, deps: ResumeDeps) {
    this.#from = from;
    this.#deps = deps;
  }

  /** `at`: offset of the first missing byte. */
  async ask(at: number, broken: ProxyError): Promise<Rest> {
    const { next, call, attempt, download } = this.#from;
    let outcome: Outcome = { kind: 'error', error: broken };
    let decision: Yes = { retry: 'yes', transparent: false, overloaded: false, reason: broken.code };
    for (;;) {
      const denial = await this.#wait(outcome, decision, at);
      if (denial !== undefined) return { denial };
      const asking = { ...call, headers: restHeaders(call.headers, download, at) };
      outcome = await settle(next, asking, this.#nextAttempt());
      if (outcome.kind === 'reply') {
        const length = wholeLength(outcome.reply, download, at);
        if (length !== undefined) return { reply: outcome.reply, length };
        outcome.reply.body.discard();
      }
      const classified = classify(outcome, call, this.#deps.retry, attempt.number);
      if (classified.retry === 'no') return { denial: this.#final(outcome, classified.because) };
      decision = classified;
    }
  }

  /** Pays for the next attempt and waits for its backoff. Returns the reason if there is none. */
  async #wait(outcome: Outcome, decision: Yes, atByte: number): Promise<ResumeDenial | undefined> {
    const { budget, clock, interrupt } = this.#deps;
    const { call, attempt } = this.#from;
    const step = this.#next(outcome, decision);
    if (step.kind === 'stop') return step.because;
    const { backoffMs, cost, delayMs, reason } = step;
    const now = clock.now();
    const interrupted = interrupt.reason(now);
    if (interrupted !== undefined) return interrupted;
    if (!budget.withdraw(now, cost)) return 'budget';
    this.#previousMs = backoffMs;
    this.#paid = cost;
    this.#tries++;
    call.journal.bodyBroke(atByte);
    call.journal.retryScheduled(this.#number, delayMs, reason);
    let ended: ResumeDenial | undefined = 'client_gone';
    try {
      ended = await interrupt.sleep(clock, delayMs, attempt.signal);
    } catch (failure) {
      if (!attempt.signal.aborted) throw failure;
    }
    if (ended !== undefined) budget.refund(cost);
    return ended;
  }

  /** As after any failed attempt. The first part is not counted, and no deadline applies after the head. */
  #next(outcome: Outcome, decision: Yes): Step {
    const { attempts, clock, random, retry } = this.#deps;
    const failed = {
      decision,
      attempt: this.#tries + 1,
      previousMs: this.#previousMs,
      replayable: this.#from.call.body.replayable,
      deadline: Infinity,
      now: clock.now(),
      askedMs: askedBy(outcome, clock.wallTime()),
    };
    return nextStep(failed, { ...retry, attempts: attempts + 1 }, random);
  }

  #nextAttempt(): Attempt {
    const { attempt } = this.#from;
    const { clock, totalTimeoutMs } = this.#deps;
    return attempt.with({
      number: this.#number,
      last: false,
      deadline: clock.now() + totalTimeoutMs,
      interims: undefined,
    });
  }

  /** Parallel second attempts have numbers too. */
  get #number(): number {
    const { attempt, hedgesBefore } = this.#from;
    return attempt.number + this.#tries + (attempt.tally?.hedges ?? 0) - hedgesBefore;
  }

  #final(outcome: Outcome, because: string): ResumeDenial {
    if (outcome.kind === 'error' && because === 'rejected') {
      this.#deps.budget.refund(this.#paid);
      return gaveUpBecause(outcome.error);
    }
    return because === 'client_gone' || because === 'veto' ? because : 'changed';
  }
}
