import { retryAfterMs } from '../../http/retry-after.ts';
import type { DurableEvent } from '../../proxy/events.ts';
import { type DecideOptions, type Decision, decide, end } from '../decision.ts';
import type { StoredResponse } from '../job.ts';
import type { Ended, Judgement } from '../route.ts';
import { judge, type PolledReply } from './condition.ts';
import { askedPollDelayMs, pollDelayMs } from './delay.ts';
import { lacksJson, polledReply, stateOf } from './observe.ts';
import type { PollOptions } from './options.ts';
import { counted, type PollState } from './state.ts';
import { type Submitted, targetOf } from './target.ts';

/** An attempt that has ended. */
export interface AttemptFacts {
  readonly ended: Ended;
  /** By the rules of the other loop, which is for errors. */
  readonly judgement: Judgement;
  readonly response: StoredResponse | undefined;
  /** Undefined where every good reply is the final one. */
  readonly poll: PollOptions | undefined;
  /** Undefined before the first good answer. */
  readonly before: PollState | undefined;
  /** Undefined where nothing else than the request itself is polled. */
  readonly submitted: Submitted | undefined;
}

type PollAttempt = AttemptFacts & { readonly poll: PollOptions };

type PollResult = Extract<DurableEvent, { type: 'durable_polled' }>['result'];

export interface PollDecision extends Decision {
  /** What a poll has brought; undefined where none was answered. */
  readonly result?: PollResult | undefined;
  /** What was wrong with a good answer. */
  readonly detail?: string | undefined;
}

/** THE decision after an attempt, with polls or without. */
export function afterAttempt({ poll, ...facts }: AttemptFacts, options: DecideOptions): PollDecision {
  if (poll === undefined) return decide(facts.ended, facts.judgement, options);
  return afterPoll({ ...facts, poll }, options);
}

/**
 * Where a good answer need not be the final one, there are two loops, and neither spends
 * what is the other's: errors go to the retry, whose count begins anew with each good answer; good answers are polls, which
 * know no count but the deadline.
 */
function afterPoll(attempt: PollAttempt, options: DecideOptions): PollDecision {
  const { ended, judgement, response, poll, before } = attempt;
  const good = judgement.kind === 'success';
  if (poll.target !== undefined && before === undefined)
    return good && response !== undefined
      ? begin(attempt, response, options)
      : decide(ended, judgement, options);
  if (response === undefined) return afterError(attempt, options);
  const reply = polledReply(response, poll.conditions, !good);
  const verdict = judge(poll.conditions, reply);
  if (verdict.kind === 'pending')
    return good ? ask(attempt, { response, reply }, options) : afterError(attempt, options);
  const state = counted(before, stateOf(poll.conditions, reply), ended.now);
  const memo = { poll: { ...state, over: true as const } };
  const times = { now: ended.now, retentionMs: options.retentionMs };
  if (verdict.kind === 'success') return { ...end(times, 'succeeded'), memo, result: 'success' };
  const why = verdict.message && `The reply reports a failure: ${verdict.message}`;
  return { ...end(times, 'condition_failed', why), memo, result: 'failure' };
}

/** The request has been taken: from now on it is asked about, and never sent again. */
function begin(attempt: PollAttempt, response: StoredResponse, options: DecideOptions): PollDecision {
  const { ended, poll, submitted } = attempt;
  const found = poll.target && submitted && targetOf(poll.target, response, submitted);
  if (found === undefined || 'problem' in found)
    return end({ now: ended.now, retentionMs: options.retentionMs }, 'not_retryable', found?.problem);
  const state = { target: found.target, count: 0, seen: 0, last: ended.now, state: '' };
  return wait(attempt, { response, state }, options);
}

function ask(
  attempt: PollAttempt,
  { response, reply }: { response: StoredResponse; reply: PolledReply },
  options: DecideOptions,
): PollDecision {
  const { ended, poll, before } = attempt;
  const state = counted(before, stateOf(poll.conditions, reply), ended.now);
  const told = {
    result: state.seen > 1 ? ('unchanged' as const) : ('changed' as const),
    detail: lacksJson(poll.conditions, reply) ? 'the body is not JSON of at most 1 MiB' : undefined,
  };
  if (poll.target === undefined && !ended.repeatable) {
    const times = { now: ended.now, retentionMs: options.retentionMs };
    return { ...end(times, 'not_retryable', NOT_TO_ASK), memo: { poll: state }, ...told };
  }
  return { ...wait(attempt, { response, state }, options), ...told };
}

const NOT_TO_ASK =
  'The reply is not final, and without an idempotency key the request must not be sent again to poll; set durable.poll.target';

function wait(
  { ended: { now, deadlineAt }, poll }: PollAttempt,
  { response, state }: { response: StoredResponse; state: PollState },
  { random, retentionMs }: DecideOptions,
): Decision {
  if (now >= deadlineAt) return { ...end({ now, retentionMs }, 'deadline'), memo: { poll: state } };
  const remaining = deadlineAt - now;
  const asked = retryAfterMs(response.headers, now);
  // "At once" says no more than nothing: asking in a ring helps nobody.
  const waitMs =
    asked !== undefined && asked > 0
      ? askedPollDelayMs(asked, poll.delay, remaining)
      : pollDelayMs(state.count + (state.target === undefined ? 0 : 1), poll.delay, remaining, random);
  const dueAt = Math.min(Math.ceil(now + waitMs), deadlineAt);
  return {
    next: { kind: 'wait', dueAt, reason: 'polling', counts: false, afresh: true },
    waitMs,
    reason: 'polling',
    memo: { previousMs: 0, cost: 1, poll: state },
  };
}

/** The other loop's turn. While polling, the last try is at the deadline whatever the backoff, and nothing follows it. */
function afterError({ ended, judgement, before }: PollAttempt, options: DecideOptions): Decision {
  const decision = decide(ended, judgement, options);
  if (before === undefined) return decision;
  const { now, deadlineAt } = ended;
  if (now < deadlineAt) {
    if (judgement.kind !== 'stop' || judgement.because !== 'deadline') return decision;
    return {
      next: { kind: 'wait', dueAt: deadlineAt, reason: 'backoff', counts: true },
      waitMs: deadlineAt - now,
      reason: 'backoff',
      memo: undefined,
    };
  }
  const stopped = judgement.kind === 'refused' && judgement.error.code === 'draining';
  return decision.next.kind === 'end' || stopped
    ? decision
    : end({ now, retentionMs: options.retentionMs }, 'deadline');
}
