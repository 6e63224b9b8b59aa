import type { RouteConfig } from '../config/config.ts';
import { EMPTY_BODY } from '../http/bodies/request-body.ts';
import { isEventStream } from '../http/event-stream/reader.ts';
import { headerOf } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
import { Attempt } from '../proxy/attempt.ts';
import type { Call } from '../proxy/call.ts';
import { type ErrorCode, ProxyError } from '../proxy/errors.ts';
import type { Send } from '../proxy/pipeline.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import { isFinal } from '../server/client-retries.ts';
import type { CallResult } from '../telemetry/call-outcome.ts';
import { CallRecord, type Observer } from '../telemetry/call-record.ts';
import { SINK } from './reply.ts';
import type { Clients } from './scenario.ts';
import { GOOD_END } from './stream-texts.ts';
import type { Arrival } from './traffic.ts';

/** The result of one simulated call. */
export interface SimulatedCall {
  readonly target: string;
  /** The endpoint's path. */
  readonly path: string;
  readonly atMs: number;
  /** It got a successful answer. False while it runs, so also for a call that never ended. */
  ok: boolean;
  /** How often the client sent it: once, and once for each retry of its SDK. */
  tries: number;
  /** Attempts at the upstream, of all tries. */
  attempts: number;
  /** Duration in milliseconds. */
  ms: number;
  /** Reason of the failure: the proxy's error, the status of the reply, or an error in a stream that began well. */
  failure: ErrorCode | 'bug' | 'error_event' | `status_${number}` | undefined;
}

/** The result of one try, as the client sees it. */
interface Seen {
  readonly ok: boolean;
  readonly attempts: number;
  readonly failure: SimulatedCall['failure'];
  /** Whether its SDK may try again, after the wait that the reply asks for. */
  readonly again: boolean;
  readonly retryAfterMs: number | undefined;
}

/** Makes a call, sends it, reads the reply and closes the record, as the listener of the proxy does. */
export class Client {
  readonly #route: RouteConfig;
  readonly #upstream: string;
  readonly #clients: Clients;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #observer: Observer;

  constructor(
    route: RouteConfig,
    world: {
      readonly upstream: string;
      readonly clients: Clients | undefined;
      readonly random: Random;
      readonly clock: Clock;
      readonly observer: Observer;
    },
  ) {
    this.#route = route;
    this.#upstream = world.upstream;
    this.#clients = world.clients ?? {};
    this.#random = world.random;
    this.#clock = world.clock;
    this.#observer = world.observer;
  }

  /** Updates `result` while the call runs. Rejects only after a bug. */
  async call(send: Send, arrival: Arrival, result: SimulatedCall): Promise<void> {
    const startedAt = this.#clock.now();
    const { retries = 0 } = this.#clients;
    for (let retry = 0; ; retry++) {
      result.tries++;
      const seen = await this.#try(send, arrival, retry);
      result.attempts += seen.attempts;
      result.ok = seen.ok;
      result.failure = seen.failure;
      result.ms = this.#clock.now() - startedAt;
      if (seen.ok || !seen.again || retry === retries) return;
      await this.#clock.sleep(sdkDelayMs(retry, seen.retryAfterMs, this.#random), new Abort());
    }
  }

  async #try(send: Send, arrival: Arrival, retry: number): Promise<Seen> {
    const { target } = arrival;
    const method = arrival.endpoint.method ?? this.#route.methods?.[0] ?? 'GET';
    const info = { id: target, upstream: this.#upstream, route: this.#route.name, method, target };
    const record = new CallRecord(info, this.#clock, this.#observer);
    const call = this.#callOf(record, arrival, retry);
    const attempt = this.#firstAttempt();
    const leaving = this.#leaveLater(attempt.signal);
    const { result, retryAfterMs } = await this.#perform(send, call, attempt);
    leaving?.cancel();
    record.finish(result);
    // The record counts a 404 as a success. At this upstream every status from 400 is a failure.
    const ok = result.error === undefined && result.status < 400 && result.bodyFailed !== true;
    return {
      ok,
      attempts: record.attempts,
      failure: ok ? undefined : failureOf(result),
      again: this.#mayTryAgain(record, result),
      retryAfterMs,
    };
  }

  /** SDKs obey the header by which the proxy forbids retries. */
  #mayTryAgain({ notes }: CallRecord, result: CallResult): boolean {
    const { error, status } = result;
    if (result.bodyFailed === true) return false;
    if (this.#route.settings.retry.limitClientRetries && isFinal(notes.gave_up, error as ErrorCode, status))
      return false;
    return error !== undefined || isRetriedBySdks(status);
  }

  #leaveLater(signal: Abort): Timer | undefined {
    const { giveUpMs } = this.#clients;
    if (giveUpMs === undefined) return undefined;
    const gone = new ProxyError('client_gone', 'the client gave up', { sent: 'sent_unknown' });
    return this.#clock.timer(giveUpMs, () => signal.abort(gone));
  }

