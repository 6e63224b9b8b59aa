import { headerOf } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import { isUnwell } from '../../http/status.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import { blamesUpstream, isConnectFailure, ProxyError } from '../../proxy/errors.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Breaker } from './breaker.ts';
import type { Permit } from './permit.ts';

export interface CircuitBreakerOptions {
  readonly mode: 'enforce' | 'shadow';
  readonly clock: Clock;
}

/** Refuses attempts with `breaker_open` while `breaker` is open, and reports results to it. Shadow mode only notes refusals. */
export function circuitBreaker(breaker: Breaker, { mode, clock }: CircuitBreakerOptions): Policy {
  const shadow = mode === 'shadow';
  return (next) => async (call, attempt) => {
    const { watch } = attempt;
    const permit = breaker.tryAcquire(clock.now(), probeLeaseMs(watch));
    if (permit === undefined) {
      call.journal.note(shadow ? 'shadow_rejected' : 'rejected', 'breaker_open');
      if (shadow) return next(call, attempt);
      const wait = breaker.retryAfterMs(clock.now());
      throw new ProxyError('breaker_open', 'the circuit breaker is open', { retryAfterMs: wait });
    }
    if (watch !== undefined) {
      watch.probe = permit.probe;
      watch.onSuspected(() => permit.suspect(clock.now(), watch.overtaken));
    }
    let reply: Reply;
    try {
      reply = await next(call, attempt);
    } catch (error) {
      settleError(permit, error, { watch, now: clock.now() });
      throw error;
    }
    settleReply(permit, reply, { attempt, clock });
    return reply;
  };
}

/** A healthy upstream answers a probe within this multiple of the usual time. Otherwise another probe costs it little. */
const LEASE_FACTOR = 2;
const MIN_LEASE_MS = 500;
const MAX_LEASE_MS = 2_000;

function probeLeaseMs(watch: AttemptWatch | undefined): number {
  const usualMs = watch?.expectation.usualMs ?? MAX_LEASE_MS;
  return Math.min(MAX_LEASE_MS, Math.max(MIN_LEASE_MS, LEASE_FACTOR * usualMs));
}

interface AttemptContext {
  readonly watch: AttemptWatch | undefined;
  readonly now: number;
}

/** A bug in this proxy (any error but a ProxyError) does not count against the upstream, and ends a probe. */
function settleError(permit: Permit, error: unknown, { watch, now }: AttemptContext): void {
  if (watch?.saysNothing(error) === true) return permit.ignore(now);
  if (error instanceof ProxyError && (blamesUpstream(error) || watch?.ranOut(error) === true)) {
    permit.fail(now, { connect: isConnectFailure(error) });
  } else {
    permit.ignore(now);
  }
}

function settleReply(
  permit: Permit,
  reply: Reply,
  { attempt, clock }: { attempt: Attempt; clock: Clock },
): void {
  const now = clock.now();
  // A rate limit is about the caller, whatever its status.
  if (isUnwell(reply.status) && reply.classification?.throttled !== true) return permit.fail(now);
  if (reply.committed === true || isOpenEnded(reply)) {
    permit.succeed(now);
    if (reply.committed === true) watchStream(permit, reply, { attempt, clock });
    return;
  }
  permit.answer(now);
  reply.body.onEnd((end) => {
    if (end !== 'broken') permit.succeed(clock.now());
    // After the head, only the client's leaving ends a call on this side. Every other broken body counts against the upstream.
    else if (attempt.signal.aborted) permit.ignore(clock.now());
    else permit.fail(clock.now());
  });
}

/** A stream counts as a success from its first event on, because it may last for hours. One that fails later is corrected. */
function watchStream(
  permit: Permit,
  { body }: Reply,
  { attempt, clock }: { attempt: Attempt; clock: Clock },
): void {
  body.onEnd((end) => {
    if (end === 'failed' || (end === 'broken' && !attempt.signal.aborted)) permit.revoke(clock.now());
  });
}

/** A body of unknown length may be a stream that lasts for hours, so the result cannot wait for its end. */
function isOpenEnded({ headers }: Reply): boolean {
  if (headerOf(headers, 'content-length') === undefined) return true;
  return headerOf(headers, 'content-type')?.toLowerCase().startsWith('text/event-stream') === true;
}
