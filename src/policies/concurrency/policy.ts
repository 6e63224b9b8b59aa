import type { BodyEnd } from '../../http/reply.ts';
import { isFailing } from '../../http/status.ts';
import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import { type Call, clientOf } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { FairQueue } from '../../runtime/fair-queue.ts';
import type { ConcurrencyLimit, Evidence } from './limit.ts';

/** A wait in the queue is at most this share of the time left, so that what follows it still has a chance. */
const DEADLINE_SHARE = 0.1;

/** What a refused caller is told. Nobody knows when a permit comes back; this is longer than most are held. */
const RETRY_AFTER_MS = 1_000;

/** A call that waits for a permit. */
interface Waiter {
  /** On the clock's scale; from this moment on it is not admitted. */
  readonly leaveBy: number;
  /** Hands it a permit. */
  readonly admit: () => void;
  /** It loses its place. */
  readonly refuse: () => void;
}

/** Where the calls wait that share a limit. */
export type PermitQueue = FairQueue<Waiter>;

export function permitQueue(capacity: number): PermitQueue {
  return new FairQueue({ capacity, order: 'adaptive', evict: ({ refuse }) => refuse() });
}

export interface ConcurrencyLimitOptions {
  /** Shared by all that share the limit: an attempt that ends lets in one that waits. */
  readonly queue: PermitQueue;
  /** Longest wait for a permit. */
  readonly waitMs: number;
  readonly clock: Clock;
}

/**
 * Lets as many attempts through as `limit` allows, has a few wait for a moment and refuses the rest.
 * A permit stands for the upstream's work. It is held until the reply's body has ended, until the attempt is suspected to
 * hang, or until the client holds the body back: a client that does not read must keep nobody out.
 */
export function concurrencyLimit(limit: ConcurrencyLimit, options: ConcurrencyLimitOptions): Policy {
  const { queue, clock } = options;

  return (next) => async (call) => {
    const { watch } = call;
    if (watch?.probe === true) limit.acquireReserved();
    else if (!limit.tryAcquire()) await waitForPermit(call, limit, options);
    const startedAt = clock.now();
    const amid = limit.inFlight;
    let held = true;
    // Its permit comes back at once: whatever the upstream still does for it, nobody else should wait for that.
    watch?.onSuspected(() => release('overload', clock.now() - startedAt));
    try {
      const reply = await next(call);
      const latencyMs = clock.now() - startedAt;
      reply.body.onHeldBack?.(() => release(replyEvidence(reply.status, 'complete'), latencyMs));
      reply.body.onEnd((end) => release(replyEvidence(reply.status, end), latencyMs));
      return reply;
    } catch (error) {
      release(errorEvidence(error, watch), clock.now() - startedAt);
      throw error;
    }

    function release(evidence: Evidence, latencyMs: number): void {
      if (!held) return;
      held = false;
      // A probe says whether the upstream is well, and not what it can bear.
      give(watch?.probe === true && evidence === 'overload' ? 'ignored' : evidence, latencyMs, amid);
    }
  };

  function give(evidence: Evidence, latencyMs: number, amid: number): void {
    const now = clock.now();
    limit.release(evidence, latencyMs, now, amid);
    while (queue.size > 0 && limit.tryAcquire()) {
      // A timer that is late has left some in the queue whose time is over.
      const waiter = queue.shift(({ leaveBy }) => (now < leaveBy ? 'yes' : 'no'));
      if (waiter === undefined) return void limit.release('ignored', 0, now);
      waiter.admit();
    }
  }
}

/** Resolves once a permit is held: taken, for the one who waits, by the one who leaves. Rejects without one. */
function waitForPermit(
  call: Call,
  limit: ConcurrencyLimit,
  { queue, waitMs, clock }: ConcurrencyLimitOptions,
): Promise<void> {
  const since = clock.now();
  const patienceMs = Math.min(waitMs, DEADLINE_SHARE * (call.deadline - since));
  return new Promise((resolve, reject) => {
    if (call.signal.aborted) return reject(call.signal.reason);
    const waiter = { leaveBy: since + patienceMs, admit: onAdmit, refuse: onEvicted };
    const place = patienceMs > 0 ? queue.push(clientOf(call), waiter, false) : undefined;
    if (place === undefined) return reject(refused(call));
    const timer = clock.timer(patienceMs, onTimeout);
    call.signal.on(onAbort);

    function onAdmit(): void {
      stopWaiting();
      resolve();
    }
    function onEvicted(): void {
      stopWaiting();
      reject(refused(call));
    }
    function onTimeout(): void {
      stopWaiting();
      if (limit.tryExtend(since)) resolve();
      else reject(refused(call));
    }
    function onAbort(): void {
      stopWaiting();
      reject(abortReason(call));
    }
    function stopWaiting(): void {
      timer.cancel();
      if (place !== undefined) queue.remove(place);
      call.signal.off(onAbort);
      call.report({ type: 'queued', waitMs: clock.now() - since });
    }
  });
}

/** A deadline that passes in our queue is our doing: nobody further out may take it for a slow upstream. */
function abortReason(call: Call): unknown {
  const reason = call.signal.reason;
  return reason instanceof ProxyError && reason.code === 'deadline_exceeded' ? refused(call) : reason;
}

function refused(call: Call): ProxyError {
  call.report({ type: 'rejected', reason: 'concurrency_limit', shadow: false });
  return new ProxyError('concurrency_limit', 'too many calls to this upstream', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

/** A reply that is cut says nothing about load, whoever cut it; a 429 is a success for nobody. */
function replyEvidence(status: number, end: BodyEnd): Evidence {
  if (end === 'broken') return 'ignored';
  return isFailing(status) ? 'failure' : 'success';
}

/** Only running out of time is a sign of overload. Whatever fails fast has not waited for anything. */
function errorEvidence(error: unknown, watch: AttemptWatch | undefined): Evidence {
  if (!(error instanceof ProxyError)) return 'ignored';
  return error.code === 'attempt_timeout' || watch?.ranOut(error) === true ? 'overload' : 'ignored';
}
