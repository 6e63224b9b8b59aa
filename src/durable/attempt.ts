import { BodyBuffer } from '../http/bodies/body-buffer.ts';
import { EMPTY_BODY, type RequestBody, wholeBody } from '../http/bodies/request-body.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import type { RawHeaders } from '../http/headers.ts';
import { type BodyEnd, type BodySink, isFailedEnd, type Reply } from '../http/reply.ts';
import { Attempt } from '../proxy/attempt.ts';
import { type Call, clientPartOf } from '../proxy/call.ts';
import { ProxyError } from '../proxy/errors.ts';
import { type Outcome, settle } from '../proxy/pipeline.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { CallResult } from '../telemetry/call-outcome.ts';
import { CallRecord, type Observer } from '../telemetry/call-record.ts';
import type { CallTrace } from '../telemetry/tracing/call-trace.ts';
import type { TracedJob } from '../telemetry/tracing/tracing.ts';
import { CALLBACK_ROUTE } from './callbacks/options.ts';
import type { ClaimedJob, StoredResponse } from './job.ts';
import { refusalOf } from './refusal.ts';
import type { AttemptResult, DurableRoute } from './route.ts';

export interface AttemptDeps {
  readonly clock: Clock;
  /** Bounds the bytes of all replies that are being collected. */
  readonly memory: ByteBudget;
  readonly observer: Observer;
  /** Begins the trace of an attempt; undefined if it is not traced. */
  readonly trace: (job: TracedJob) => CallTrace | undefined;
}

/** The outcome of one attempt. */
export interface FinishedAttempt {
  readonly outcome: AttemptResult['outcome'];
  /** Complete, or truncated at `maxResultBytes`. Undefined without a reply, or if its body ended early. */
  readonly response: StoredResponse | undefined;
  /** False: no byte reached the upstream, so it does not count as an attempt. */
  readonly sent: boolean;
  readonly ms: number;
  /** The target that it went to last; undefined if the upstream has none. */
  readonly targetName: string | undefined;
}

export interface AttemptParts {
  readonly job: ClaimedJob;
  /** Path and query, with the caller's stored credentials. */
  readonly target: string;
  /** Includes the caller's stored credentials. The fields that the route injects are added here. */
  readonly headers: RawHeaders;
  readonly route: DurableRoute;
  readonly repeatable: boolean;
  readonly signal: Abort;
  /** The only target that may get it; undefined: any. */
  readonly targetName: string | undefined;
}

/** Makes one attempt, from the first byte sent to the last byte received. Rejects only because of a bug. */
export async function attempt(parts: AttemptParts, deps: AttemptDeps): Promise<FinishedAttempt> {
  const { clock, observer } = deps;
  const { job, target, route, signal } = parts;
  const { upstream, route: name } = route;
  const { client: clientName, id, method } = job;
  const info = { id, upstream, route: name, method, target, clientName, trace: deps.trace(tracedJob(parts)) };
  const record = new CallRecord(info, clock, observer);
  if (job.priority === 'high') record.note('priority', job.priority);
  if (job.tenant !== '') record.note('tenant', job.tenant);
  const settled = await settle(route.send, callOf(parts, record), attemptOf(parts, clock.now()));
  const outcome = withoutDeadline(settled, record.attempts > 0);
  const stored = outcome.kind === 'reply' ? await receive(outcome.reply, parts, deps) : undefined;
  const last = typeof stored === 'string' ? brokenBody(stored, signal) : outcome;
  record.finishDurable(resultOf(last));
  return {
    outcome: last,
    response: typeof stored === 'string' ? undefined : stored,
    sent: outcome.kind === 'reply' || (record.attempts > 0 && !isUnsent(outcome.error, job)),
    ms: clock.now() - record.startedAt,
    targetName: record.notes.target,
  };
}

function tracedJob({ job: { traceparent }, route: { name, drop } }: AttemptParts): TracedJob {
  const origin = name.startsWith(CALLBACK_ROUTE) ? name.slice(CALLBACK_ROUTE.length) : undefined;
  return { traceparent, origin, propagates: !drop.has('traceparent') };
}

const resultOf = (outcome: Outcome): CallResult =>
  outcome.kind === 'reply'
    ? { status: outcome.reply.status, origin: 'upstream' }
    : { status: 0, origin: 'proxy', error: outcome.error.code };

/** The refusal came after the attempt had begun: during the DNS lookup, or because the process was stopping. */
function isUnsent(error: ProxyError, job: ClaimedJob): boolean {
  return error.sent === 'not_sent' && refusalOf(error, job)?.kind === 'wait';
}

