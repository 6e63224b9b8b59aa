import { hash as digest } from 'node:crypto';
import { BodyBuffer } from '../http/bodies/body-buffer.ts';
import type { BodySource } from '../http/bodies/request-body.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { headerOf, type RawHeaders } from '../http/headers.ts';
import { parseTraceparent } from '../http/trace-context.ts';
import type { Call } from '../proxy/call.ts';
import { ProxyError } from '../proxy/errors.ts';
import { keyIn } from '../proxy/idempotency-key.ts';
import type { Clock } from '../runtime/clock.ts';
import { unguessableId } from '../runtime/random.ts';
import { firstState } from './bound-target.ts';
import type { Credentials } from './credentials.ts';
import type { Health } from './health.ts';
import type { NewJob } from './job.ts';
import type { DurableProcess } from './options.ts';
import type { DurableRoute } from './route.ts';
import { textOfState } from './settlement.ts';
import { StoreError } from './store/db.ts';
import type { Store, Submitted } from './store/store.ts';
import { submissionOptionsOf, withoutSubmissionFields } from './submission-options.ts';

export interface IntakeDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly health: Health;
  readonly credentials: Credentials;
  readonly process: () => DurableProcess;
  /** Bounds the bytes of all request bodies that are being received. */
  readonly memory: ByteBudget;
}

/** Interval at which the backlog is counted again. In between, accepted requests are added to the count. */
const COUNT_EVERY_MS = 1_000;

/** Retry-After while the backlog is full. */
const FULL_RETRY_MS = 30_000;

/** Retry-After while the store fails. */
const STORE_RETRY_MS = 5_000;

/** Accepts requests: checks each one and commits it to the store before the client gets its 202. */
export class Intake {
  readonly #deps: IntakeDeps;
  #backlog = 0;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Rejects with a ProxyError if the request is not accepted. Unless a COMMIT failed, it is not stored then. */
  async take(
    route: DurableRoute,
    call: Call,
    tenant: string,
  ): Promise<{ job: NewJob; submitted: Submitted }> {
    const { clock, credentials, process } = this.#deps;
    const { deadlineMs, maxBodyBytes } = route.options;
    const { callbacks } = process();
    const options = submissionOptionsOf(call.headers, { now: clock.wallTime(), deadlineMs, callbacks });
    const body = await this.#read(call, maxBodyBytes);
    const now = clock.wallTime();
    const sha256 = hash(body);
    // Breakwater's own fields are not credentials, even if their names look like it (`Breakwater-Key`).
    const sent = { headers: withoutSubmissionFields(call.headers), target: call.target };
    const sealed = credentials.seal(sent, route.names);
    const job: NewJob = {
      id: `req_${unguessableId()}`,
      kind: 'request',
      route: route.name,
      tenant,
      method: call.method,
      ...sealed,
      body,
      sha256,
      caller: credentials.callerOf(sent, route.names, call.identity?.clientName),
      client: call.identity?.clientName,
      // The priority of the client is that of its interactive calls.
      priority: call.overrides?.priority === undefined ? undefined : call.priority,
      idempotencyKey: givenKey(call.headers, route),
      fingerprint: hash(`${call.method} ${sealed.target} ${sha256}`),
      upstreamKey: call.idempotencyKey ?? null,
      parent: null,
      requestId: call.identity?.id ?? null,
      traceparent: storedTraceparent(call),
      runnerState: textOfState(firstState(route)),
      createdAt: Math.floor(now),
      ...options,
      dueAt: Math.floor(options.dueAt),
      deadlineAt: Math.floor(options.deadlineAt),
    };
    return { job, submitted: await this.#commit(job) };
  }

  async #commit(job: NewJob): Promise<Submitted> {
    const { health, store } = this.#deps;
    let submitted: Submitted;
    try {
      await this.#checkBacklog();
      submitted = await health.accepting(store.submit(job));
    } catch (error) {
      throw error instanceof StoreError ? refusalOf(error) : error;
    }
    if (submitted.kind === 'accepted') this.#backlog++;
    if (submitted.kind !== 'conflict') return submitted;
    const message = 'this idempotency key was used for a request with another method, target or body';
    throw new ProxyError('idempotency_key_reused', message);
  }

  async #checkBacklog(): Promise<void> {
    const { clock, health, store, process } = this.#deps;
    if (clock.now() - this.#countedAt > COUNT_EVERY_MS) {
      this.#countedAt = clock.now();
      this.#backlog = await health.reading(store.backlog());
    }
    const { backlog } = process();
    if (this.#backlog < backlog) return;
    const message = `the backlog is full: ${this.#backlog} durable requests have not ended`;
    throw new ProxyError('backlog_full', message, { retryAfterMs: FULL_RETRY_MS });
  }

  async #read({ headers, body }: Call, maxBytes: number): Promise<Buffer> {
    const { memory } = this.#deps;
    const declared = Number(headerOf(headers, 'content-length') ?? 0);
    if (declared > maxBytes) throw tooLarge(maxBytes);
    const received = new BodyBuffer(memory);
    try {
      for await (const chunk of iterate(body.open())) {
        if (received.bytes + chunk.length > maxBytes) throw tooLarge(maxBytes);
        if (!received.tryAdd(chunk)) throw noMemory();
      }
      const chunks = received.chunks();
      return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    } finally {
      received.release();
    }
  }
}

/** The error of a failing store. If the connection broke during COMMIT, the request may have been stored. */
export function unavailable(error: StoreError): ProxyError {
  const message = `the durable store fails (${error.problem}); acceptance of the request is not confirmed`;
  return new ProxyError('store_unavailable', message, { retryAfterMs: STORE_RETRY_MS, cause: error });
}

/** The client's error for a request that was not stored. */
function refusalOf(error: StoreError): ProxyError {
  if (error.problem !== 'unwritable') return unavailable(error);
  const message = 'the durable store cannot save this request; it was not accepted';
  return new ProxyError('bad_request', message, { cause: error });
}

function iterate(source: BodySource): AsyncIterable<Buffer> | Iterable<Buffer> {
  if (source === undefined) return [];
  return Buffer.isBuffer(source) ? [source] : source;
}

function givenKey(headers: RawHeaders, { idempotencyHeader }: DurableRoute): string | null {
  return keyIn(headers, idempotencyHeader) || null;
}

/** A value that is not valid names no trace, so it is not stored. */
function storedTraceparent({ identity }: Call): string | null {
  const { traceparent = '' } = identity ?? {};
  return parseTraceparent(traceparent) === undefined ? null : traceparent;
}

function tooLarge(maxBytes: number): ProxyError {
  return new ProxyError(
    'payload_too_large',
    `the request body is larger than ${maxBytes} bytes, the limit of this durable route`,
  );
}

function noMemory(): ProxyError {
  return new ProxyError('store_unavailable', 'too many request bodies are being received at once', {
    retryAfterMs: 1_000,
  });
}

function hash(data: string | Uint8Array): string {
  return digest('sha256', data, 'hex');
}
