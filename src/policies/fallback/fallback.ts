import { BufferedReply } from '../../http/bodies/buffered-reply.ts';
import { MemoryBody } from '../../http/bodies/memory-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import { isIdempotent } from '../../http/methods.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { failsOver, ProxyError } from '../../proxy/errors.ts';
import type { FallbackResult } from '../../proxy/notes.ts';
import {
  type Dispatch,
  type Outcome,
  type Receiver,
  type Relay,
  type Send,
  sendBy,
  settle,
  unwrap,
} from '../../proxy/pipeline.ts';
import type { Route } from '../../proxy/route.ts';
import { sendWithin } from '../../proxy/time-limit.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type FallbackOptions, type FallbackUpstream, type StaticReply, staticHeaders } from './options.ts';

/** A call as another upstream gets it, and the route there. */
export interface Forwarded {
  readonly call: Call;
  readonly route: Pick<Route, 'dispatch' | 'totalTimeoutMs' | 'notProcessed'>;
}

/** Rewrites a call for a fallback upstream. Throws a ProxyError if that upstream has no route for it. */
type Forward = (call: Call) => Forwarded;

export interface FallbackDeps {
  readonly clock: Clock;
  /** Bounds the memory of failed replies that are buffered while the fallback runs. */
  readonly memory: ByteBudget;
  /** Statuses by which the first upstream reports that it processed nothing. */
  readonly notProcessed: ReadonlySet<number>;
  readonly forward: (to: FallbackUpstream) => Forward;
}

/** The outcome of a call at one upstream. */
interface Asked {
  readonly outcome: Outcome;
  /** The upstream may have processed the call. */
  readonly processed: boolean;
}

/** Answers a call that has finally failed: with other upstreams in turn, then with a configured reply. */
export function fallback(options: FallbackOptions, deps: FallbackDeps): Relay {
  const others = options.upstreams.length === 0 ? undefined : new Others(options, deps);
  const context = { options, deps, others, reply: options.reply && staticReply(options.reply) };
  return {
    relay: (next) => {
      const send = others === undefined ? next : early(next, options.reserve, deps.clock);
      return (call, attempt, receiver) => {
        const first = new FirstUpstream(call, attempt, receiver, context);
        send(call, attempt.with({ onReached: () => first.onReached() }), first);
      };
    },
  };
}

interface FallbackContext {
  readonly options: FallbackOptions;
  readonly deps: FallbackDeps;
  readonly others: Others | undefined;
  readonly reply: (() => Reply) | undefined;
}

/** A call at its own upstream. Only if it fails there does it cost a promise. */
class FirstUpstream implements Receiver {
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #receiver: Receiver;
  readonly #context: FallbackContext;
  #reached = false;

  constructor(call: Call, attempt: Attempt, receiver: Receiver, context: FallbackContext) {
    this.#call = call;
    this.#attempt = attempt;
    this.#receiver = receiver;
    this.#context = context;
  }

  onReached(): void {
    this.#reached = true;
  }

  replied(reply: Reply): void {
    if (this.#context.options.statuses.has(reply.status)) this.#fallBack({ kind: 'reply', reply });
    else this.#receiver.replied(reply);
  }

  failed(error: unknown): void {
    if (error instanceof ProxyError && failsOver(error)) this.#fallBack({ kind: 'error', error });
    else this.#receiver.failed(error);
  }

  #fallBack(outcome: Outcome): void {
    this.#answer(outcome).then(
      (reply) => this.#receiver.replied(reply),
      (error: unknown) => this.#receiver.failed(error),
    );
  }

  async #answer(outcome: Outcome): Promise<Reply> {
    const { deps, others, reply } = this.#context;
    const call = this.#call;
    const failures = new Failures(outcome, deps.memory);
    // A configured reply is not a gRPC message.
    const last = call.grpc === undefined ? reply : undefined;
    const processed = this.#reached && mayBeProcessed(outcome, call, deps.notProcessed);
    try {
      const { answer = last?.(), result } =
        (await others?.ask(processed, failures, call, this.#attempt)) ?? {};
      const noted = answer === undefined ? result : 'answered';
      if (noted !== undefined) call.journal.note('fallback', noted);
      if (answer === undefined) return failures.lastWord(call);
      failures.discard();
      return answer;
    } finally {
      failures.free();
    }
  }
}

