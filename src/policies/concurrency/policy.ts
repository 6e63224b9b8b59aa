import type { BodyEnd } from '../../http/reply.ts';
import { isFailing } from '../../http/status.ts';
import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import type { ConcurrencyLimit, Evidence } from './limit.ts';
import { Permit, Permits, type PermitsOptions } from './permits.ts';
import { SlowUpload } from './slow-upload.ts';

/**
 * Lets as many attempts through as `limit` allows, lets some wait for a moment and refuses the others.
 * A permit stands for the upstream's work. It is held until the reply's body has ended, until the attempt is suspected to
 * hang, or while the client lets the upstream wait: a slow client must keep no other client out.
 *
 * - A client that does not read the reply: the permit is given back for good, because the upstream has answered.
 * - A client that is slow to upload: the permit is lent to others, and has to be regained before the upload ends.
 */
export function concurrencyLimit(limit: ConcurrencyLimit, options: PermitsOptions): Policy {
  const permits = new Permits(limit, options);
  const { clock } = options;

  return (next) => async (call, attempt) => {
    const { watch } = attempt;
    const turn = permits.acquire(call, attempt, false);
    if (turn !== undefined) await turn;
    const permit = new Permit(permits, call, attempt, clock);
    // Its permit comes back at once: whatever the upstream still does for it, no other attempt should wait for that.
    watch?.onSuspected(() => permit.release(watch.overtaken ? 'ignored' : 'overload'));
    const upload = call.body.arriving
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
