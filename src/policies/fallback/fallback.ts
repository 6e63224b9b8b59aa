import { BufferedReply } from '../../http/bodies/buffered-reply.ts';
import { MemoryBody } from '../../http/bodies/memory-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import { isIdempotent } from '../../http/methods.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { failsOver, ProxyError } from '../../proxy/errors.ts';
import type { FallbackResult } from '../../proxy/notes.ts';
import { type Outcome, type Wrapper, type Send, settle, unwrap } from '../../proxy/pipeline.ts';
import { withTimeout } from '../../proxy/with-timeout.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type FallbackOptions, type FallbackUpstream, type StaticReply, staticHeaders } from './options.ts';

export interface FallbackDeps {
  readonly clock: Clock;
  /** Bounds the memory of failed replies that are buffered while the fallback runs. */
  readonly memory: ByteBudget;
  /** Sends a call to the fallback upstream, rewritten for it. */
  readonly send: Send;
}

/** Answers a call that has finally failed: with another upstream, or with a configured reply. */
export function fallback(options: FallbackOptions, deps: FallbackDeps): Wrapper {
  const { to, statuses } = options;
  const failed = (outcome: Outcome): boolean =>
    outcome.kind === 'reply' ? statuses.has(outcome.reply.status) : failsOver(outcome.error);
  if ('status' in to) return staticFallback(to, failed);

  return (next) => async (call, attempt) => {
    let reached = false;
    const onReached = () => {
      reached = true;
    };
    const outcome = await first(next, call, attempt.with({ onReached }), {
      reserve: to.reserve,
      clock: deps.clock,
    });
    if (!failed(outcome)) return unwrap(outcome);
    const safe = to.unsafe || isSafeElsewhere(outcome, call, to, reached);
    const refusal = safe ? whyNot(call, attempt, deps.clock.now()) : 'not_idempotent';
    if (refusal === undefined) return second(outcome, call, attempt);
    call.journal.note('fallback', refusal);
    return unwrap(outcome);
  };

  /** The reply of the fallback upstream, or the first upstream's outcome if both fail. */
  async function second(outcome: Outcome, call: Call, attempt: Attempt): Promise<Reply> {
    // Frees the first upstream's connection.
    const buffered = outcome.kind === 'reply' ? new BufferedReply(outcome.reply, deps.memory) : undefined;
    try {
      const other = await settle(deps.send, call, attempt);
      const answered = other.kind === 'reply' && !failed(other);
      const { upstream } = to as FallbackUpstream;
      if (answered) call.journal.note('fallback_to', upstream);
      call.journal.note('fallback', answered ? 'answered' : 'failed');
      return answered ? { ...other.reply, origin: 'fallback' } : lastWord(outcome, buffered, other);
    } finally {
      buffered?.drop();
    }
  }
}

/** After both failed: the first upstream's error or buffered reply, because the call was meant for it; otherwise the other's. */
function lastWord(outcome: Outcome, buffered: BufferedReply | undefined, other: Outcome): Reply {
  if (outcome.kind === 'error') {
    if (other.kind === 'reply') other.reply.body.discard();
    throw outcome.error;
  }
  const reply = buffered?.take();
  if (reply === undefined) return unwrap(other);
  if (other.kind === 'reply') other.reply.body.discard();
  return reply;
}

function staticFallback(to: StaticReply, failed: (outcome: Outcome) => boolean): Wrapper {
  const headers = staticHeaders(to);
  const chunks = to.body === '' ? [] : [Buffer.from(to.body)];
  return (next) => async (call, attempt) => {
    // A configured reply is not a gRPC message.
    if (call.grpc !== undefined) return next(call, attempt);
    const outcome = await settle(next, call, attempt);
    if (!failed(outcome)) return unwrap(outcome);
    if (outcome.kind === 'reply') outcome.reply.body.discard();
    call.journal.note('fallback', 'answered');
    const body = new MemoryBody(chunks);
    return { status: to.status, statusText: '', headers, body, origin: 'fallback' };
  };
}

/** The first upstream's outcome, within the time that is not reserved for the fallback. */
function first(
  next: Send,
  call: Call,
  attempt: Attempt,
  { reserve, clock }: { readonly reserve: number; readonly clock: Clock },
): Promise<Outcome> {
  const ms = (attempt.deadline - clock.now()) * (1 - reserve);
  const early = attempt.with({ deadline: clock.now() + ms, interims: undefined });
  const error = () =>
    new ProxyError('deadline_exceeded', 'no response headers before the time reserved for the fallback', {
      sent: 'sent_unknown',
    });
  return settle((sent, timed) => withTimeout(next, sent, timed, { clock, ms, error }), call, early);
}

function whyNot(call: Call, { deadline, signal }: Attempt, now: number): FallbackResult | undefined {
  if (!call.body.replayable) return 'body_not_replayable';
  return signal.aborted || now >= deadline ? 'deadline' : undefined;
}

/** As `isRepeatable`, without idempotency keys, which only one upstream knows. */
function isHarmless({ method, overrides, safe, upgrade }: Call): boolean {
  return upgrade === undefined && (overrides?.idempotent ?? (safe === true || isIdempotent(method)));
}

/**
 * Whether the call may be processed by both upstreams. An idempotency key does not help, because neither upstream knows the
 * other's keys.
 */
function isSafeElsewhere(outcome: Outcome, call: Call, to: FallbackUpstream, reached: boolean): boolean {
  if (isHarmless(call) || !reached) return true;
  // Without a key, only a reply of this kind, or a failure before sending, is retried. So it holds for every attempt.
  if (outcome.kind === 'error' || call.idempotencyKey !== undefined) return false;
  const { status, classification } = outcome.reply;
  return classification?.kind === 'not_processed' || to.notProcessed.has(status);
}
