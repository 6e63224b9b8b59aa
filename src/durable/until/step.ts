import { retryAfterMs } from '../../http/retry-after.ts';
import type { DurableEvent } from '../../proxy/events.ts';
import { type DecideOptions, type Decision, decide, end } from '../decision.ts';
import type { StoredResponse } from '../job.ts';
import type { AttemptResult, Classification } from '../route.ts';
import { evaluate, type PolledReply } from './condition.ts';
import { askedPollDelayMs, pollDelayMs } from './delay.ts';
import { lacksJson, polledReply, stateOf } from './observe.ts';
import type { PollOptions } from './options.ts';
import { counted, type PollState } from './state.ts';
import { type Submitted, targetOf } from './target.ts';

/** An attempt that has ended. */
export interface AttemptFacts {
  readonly result: AttemptResult;
  /** By the retry rules of the route. */
  readonly classification: Classification;
  readonly response: StoredResponse | undefined;
  /** Undefined if every successful reply is final. */
  readonly poll: PollOptions | undefined;
  /** Undefined before the first successful reply. */
  readonly before: PollState | undefined;
  /** Undefined if polls repeat the request itself. */
  readonly submitted: Submitted | undefined;
  /** The target of the upstream that the attempt went to; undefined if it has none. */
  readonly targetName: string | undefined;
}

type PollAttempt = AttemptFacts & { readonly poll: PollOptions };

type PollResult = Extract<DurableEvent, { type: 'durable_polled' }>['result'];

export interface PollDecision extends Decision {
  /** The result of a poll. Undefined without a reply. */
  readonly pollResult?: PollResult | undefined;
  /** The defect of a successful reply, such as a body that is not JSON. */
  readonly detail?: string | undefined;
}

/** The decision after an attempt, with or without polling. */
export function afterAttempt(facts: AttemptFacts, options: DecideOptions): PollDecision {
  const { poll } = facts;
  if (poll === undefined) return decide(facts.result, facts.classification, options);
  return afterPoll({ ...facts, poll }, options);
}

/**
 * With polling there are two separate loops. Errors go to the retry rules, whose count restarts after each successful
 * reply. Successful replies are polls, which only the deadline limits.
 */
function afterPoll(attempt: PollAttempt, options: DecideOptions): PollDecision {
  const { result, classification, response, poll, before } = attempt;
  const good = classification.kind === 'success';
  if (poll.target !== undefined && before === undefined)
    return good && response !== undefined
      ? startPolling(attempt, response, options)
      : decide(result, classification, options);
  if (response === undefined) return afterError(attempt, options);
  const reply = polledReply(response, poll.conditions, !good);
  const evaluated = evaluate(poll.conditions, reply);
  if (evaluated.kind === 'pending')
    return good ? continuePolling(attempt, { response, reply }, options) : afterError(attempt, options);
  const state = counted(before, stateOf(poll.conditions, reply), sourceOf(attempt));
  const runnerState = { poll: { ...state, over: true as const } };
  const times = { now: result.now, retentionMs: options.retentionMs };
  if (evaluated.kind === 'success') return { ...end(times, 'succeeded'), runnerState, pollResult: 'success' };
  const why = evaluated.message && `The reply reports a failure: ${evaluated.message}`;
  return { ...end(times, 'condition_failed', why), runnerState, pollResult: 'failure' };
}

/** The upstream has accepted the request: from now on its result is polled, and the request is never sent again. */
function startPolling(attempt: PollAttempt, response: StoredResponse, options: DecideOptions): PollDecision {
  const { result, poll, submitted, targetName } = attempt;
  const found = poll.target && submitted && targetOf(poll.target, response, submitted);
  if (found === undefined || 'problem' in found)
    return end({ now: result.now, retentionMs: options.retentionMs }, 'not_retryable', found?.problem);
  const state = { target: found.target, targetName, count: 0, seen: 0, last: result.now, state: '' };
  return scheduleNextPoll(attempt, { response, state }, options);
}

function continuePolling(
  attempt: PollAttempt,
  { response, reply }: { response: StoredResponse; reply: PolledReply },
  options: DecideOptions,
): PollDecision {
  const { result, poll, before } = attempt;
  const state = counted(before, stateOf(poll.conditions, reply), sourceOf(attempt));
  const shown = {
    pollResult: state.seen > 1 ? ('unchanged' as const) : ('changed' as const),
    detail: lacksJson(poll.conditions, reply) ? 'the body is not JSON of at most 1 MiB' : undefined,
  };
  if (poll.target === undefined && !result.repeatable) {
    const times = { now: result.now, retentionMs: options.retentionMs };
    return { ...end(times, 'not_retryable', CANNOT_POLL), runnerState: { poll: state }, ...shown };
  }
  return { ...scheduleNextPoll(attempt, { response, state }, options), ...shown };
}

const sourceOf = ({ result: { now }, targetName }: PollAttempt) => ({ now, targetName });

const CANNOT_POLL =
  'The reply is not final, and without an idempotency key the request must not be sent again to poll; set durable.poll.target';

function scheduleNextPoll(
  { result: { now, deadlineAt }, poll }: PollAttempt,
  { response, state }: { response: StoredResponse; state: PollState },
  { random, retentionMs }: DecideOptions,
): Decision {
  if (now >= deadlineAt) return { ...end({ now, retentionMs }, 'deadline'), runnerState: { poll: state } };
  const remaining = deadlineAt - now;
  const asked = retryAfterMs(response.headers, now);
  // "Retry-After: 0" is ignored, because polling without a wait helps no one.
  const waitMs =
    asked !== undefined && asked > 0
      ? askedPollDelayMs(asked, poll.delay, remaining)
      : pollDelayMs(state.count + (state.target === undefined ? 0 : 1), poll.delay, remaining, random);
  const dueAt = Math.min(Math.ceil(now + waitMs), deadlineAt);
  return {
    next: { kind: 'wait', dueAt, reason: 'polling', counts: false, resetsCount: true },
    waitMs,
    reason: 'polling',
    runnerState: { previousMs: 0, cost: 1, poll: state },
  };
}

/**
 * The retry loop. While polling, the last attempt is at the deadline, whatever the backoff, and nothing follows it.
 */
function afterError({ result, classification, before }: PollAttempt, options: DecideOptions): Decision {
  const decision = decide(result, classification, options);
  if (before === undefined) return decision;
  const { now, deadlineAt } = result;
  if (now < deadlineAt) {
    if (classification.kind !== 'stop' || classification.because !== 'deadline') return decision;
    return {
      next: { kind: 'wait', dueAt: deadlineAt, reason: 'backoff', counts: true },
      waitMs: deadlineAt - now,
      reason: 'backoff',
      runnerState: undefined,
    };
  }
  const stopped = classification.kind === 'refused' && classification.error.code === 'draining';
  return decision.next.kind === 'end' || stopped
    ? decision
    : end({ now, retentionMs: options.retentionMs }, 'deadline');
}