const failed = (outcome: Outcome, { statuses }: FallbackOptions): boolean =>
  outcome.kind === 'reply' ? statuses.has(outcome.reply.status) : failsOver(outcome.error);

/** The upstreams of a fallback. */
class Others {
  readonly #options: FallbackOptions;
  readonly #clock: Clock;
  readonly #inTurn: readonly { readonly to: FallbackUpstream; readonly forward: Forward }[];

  constructor(options: FallbackOptions, { clock, forward }: FallbackDeps) {
    this.#options = options;
    this.#clock = clock;
    this.#inTurn = options.upstreams.map((to) => ({ to, forward: forward(to) }));
  }

  /** The first answer of one of them. `result`: why none answers. */
  async ask(
    processedByFirst: boolean,
    failures: Failures,
    call: Call,
    attempt: Attempt,
  ): Promise<{ readonly answer?: Reply; readonly result: FallbackResult | undefined }> {
    let processed = processedByFirst;
    let result: FallbackResult | undefined;
    let left = this.#inTurn.length;
    for (const { to, forward } of this.#inTurn) {
      left -= 1;
      const now = this.#clock.now();
      const refusal = whyNot(call, attempt, { unsafe: to.unsafe, processed, now });
      if (refusal !== undefined) {
        result ??= refusal;
        continue;
      }
      failures.buffer();
      const interims = left === 0 && this.#options.reply === undefined ? attempt.interims : undefined;
      const { outcome, ...asked } = await forwarded(forward, call, within(attempt, left, now, interims), now);
      if (outcome.kind === 'reply' && !failed(outcome, this.#options)) {
        call.journal.note('fallback_to', to.upstream);
        return { answer: { ...outcome.reply, origin: 'fallback' }, result: 'answered' };
      }
      call.journal.note('fallback_failed', `${to.upstream} ${shortly(outcome)}`);
      result = 'failed';
      processed ||= asked.processed;
      failures.add({ outcome, upstream: to.upstream });
    }
    return { result };
  }
}

/**
 * The attempt at an upstream after which `others` are left, for its share of the time: all that is left, divided equally. Only the
 * last one's interim replies are for the client.
 */
function within(attempt: Attempt, others: number, now: number, interims: Attempt['interims']): Attempt {
  const deadline = now + (attempt.deadline - now) / (others + 1);
  // The end of its share is not the end of the call.
  return attempt.with({ deadline, signal: new Abort(attempt.signal), interims });
}

async function forwarded(forward: Forward, call: Call, attempt: Attempt, now: number): Promise<Asked> {
  let sent: Forwarded;
  try {
    sent = forward(call);
  } catch (error) {
    if (error instanceof ProxyError) return { outcome: { kind: 'error', error }, processed: false };
    throw error;
  }
  const { dispatch, totalTimeoutMs, notProcessed } = sent.route;
  const deadline = Math.min(attempt.deadline, now + totalTimeoutMs);
  return ask(sendBy(dispatch), sent.call, attempt.with({ deadline }), notProcessed);
}

async function ask(
  send: Send,
  call: Call,
  attempt: Attempt,
  notProcessed: ReadonlySet<number> | undefined,
): Promise<Asked> {
  let reached = false;
  const onReached = () => {
    reached = true;
  };
  const outcome = await settle(send, call, attempt.with({ onReached }));
  return { outcome, processed: reached && mayBeProcessed(outcome, call, notProcessed) };
}

/** Whether an upstream that the call has reached may have processed it. */
function mayBeProcessed(
  outcome: Outcome,
  { idempotencyKey }: Call,
  notProcessed: ReadonlySet<number> | undefined,
): boolean {
  // Without a key, only a reply of this kind, or a failure before sending, is retried. So it holds for every attempt.
  if (outcome.kind === 'error' || idempotencyKey !== undefined) return true;
  const { status, classification } = outcome.reply;
  const kind = classification?.kind;
  return kind !== 'not_processed' && kind !== 'credential_refused' && notProcessed?.has(status) !== true;
}

/** The failed outcome at another upstream. */
interface FailedThere {
  readonly outcome: Outcome;
  readonly upstream: string;
}

/** The failed outcomes of one call. They hold no connection while a further upstream is asked. */
class Failures {
  readonly #first: Outcome;
  readonly #memory: ByteBudget;
  #buffered: BufferedReply | undefined;
  #latest: FailedThere | undefined;

