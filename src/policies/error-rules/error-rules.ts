import type { ByteBudget } from '../../http/byte-budget.ts';
import { decoded } from '../../http/decoded.ts';
import type { Reply, ReplyClassification } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { errorRuleMeaning } from '../../proxy/notes.ts';
import type { Wrapper } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { PeekedBody } from './peeked-body.ts';
import { RuleMatcher } from './rule-matcher.ts';
import type { ErrorRuleOptions } from './options.ts';

/** An error arrives almost at once. If the body takes longer, the reply is classified by its head. */
const LONGEST_READ_MS = 1_000;

/** The most bytes of an error after decompression. */
const MAX_UNPACKED_BYTES = 256 * 1024;

export interface ErrorRuleDeps {
  readonly clock: Clock;
  /** Bounds the memory of buffered bodies. */
  readonly memory: ByteBudget;
}

/**
 * Classifies replies by the error rules of their API, for all outer policies. If a rule needs the body, its beginning is buffered
 * until the reply is classified. The body is passed on unchanged.
 */
export function errorRules(options: ErrorRuleOptions, deps: ErrorRuleDeps): Wrapper {
  const matcher = new RuleMatcher(options);
  return (next) => async (call, attempt) => {
    const reply = await next(call, attempt);
    if (reply.status < matcher.from) return reply;
    const classification = matcher.byHead(reply, deps.clock.wallTime());
    if (classification === undefined) return reply;
    return classification === 'body'
      ? peek(reply, call, attempt, { matcher, ...deps })
      : classified(reply, classification, call, attempt);
  };
}

async function peek(
  reply: Reply,
  call: Call,
  attempt: Attempt,
  { matcher, clock, memory }: ErrorRuleDeps & { readonly matcher: RuleMatcher },
): Promise<Reply> {
  const body = new PeekedBody(reply.body, memory);
  const bytes = await body.read(Math.min(LONGEST_READ_MS, (attempt.deadline - clock.now()) / 2), clock);
  if (attempt.signal.aborted) {
    body.discard();
    throw attempt.signal.reason;
  }
  const text = bytes && decoded(bytes, reply.headers, MAX_UNPACKED_BYTES);
  const classification = matcher.byBody(reply, text, clock.wallTime());
  return classified({ ...reply, body }, classification, call, attempt);
}

function classified(
  reply: Reply,
  classification: ReplyClassification | undefined,
  { journal }: Call,
  { number }: Attempt,
): Reply {
  if (classification === undefined) return reply;
  journal.ruleMatched(number, classification.name);
  journal.note('error_rule', errorRuleMeaning(classification));
  return { ...reply, classification };
}
