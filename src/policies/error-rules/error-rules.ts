import type { ByteBudget } from '../../http/byte-budget.ts';
import { decoded } from '../../http/decoded.ts';
import type { Reply, ReplyVerdict } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { HeldBody } from './peeked-body.ts';
import { Judge } from './rule-matcher.ts';
import type { InspectionOptions } from './options.ts';

/** An error is here at once or nearly so; a reply whose body takes longer is judged by its head. */
const LONGEST_READ_MS = 1_000;

/** What an error unpacks to is small. */
const MAX_UNPACKED_BYTES = 256 * 1024;

export interface InspectionDeps {
  readonly clock: Clock;
  /** Bounds the bodies that are held. */
  readonly memory: ByteBudget;
}

/**
 * Says what a reply means by the rules of its API, as its `verdict`, for all policies outside. Where a rule looks into the
 * body, its beginning is held back meanwhile; it is passed on as it came.
 */
export function inspection(options: InspectionOptions, deps: InspectionDeps): Policy {
  const judge = new Judge(options);
  return (next) => async (call, attempt) => {
    const reply = await next(call, attempt);
    if (reply.status < judge.from) return reply;
    const verdict = judge.byHead(reply, deps.clock.wallTime());
    if (verdict === undefined) return reply;
    return verdict === 'body'
      ? lookInto(reply, call, attempt, { judge, ...deps })
      : told(reply, verdict, call, attempt);
  };
}

async function lookInto(
  reply: Reply,
  call: Call,
  attempt: Attempt,
  { judge, clock, memory }: InspectionDeps & { readonly judge: Judge },
): Promise<Reply> {
  const body = new HeldBody(reply.body, memory);
  const bytes = await body.read(Math.min(LONGEST_READ_MS, (attempt.deadline - clock.now()) / 2), clock);
  if (attempt.signal.aborted) {
    body.discard();
    throw attempt.signal.reason;
  }
  const text = bytes && decoded(bytes, reply.headers, MAX_UNPACKED_BYTES);
  const verdict = judge.byBody(reply, text, clock.wallTime());
  return told({ ...reply, body }, verdict, call, attempt);
}

function told(
  reply: Reply,
  verdict: ReplyVerdict | undefined,
  { journal }: Call,
  { number }: Attempt,
): Reply {
  if (verdict === undefined) return reply;
  const means = verdict.kind ?? (verdict.throttled ? 'throttled' : 'wait');
  journal.ruleMatched(number, verdict.name);
  journal.note('error_rule', means);
  return { ...reply, verdict };
}
