import { type BodyEnd, isFailedEnd, type Reply } from '../../http/reply.ts';
import { isFailing } from '../../http/status.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { AttemptWatch, SuspicionListener } from '../../proxy/attempt-watch.ts';
import type { Call } from '../../proxy/call.ts';
import { isOverdue, ProxyError } from '../../proxy/errors.ts';
import type { After, Hook } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ConcurrencyLimit, Evidence } from './limit.ts';
import { Permit, Permits, type PermitsOptions } from './permits.ts';
import { SlowUpload } from './slow-upload.ts';

/**
 * Admits as many attempts as `limit` allows. Others wait briefly, or are refused with `concurrency_limit`. A permit represents work
 * of the upstream: it is held until the reply has ended, or the attempt seems to hang. A slow client must not block others:
 *
 * - Its reply is not read: the permit is released, because the upstream has answered.
 * - Its upload is slow: the permit is lent to other attempts, and must be regained before the upload ends. A gRPC stream keeps its
 *   permit: its upstream handles each message as it arrives, and a refusal at the end would waste that work.
 */
export function concurrencyLimit(limit: ConcurrencyLimit, options: PermitsOptions): Hook {
  const permits = new Permits(limit, options);
  const { clock } = options;
  const admit = (call: Call, attempt: Attempt) => new AdmittedAttempt(permits, call, attempt, clock);
  const admitLater = async (wait: Promise<void>, call: Call, attempt: Attempt) => {
    await wait;
    return admit(call, attempt);
  };
  return {
    before(call, attempt) {
      const wait = permits.acquire(call, attempt, false);
      return wait === undefined ? admit(call, attempt) : admitLater(wait, call, attempt);
    },
  };
}

/** Holds the permit of an attempt for as long as the upstream works. */
class AdmittedAttempt extends Permit implements After, SuspicionListener {
  listensAfter: SuspicionListener | undefined = undefined;
  readonly #watch: AttemptWatch | undefined;
  readonly #upload: SlowUpload | undefined;
  #status = 0;

  constructor(permits: Permits, call: Call, attempt: Attempt, clock: Clock) {
    super(permits, call, attempt, clock);
    this.#watch = attempt.watch;
    this.#watch?.onSuspected(this);
    const lends = call.body.arriving && call.grpc === undefined;
    this.#upload = lends ? this.#slowUpload(call, clock) : undefined;
    attempt.upload = this.#upload;
  }

  #slowUpload(call: Call, clock: Clock): SlowUpload {
    return new SlowUpload(call, { clock, onSlow: () => this.lend(), mayEnd: () => this.regain() });
  }

  /** A suspected attempt releases its permit at once, so that no other attempt waits for it. */
  suspected({ overtaken }: AttemptWatch): void {
    this.release(overtaken ? 'ignored' : 'overload');
  }

  replied({ status }: Reply): void {
    this.#status = status;
    this.answered();
    this.#upload?.dispose();
  }

  failed(error: unknown): void {
    this.release(errorEvidence(error, this.#watch));
    this.#upload?.dispose();
  }

  heldBack(): void {
    this.release(replyEvidence(this.#status, 'complete'));
  }

  ended(end: BodyEnd): void {
    this.release(replyEvidence(this.#status, end));
  }
}

/** A broken body is no sign of load. A 429 is a failure here. */
function replyEvidence(status: number, end: BodyEnd): Evidence {
  if (end === 'broken') return 'ignored';
  return isFailedEnd(end) || isFailing(status) ? 'failure' : 'success';
}

/** Only an attempt that ran out of time is a sign of overload. A fast failure did not wait for the upstream. */
function errorEvidence(error: unknown, watch: AttemptWatch | undefined): Evidence {
  if (!(error instanceof ProxyError)) return 'ignored';
  // A stream stalls at random too. If a later attempt was answered, the upstream has capacity.
  if (error.code === 'first_event_timeout') return watch?.overtaken === true ? 'ignored' : 'overload';
  return isOverdue(error) || watch?.ranOut(error) === true ? 'overload' : 'ignored';
}