  constructor(first: Outcome, memory: ByteBudget) {
    this.#first = first;
    this.#memory = memory;
  }

  /** Frees the connections. */
  buffer(): void {
    if (this.#first.kind === 'reply') this.#buffered ??= new BufferedReply(this.#first.reply, this.#memory);
    discard(this.#latest?.outcome);
    this.#latest = undefined;
  }

  add(latest: FailedThere): void {
    this.#latest = latest;
  }

  /** The first upstream's error or reply, because the call was meant for it. The latest outcome if that reply could not be buffered. */
  lastWord({ journal }: Pick<Call, 'journal'>): Reply {
    const reply = this.#buffered?.take();
    if (reply === undefined && this.#buffered !== undefined && this.#latest !== undefined) {
      const { outcome, upstream } = this.#latest;
      const other = { ...unwrap(outcome), origin: 'fallback' } as const;
      journal.note('fallback_to', upstream);
      return other;
    }
    discard(this.#latest?.outcome);
    return reply ?? unwrap(this.#first);
  }

  discard(): void {
    if (this.#buffered === undefined) discard(this.#first);
    discard(this.#latest?.outcome);
  }

  /** Frees the memory. */
  free(): void {
    this.#buffered?.drop();
  }
}

function discard(outcome: Outcome | undefined): void {
  if (outcome?.kind === 'reply') outcome.reply.body.discard();
}

const shortly = (outcome: Outcome): string | number =>
  outcome.kind === 'reply' ? outcome.reply.status : outcome.error.code;

function staticReply(to: StaticReply): () => Reply {
  const headers = staticHeaders(to);
  const chunks = to.body === '' ? [] : [Buffer.from(to.body)];
  return () => ({
    status: to.status,
    statusText: '',
    headers,
    body: new MemoryBody(chunks),
    origin: 'fallback',
  });
}

/** Sends within the time that is not reserved for the fallback. */
function early(next: Dispatch, reserve: number, clock: Clock): Dispatch {
  const error = () =>
    new ProxyError('deadline_exceeded', 'no response headers before the time reserved for the fallback', {
      sent: 'sent_unknown',
    });
  return (call, attempt, receiver) => {
    const ms = (attempt.deadline - clock.now()) * (1 - reserve);
    const timed = attempt.with({ deadline: clock.now() + ms, interims: undefined });
    sendWithin({ clock, ms, error }, next)(call, timed, receiver);
  };
}

interface Circumstances {
  /** The fallback upstream gets calls that another one may have processed. */
  readonly unsafe: boolean;
  readonly processed: boolean;
  readonly now: number;
}

/** Why a fallback upstream does not get the call. */
function whyNot(
  call: Call,
  { deadline, signal }: Attempt,
  { unsafe, processed, now }: Circumstances,
): FallbackResult | undefined {
  if (processed && !unsafe && !isHarmless(call)) return 'not_idempotent';
  if (!call.body.replayable) return 'body_not_replayable';
  return signal.aborted || now >= deadline ? 'deadline' : undefined;
}

/** As `isRepeatable`, without idempotency keys: the upstreams do not know each other's. */
function isHarmless({ method, overrides, safe, upgrade }: Call): boolean {
  return upgrade === undefined && (overrides?.idempotent ?? (safe === true || isIdempotent(method)));
}
