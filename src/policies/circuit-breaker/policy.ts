import { headerOf } from '../../http/headers.ts';
import { type BodyEnd, isAboutCaller, type Reply } from '../../http/reply.ts';
import { isUnwell } from '../../http/status.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { AttemptWatch, SuspicionListener } from '../../proxy/attempt-watch.ts';
import { blamesUpstream, isConnectFailure, ProxyError } from '../../proxy/errors.ts';
import type { After, Hook } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Breaker } from './breaker.ts';
import type { Permit } from './permit.ts';

export interface CircuitBreakerOptions {
  readonly mode: 'enforce' | 'shadow';
  readonly clock: Clock;
}

/** Refuses attempts with `breaker_open` while `breaker` is open, and reports results to it. Shadow mode only notes refusals. */
export function circuitBreaker(breaker: Breaker, { mode, clock }: CircuitBreakerOptions): Hook {
  return {
    before(call, attempt) {
      const { watch } = attempt;
      const permit = breaker.tryAcquire(clock.now(), probeLeaseMs(watch));
      if (permit !== undefined) return new PermittedAttempt(permit, attempt, clock);
      call.journal.note(mode === 'shadow' ? 'shadow_rejected' : 'rejected', 'breaker_open');
      if (mode === 'shadow') return undefined;
      const wait = breaker.retryAfterMs(clock.now());
      throw new ProxyError('breaker_open', 'the circuit breaker is open', { retryAfterMs: wait });
    },
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

/** Reports the result of an attempt to its permit. */
class PermittedAttempt implements After, SuspicionListener {
  listensAfter: SuspicionListener | undefined = undefined;
  readonly #permit: Permit;
  readonly #attempt: Attempt;
  readonly #clock: Clock;
  /**
   * The effect of the body's end after a good head: it decides the result, or it corrects that of a stream. A stream counts as a
   * success from its first event on, because it may last for hours.
   */
  #body: 'decides' | 'corrects' | undefined;

  constructor(permit: Permit, attempt: Attempt, clock: Clock) {
    this.#permit = permit;
    this.#attempt = attempt;
    this.#clock = clock;
    const { watch } = attempt;
    if (watch === undefined) return;
    watch.probe = permit.probe;
    watch.onSuspected(this);
  }

  suspected({ overtaken }: AttemptWatch): void {
    this.#permit.suspect(this.#clock.now(), overtaken);
  }

  /** A bug in this proxy (any error but a ProxyError) does not count against the upstream, and ends a probe. */
  failed(error: unknown): void {
    const now = this.#clock.now();
    const { watch } = this.#attempt;
    if (watch?.saysNothing(error) === true) return this.#permit.ignore(now);
    if (error instanceof ProxyError && (blamesUpstream(error) || watch?.ranOut(error) === true)) {
      this.#permit.fail(now, { connect: isConnectFailure(error) });
    } else {
      this.#permit.ignore(now);
    }
  }

  replied(reply: Reply): void {
    const now = this.#clock.now();
    // A rate limit or a refused credential is about the caller, whatever its status.
    if (isUnwell(reply.status) && !isAboutCaller(reply)) this.#permit.fail(now);
    else if (reply.committed === true || isOpenEnded(reply)) {
      this.#permit.succeed(now);
      if (reply.committed === true) this.#body = 'corrects';
    } else {
      this.#permit.answer(now);
      this.#body = 'decides';
    }
  }

  ended(end: BodyEnd): void {
    if (this.#body === undefined) return;
    const now = this.#clock.now();
    // After the head, only the client's leaving ends a call on this side. Every other broken body counts against the upstream.
    const left = end === 'broken' && this.#attempt.signal.aborted;
    const failed = end === 'failed' || (end === 'broken' && !left);
    if (this.#body === 'corrects') {
      if (failed) this.#permit.revoke(now);
    } else if (left) this.#permit.ignore(now);
    else if (failed) this.#permit.fail(now);
    else this.#permit.succeed(now);
  }
}

const EVENT_STREAM = /^text\/event-stream/i;

/** A body of unknown length may be a stream that lasts for hours, so the result cannot wait for its end. */
function isOpenEnded({ headers }: Reply): boolean {
  if (headerOf(headers, 'content-length') === undefined) return true;
  return EVENT_STREAM.test(headerOf(headers, 'content-type') ?? '');
}
