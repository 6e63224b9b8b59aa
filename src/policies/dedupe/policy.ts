import { MemoryBody } from '../../http/bodies/memory-body.ts';
import { wholeBody } from '../../http/bodies/request-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { CredentialNames } from '../../http/credentials.ts';
import { isGrpc } from '../../http/grpc.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Wrapper, Send } from '../../proxy/pipeline.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import { sendDetached } from './detached.ts';
import { identityOf } from './identity.ts';
import type { Identity, DedupeStore, StoredReply } from './store.ts';

/** The state of deduplication that calls share. */
export interface DedupeState {
  readonly store: DedupeStore;
  readonly secret: Buffer;
  /** Signals of running calls, also of those whose client has left. A shutdown aborts them. */
  readonly running: Set<Abort>;
}

export interface DedupeDeps extends DedupeState {
  readonly clock: Clock;
  /** Bounds the memory of buffered request bodies. */
  readonly memory: ByteBudget;
  readonly maxReplyBytes: number;
  /** The headers that identify a caller. */
  readonly names: CredentialNames;
  /** Identifies the account of a credential that the proxy adds. */
  readonly account?: readonly string[];
  /** Statuses that are retried, so they are not final. */
  readonly retried: ReadonlySet<number>;
}

/** The Retry-After of a repeat whose first request is still running. */
const ASK_AGAIN_MS = 1_000;

/**
 * Sends equal requests under one idempotency key once. The first is sent; repeats wait for its reply while it runs, and get the
 * stored reply later. It goes on when its client leaves, because that client will repeat it.
 *
 * Only a client's own keys count, because a key made here never comes again. gRPC is excluded: its errors come in trailers.
 * Throws `idempotency_key_reused` and `idempotency_key_in_use`.
 */
export function dedupe(deps: DedupeDeps): Wrapper {
  return (next) => async (call, attempt) => {
    if (call.keyedByClient !== true || call.upgrade !== undefined || isGrpc(call.headers))
      return next(call, attempt);
    const body = await call.body.whole();
    if (attempt.signal.aborted) throw attempt.signal.reason;
    const bytes = body?.reduce((sum, chunk) => sum + chunk.length, 0) ?? 0;
    if (body === undefined || !deps.memory.tryTake(bytes)) {
      call.journal.note('dedupe', 'body_not_buffered');
      return next(call, attempt);
    }
    let held = true;
    const release = () => {
      if (held) deps.memory.give(bytes);
      held = false;
    };
    try {
      return await answer(next, { ...call, body: wholeBody(body, call.body) }, body, {
        ...deps,
        attempt,
        release,
      });
    } catch (error) {
      release();
      throw error;
    }
  };
}

interface Answering extends DedupeDeps {
  readonly attempt: Attempt;
  readonly release: () => void;
}

async function answer(next: Send, call: Call, body: readonly Buffer[], deps: Answering): Promise<Reply> {
  const { attempt, store, release } = deps;
  const identity = identityOf(call, body, deps);
  for (;;) {
    const standing = store.claim(identity);
    switch (standing.kind) {
      case 'first':
        call.journal.note('dedupe', 'first');
        return sendDetached(next, call, attempt, {
          ...deps,
          onDone: (reply) => {
            store.finish(identity, reply);
            release();
          },
        });
      case 'stored':
        call.journal.note('dedupe', 'replayed');
        release();
        return replayOf(standing.reply);
      case 'other_payload':
        call.journal.note('dedupe', 'other_payload');
        throw new ProxyError(
          'idempotency_key_reused',
          'this idempotency key was already used for a request with another method, target or body',
        );
      case 'running':
        await untilFinished(identity, call, deps);
    }
  }
}

/** Waits for the equal request that is running, until the deadline at most. */
async function untilFinished(
  identity: Identity,
  call: Call,
  { attempt, store, clock }: Answering,
): Promise<void> {
  const wake = new Abort(attempt.signal);
  const onFinish = () => wake.abort(FINISHED);
  store.onFinish(identity, onFinish);
  try {
    await clock.sleep(Math.max(0, attempt.deadline - clock.now()), wake);
  } catch (reason) {
    if (reason === FINISHED) return;
    throw reason;
  } finally {
    store.offFinish(identity, onFinish);
  }
  call.journal.note('dedupe', 'in_use');
  throw new ProxyError(
    'idempotency_key_in_use',
    'the first request with this idempotency key is still running; retry later to get its reply',
    { retryAfterMs: ASK_AGAIN_MS },
  );
}

/** Ends a wait. It never leaves this module. */
const FINISHED = new Error('the first request has ended');

/** The stored reply, marked as replayed. */
function replayOf({ status, statusText, headers, chunks, trailers }: StoredReply): Reply {
  return {
    status,
    statusText,
    headers: [...headers, 'Idempotent-Replayed', 'true'],
    body: new MemoryBody(chunks, trailers),
  };
}
