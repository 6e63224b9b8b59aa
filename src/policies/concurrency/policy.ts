import type { BodyEnd } from '../../http/reply.ts';
import { isFailing } from '../../http/status.ts';
import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import { isOverdue, ProxyError } from '../../proxy/errors.ts';
import type { Policy } from '../../proxy/pipeline.ts';
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
export function concurrencyLimit(limit: ConcurrencyLimit, options: PermitsOptions): Policy {
  const permits = new Permits(limit, options);
  const { clock } = options;

  return (next) => async (call, attempt) => {
    const { watch } = attempt;
    const wait = permits.acquire(call, attempt, false);
    if (wait !== undefined) await wait;
    const permit = new Permit(permits, call, attempt, clock);
    // A suspected attempt releases its permit at once, so that no other attempt waits for it.
    watch?.onSuspected(() => permit.release(watch.overtaken ? 'ignored' : 'overload'));
    const lends = call.body.arriving && call.grpc === undefined;
    const upload = lends
      ? new SlowUpload(call, { clock, onSlow: () => permit.lend(), mayEnd: () => permit.regain() })
      : undefined;
    try {
      const reply = await next(upload === undefined ? call : { ...call, body: upload }, attempt);
      permit.answered();
      const { body, status } = reply;
      body.onHeldBack?.(() => permit.release(replyEvidence(status, 'complete')));
      body.onEnd((end) => permit.release(replyEvidence(status, end)));
      return reply;
    } catch (error) {
      permit.release(errorEvidence(error, watch));
      throw error;
    } finally {
      upload?.dispose();
    }
  };
}

/** A broken body is no sign of load. A 429 is a failure here. */
function replyEvidence(status: number, end: BodyEnd): Evidence {
  if (end === 'broken') return 'ignored';
  return end === 'failed' || isFailing(status) ? 'failure' : 'success';
}

/** Only an attempt that ran out of time is a sign of overload. A fast failure did not wait for the upstream. */
function errorEvidence(error: unknown, watch: AttemptWatch | undefined): Evidence {
  if (!(error instanceof ProxyError)) return 'ignored';
  return isOverdue(error) || watch?.ranOut(error) === true ? 'overload' : 'ignored';
}