  async #perform(
    send: Send,
    call: Call,
    attempt: Attempt,
  ): Promise<{ result: CallResult; retryAfterMs: number | undefined }> {
    try {
      const reply = await send(call, attempt);
      if (isEventStream(reply.headers)) return { result: await readStream(reply), retryAfterMs: undefined };
      reply.body.pipeTo(SINK);
      const seconds = headerOf(reply.headers, 'retry-after');
      const retryAfterMs = seconds === undefined ? undefined : 1_000 * Number(seconds);
      return { result: { status: reply.status, origin: 'upstream' }, retryAfterMs };
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      return {
        result: { status: 503, origin: 'proxy', error: error.code },
        retryAfterMs: error.retryAfterMs,
      };
    }
  }

  #firstAttempt(): Attempt {
    const { totalTimeoutMs } = this.#route.settings;
    return new Attempt({ deadline: this.#clock.now() + totalTimeoutMs, signal: new Abort() });
  }

  #callOf(record: CallRecord, { key }: Arrival, clientRetries: number): Call {
    const { method, target } = record.info;
    const { retry } = this.#route.settings;
    const keyed = retry.idempotencyKey === 'inject' || retry.idempotencyKey === 'require';
    return {
      method,
      target,
      headers: key === undefined ? NO_HEADERS : ['Authorization', `Bearer ${key}`],
      body: EMPTY_BODY,
      // With idempotency_key: pass, clients may or may not send a key. Assume none, which allows fewer retries.
      idempotencyKey: keyed ? target : undefined,
      safe: retry.safe,
      clientRetries,
      journal: record,
    };
  }
}

/** A stream is good if it ends as good ones do. SDKs do not repeat a request whose stream has begun. */
function readStream({ body, status }: Reply): Promise<CallResult> {
  const origin = 'upstream';
  return new Promise((resolve) => {
    let last = '';
    body.pipeTo({
      ...SINK,
      write: (chunk) => {
        last = Buffer.from(chunk).toString();
        return true;
      },
      end: () => resolve({ status, origin, bodyFailed: !last.endsWith(GOOD_END) }),
      destroy: (reason) => {
        const error = reason instanceof ProxyError ? reason.code : 'response_incomplete';
        resolve({ status, origin, error, bodyFailed: true });
      },
    });
  });
}

const failureOf = ({ error, bodyFailed, status }: CallResult): SimulatedCall['failure'] =>
  error ?? (bodyFailed === true && status < 400 ? 'error_event' : `status_${status}`);

const NO_HEADERS: readonly string[] = [];

/** Waits of the SDKs made by Stainless (OpenAI, Anthropic). */
const SDK = { firstMs: 500, longestMs: 8_000, jitter: 0.25, longestAskedMs: 60_000 };

const isRetriedBySdks = (status: number): boolean =>
  status === 408 || status === 409 || status === 429 || status >= 500;

function sdkDelayMs(retry: number, retryAfterMs: number | undefined, random: Random): number {
  if (retryAfterMs !== undefined && retryAfterMs > 0 && retryAfterMs < SDK.longestAskedMs)
    return retryAfterMs;
  return Math.min(SDK.firstMs * 2 ** retry, SDK.longestMs) * (1 - random() * SDK.jitter);
}
