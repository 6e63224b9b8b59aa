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
import type { SharedKeys, SharedStanding } from './shared-keys.ts';
import type { Identity, DedupeStore, StoredReply } from './store.ts';

/** The state of deduplication that calls share. */
export interface DedupeState {
  readonly store: DedupeStore;
  readonly secret: Buffer;
  /** The keys and replies of all replicas; undefined: nothing is shared. */
  readonly shared: SharedKeys | undefined;
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
  const { store, release } = deps;
  const identity = identityOf(call, body, deps);
  for (;;) {
    const standing = store.claim(identity);
    switch (standing.kind) {
      case 'first':
        return sendFirst(next, call, identity, deps);
      case 'stored':
        call.journal.note('dedupe', 'replayed');
        release();
        return replayOf(standing.reply);
      case 'other_payload':
        throw otherPayload(call);
      case 'running':
        await untilFinished(identity, call, deps);
    }
  }
}

/** Sends the request, unless another replica has sent an equal one. */
async function sendFirst(next: Send, call: Call, identity: Identity, deps: Answering): Promise<Reply> {
  const { attempt, release, shared, store } = deps;
  const found = shared && (await claimShared(shared, identity, call, deps));
  if (found?.kind === 'other_payload') throw otherPayload(call);
  if (found?.kind === 'stored') {
    call.journal.note('dedupe', 'replayed');
    release();
    return replayOf(found.reply);
  }
  call.journal.note('dedupe', 'first');
  if (found?.claim.confirmed === false) call.journal.note('dedupe_unshared', 'store_away');
  return sendDetached(next, call, attempt, {
    ...deps,
    onDone: (reply) => {
      release();
      if (found === undefined) store.finish(identity, reply);
      else void found.claim.end(reply).then((counts) => store.finish(identity, counts));
    },
  });
}

/** Claims the key for all replicas. If another one has answered or refused the request, the local claim is finished. */
async function claimShared(
  shared: SharedKeys,
  identity: Identity,
  call: Call,
  deps: Answering,
): Promise<SharedStanding> {
  const { attempt, store } = deps;
  let found: SharedStanding | undefined;
  try {
    found = await untilDeadline(call, deps, (signal) => shared.claim(identity, signal));
    if (attempt.signal.aborted) throw attempt.signal.reason;
  } catch (error) {
    store.finish(identity, undefined);
    if (found?.kind === 'first') void found.claim.end(undefined);
    throw error;
  }
  if (found.kind === 'stored') store.finish(identity, found.reply, found.leftMs);
  if (found.kind === 'other_payload') store.finish(identity, undefined);
  return found;
}

/** Waits for the equal request that is running in this replica. */
async function untilFinished(identity: Identity, call: Call, deps: Answering): Promise<void> {
  const { store } = deps;
  await untilDeadline(
    call,
    deps,
    (signal) =>
      new Promise<void>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const onFinish = () => {
          signal.off(onAbort);
          resolve();
        };
        const onAbort = () => {
          store.offFinish(identity, onFinish);
          reject(signal.reason);
        };
        store.onFinish(identity, onFinish);
        signal.on(onAbort);
      }),
  );
}

/** Waits for an equal request that is running, until the deadline at most. */
async function untilDeadline<T>(
  call: Call,
  { attempt, clock }: Answering,
  waiting: (signal: Abort) => Promise<T>,
): Promise<T> {
  const end = new Abort(attempt.signal);
  const sleep = new Abort();
  clock.sleep(Math.max(0, attempt.deadline - clock.now()), sleep).then(
    () => end.abort(TOO_LONG),
    () => undefined,
  );
  try {
    return await waiting(end);
  } catch (reason) {
    if (reason !== TOO_LONG) throw reason;
    call.journal.note('dedupe', 'in_use');
    throw new ProxyError(
      'idempotency_key_in_use',
      'the first request with this idempotency key is still running; retry later to get its reply',
      { retryAfterMs: ASK_AGAIN_MS },
    );
  } finally {
    sleep.abort(TOO_LONG);
  }
}

function otherPayload({ journal }: Call): ProxyError {
  journal.note('dedupe', 'other_payload');
  return new ProxyError(
    'idempotency_key_reused',
    'this idempotency key was already used for a request with another method, target or body',
  );
}

/** Ends a wait. It never leaves this module. */
const TOO_LONG = new Error('the deadline has passed');

/** The stored reply, marked as replayed. */
function replayOf({ status, statusText, headers, chunks, trailers }: StoredReply): Reply {
  return {
    status,
    statusText,
    headers: [...headers, 'Idempotent-Replayed', 'true'],
    body: new MemoryBody(chunks, trailers),
  };
}