/**
 * The attempt's time limit is not the deadline of the request. If no attempt began, no permit was free; else the
 * upstream was slow.
 */
function withoutDeadline(outcome: Outcome, begun: boolean): Outcome {
  if (outcome.kind === 'reply' || outcome.error.code !== 'deadline_exceeded') return outcome;
  const error = begun
    ? new ProxyError('attempt_timeout', 'no reply head within the total timeout', { sent: 'sent_unknown' })
    : new ProxyError('concurrency_limit', 'no permit became free within the total timeout');
  return { kind: 'error', error };
}

function attemptOf({ job, route, repeatable, signal }: AttemptParts, now: number): Attempt {
  return new Attempt({
    number: job.attempt,
    last: !repeatable || job.counted + 1 >= route.options.attempts,
    tally: { hedges: 0 },
    deadline: now + route.headTimeoutMs,
    signal,
  });
}

function callOf({ job, target, headers, route, targetName }: AttemptParts, record: CallRecord): Call {
  return {
    method: job.method,
    target,
    headers: headers.concat(route.inject),
    body: storedBody(job.body),
    idempotencyKey: job.upstreamKey ?? undefined,
    clientPart: clientPartOf(headers, route.clientPartHeader),
    targetName,
    priority: job.priority ?? 'low',
    identity: record.info,
    journal: record,
  };
}

function storedBody({ buffer, byteOffset, length }: Uint8Array): RequestBody {
  return wholeBody(length === 0 ? [] : [Buffer.from(buffer, byteOffset, length)], EMPTY_BODY);
}

/** Ends the reading of a body that has reached the stored maximum. It says nothing about the upstream. */
const BODY_LIMIT_REACHED = new ProxyError('client_gone', 'the reply is longer than the stored maximum', {
  sent: 'sent_unknown',
});

async function receive(
  reply: Reply,
  { route, signal }: AttemptParts,
  { clock, memory }: AttemptDeps,
): Promise<StoredResponse | UnusableEnd> {
  const sink = new Collector(route.options.maxResultBytes, memory, () => signal.abort(BODY_LIMIT_REACHED));
  const timer = clock.timer(route.bodyTimeoutMs, () => signal.abort(lateBody(route)));
  const end = await new Promise<BodyEnd>((resolve) => {
    reply.body.onEnd(resolve);
    reply.body.pipeTo(sink);
  });
  timer.cancel();
  const cut = end === 'broken' || isFailedEnd(end);
  const body = sink.take();
  if (cut && !sink.truncated && !route.headDecides) return end;
  const { status, statusText, headers } = reply;
  return { status, statusText, headers, body, truncated: cut || sink.truncated };
}

/** Made only when it is needed, because its stack costs several microseconds. */
const lateBody = ({ bodyTimeoutMs }: DurableRoute): ProxyError =>
  new ProxyError('idle_timeout', `the reply body took longer than ${bodyTimeoutMs} ms`, {
    sent: 'sent_unknown',
  });

/** The end of a body that is not stored. */
type UnusableEnd = Extract<BodyEnd, 'broken' | 'failed' | 'throttled'>;

function brokenBody(end: UnusableEnd, { reason }: Abort): Outcome {
  const why =
    end === 'broken' ? 'the reply ended before its body was complete' : 'the stream has an error event';
  const error =
    reason instanceof ProxyError
      ? reason
      : new ProxyError('response_incomplete', why, { sent: 'sent_unknown' });
  return { kind: 'error', error };
}

/** Collects a body up to `max` bytes. */
class Collector implements BodySink {
  readonly #max: number;
  readonly #onFull: () => void;
  readonly #log: BodyBuffer;
  truncated = false;

  constructor(max: number, memory: ByteBudget, onFull: () => void) {
    this.#log = new BodyBuffer(memory);
    this.#max = max;
    this.#onFull = onFull;
  }

  get destroyed(): boolean {
    return this.truncated;
  }

  write(chunk: Uint8Array): boolean {
    if (this.truncated) return true;
    const room = this.#max - this.#log.bytes;
    // The reply was accepted, so its body is collected even above the budget. New bodies wait for memory then.
    this.#log.add(chunk.length > room ? chunk.subarray(0, room) : chunk);
    if (chunk.length > room) {
      this.truncated = true;
      this.#onFull();
    }
    return true;
  }

  /** Returns all bytes and empties the collector. */
  take(): Uint8Array {
    const chunks = this.#log.chunks();
    this.#log.release();
    const [only] = chunks;
    return only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks);
  }

  end(): void {}
  destroy(): void {}
  on(): void {}
}
