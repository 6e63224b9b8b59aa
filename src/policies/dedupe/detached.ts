import { RecordedBody } from '../../http/bodies/recorded-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import { type RawHeaders, withoutFields } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import { isSettled } from '../../http/status.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Send } from '../../proxy/pipeline.ts';
import { Abort } from '../../runtime/abort.ts';
import type { StoredReply } from './store.ts';

export interface DetachedOptions {
  readonly maxReplyBytes: number;
  readonly memory: ByteBudget;
  readonly retried: ReadonlySet<number>;
  /** Contains the call's signal while the call runs. */
  readonly running: Set<Abort>;
  /** Called once: with the reply if it is final, complete and small enough, otherwise with undefined. */
  readonly onDone: (reply: StoredReply | undefined) => void;
}

/**
 * Sends a call that goes on when its client leaves, as long as its reply may be stored for the client's next try. Every other
 * abort still ends it.
 */
export async function sendDetached(
  next: Send,
  call: Call,
  attempt: Attempt,
  { maxReplyBytes, memory, retried, running, onDone }: DetachedOptions,
): Promise<Reply> {
  const { signal: client } = attempt;
  const work = new Abort();
  let detached = true;
  const follow = () => {
    if (client.aborted && !(detached && hasLeft(client.reason))) work.abort(client.reason as Error);
  };
  // The reply will not be stored, so the client's leaving ends the call again.
  const attach = () => {
    detached = false;
    follow();
    onDone(undefined);
  };
  const ended = () => {
    client.off(follow);
    running.delete(work);
  };
  client.on(follow);
  running.add(work);
  try {
    const reply = await next(call, attempt.with({ signal: work }));
    reply.body.onEnd(ended);
    if (!isFinal(reply, retried)) {
      attach();
      return reply;
    }
    const { status: meaning, statusText, received: status = meaning } = reply;
    const headers = withoutReplayed(reply.headers);
    const body = new RecordedBody(reply.body, {
      maxBytes: maxReplyBytes,
      memory,
      client,
      onDone: (recording) =>
        recording === undefined ? attach() : onDone({ status, statusText, headers, ...recording }),
    });
    return { ...reply, body };
  } catch (error) {
    ended();
    onDone(undefined);
    throw error;
  }
}

const hasLeft = (reason: Error | undefined): boolean =>
  reason instanceof ProxyError && reason.code === 'client_gone';

/** Whether the upstream has processed the request, with or without success, so that a repeat must not be sent. */
function isFinal({ origin, status, classification }: Reply, retried: ReadonlySet<number>): boolean {
  if (origin !== undefined || !isSettled(status) || retried.has(status)) return false;
  return classification === undefined || (classification.kind === undefined && !classification.throttled);
}

/** Removes the upstream's own mark of a replayed reply, because the stored reply gets one when it is replayed. */
function withoutReplayed(headers: RawHeaders): RawHeaders {
  return withoutFields(headers, (name) => name === 'idempotent-replayed');
}
