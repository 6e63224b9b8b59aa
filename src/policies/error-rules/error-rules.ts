import type { ByteBudget } from '../../http/byte-budget.ts';
import { decoded } from '../../http/decoded.ts';
import type { Reply, ReplyClassification } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { errorRuleMeaning } from '../../proxy/notes.ts';
import type { Receiver, Relay } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ErrorRuleOptions } from './options.ts';
import { PeekedBody } from './peeked-body.ts';
import { RuleMatcher } from './rule-matcher.ts';

/** An error arrives almost at once. If the body takes longer, the reply is classified by its head. */
const LONGEST_READ_MS = 1_000;

/** The most bytes of an error after decompression. */
const MAX_UNPACKED_BYTES = 256 * 1024;

export interface ErrorRuleDeps {
  readonly clock: Clock;
  /** Bounds the memory of buffered bodies. */
  readonly memory: ByteBudget;
}

interface Rules extends ErrorRuleDeps {
  readonly matcher: RuleMatcher;
}

/**
 * Classifies replies by the error rules of their API, for all outer policies. If a rule needs the body, its beginning is buffered
 * until the reply is classified. The body is passed on unchanged.
 */
export function errorRules(options: ErrorRuleOptions, deps: ErrorRuleDeps): Relay {
  const rules = { ...deps, matcher: new RuleMatcher(options) };
  return {
    relay: (next) => (call, attempt, receiver) =>
      next(call, attempt, new RuledAttempt(call, attempt, receiver, rules)),
  };
}

/** An attempt whose reply is classified. */
class RuledAttempt implements Receiver {
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #receiver: Receiver;
  readonly #rules: Rules;

  constructor(call: Call, attempt: Attempt, receiver: Receiver, rules: Rules) {
    this.#call = call;
    this.#attempt = attempt;
    this.#receiver = receiver;
    this.#rules = rules;
  }

  replied(reply: Reply): void {
    if (!this.#rules.matcher.mayMatch(reply.status)) return this.#receiver.replied(reply);
    let found: ReturnType<RuleMatcher['byHead']>;
    try {
      found = this.#rules.matcher.byHead(reply, this.#rules.clock.wallTime());
    } catch (bug) {
      reply.body.discard();
      return this.#receiver.failed(bug);
    }
    if (found === undefined) return this.#receiver.replied(reply);
    if (found !== 'body') return this.#receiver.replied(this.#classified(reply, found));
    this.#peek(reply).then(
      (peeked) => this.#receiver.replied(peeked),
      (error: unknown) => this.#receiver.failed(error),
    );
  }

  failed(error: unknown): void {
    this.#receiver.failed(error);
  }

  async #peek(reply: Reply): Promise<Reply> {
    const { matcher, clock, memory } = this.#rules;
    const { deadline, signal } = this.#attempt;
    const body = new PeekedBody(reply.body, memory);
    const bytes = await body.read(Math.min(LONGEST_READ_MS, (deadline - clock.now()) / 2), clock);
    if (signal.aborted) {
      body.discard();
      throw signal.reason;
    }
    const text = bytes && decoded(bytes, reply.headers, MAX_UNPACKED_BYTES);
    const peeked = { ...reply, body };
    const classification = matcher.byBody(reply, text, clock.wallTime());
    return classification === undefined ? peeked : this.#classified(peeked, classification);
  }

  #classified(reply: Reply, classification: ReplyClassification): Reply {
    const { journal } = this.#call;
    journal.ruleMatched(this.#attempt.number, classification.name);
    journal.note('error_rule', errorRuleMeaning(classification));
    return { ...reply, classification };
  }
}
