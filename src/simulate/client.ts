import type { RouteConfig } from '../config/config.ts';
import { EMPTY_BODY } from '../http/bodies/request-body.ts';
import { headerOf } from '../http/headers.ts';
import type { Call } from '../proxy/call.ts';
import { type ErrorCode, ProxyError } from '../proxy/errors.ts';
import type { Send } from '../proxy/pipeline.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import { isFinal } from '../server/client-retries.ts';
import type { Ending } from '../telemetry/call-outcome.ts';
import { CallRecord, type Observer } from '../telemetry/call-record.ts';
import { SINK } from './reply.ts';
import type { Clients } from './scenario.ts';
import type { Arrival } from './traffic.ts';

/** What became of one simulated call. */
export interface SimulatedCall {
  readonly target: string;
  /** The endpoint's path. */
  readonly path: string;
  readonly atMs: number;
  /** It got a good answer. False while it runs, and so for one that never ended. */
  ok: boolean;
  /** How often the client sent it: once, and once for each try of its SDK. */
  tries: number;
  /** All tries together. */
  attempts: number;
  /** Time to its end, in milliseconds. */
  ms: number;
  /** Why it got no good answer: the proxy's error, or the status that came through. */
  failure: ErrorCode | 'bug' | `status_${number}` | undefined;
}

/** What a client saw of one try. */
interface Seen {
  readonly ok: boolean;
  readonly attempts: number;
  readonly failure: SimulatedCall['failure'];
  /** Whether its SDK may try again, and the wait that the reply asks for. */
  readonly again: boolean;
  readonly retryAfterMs: number | undefined;
}

/** Does for a call what the listener does in the proxy: makes it, sends it, reads the reply and closes the record. */
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

  /** Never rejects but for a bug. Fills `result` in as the call goes. */
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
    const leaving = this.#leaveLater(call.signal);
    const { ending, retryAfterMs } = await this.#perform(send, call);
    leaving?.cancel();
    record.finish(ending);
    // The record takes a 404 for a good answer. This upstream means every status from 400 on as a failure.
    const ok = ending.error === undefined && ending.status < 400;
    return {
      ok,
      attempts: record.attempts,
      failure: ok ? undefined : (ending.error ?? `status_${ending.status}`),
      again: this.#mayTryAgain(record, ending),
      retryAfterMs,
    };
  }

  /** SDKs mind the proxy's word that nothing more is to be tried. */
  #mayTryAgain({ notes }: CallRecord, { error, status }: Ending): boolean {
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

  async #perform(send: Send, call: Call): Promise<{ ending: Ending; retryAfterMs: number | undefined }> {
    try {
      const reply = await send(call);
      reply.body.pipeTo(SINK);
      const seconds = headerOf(reply.headers, 'retry-after');
      const retryAfterMs = seconds === undefined ? undefined : 1_000 * Number(seconds);
      return { ending: { status: reply.status, origin: 'upstream' }, retryAfterMs };
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      return {
        ending: { status: 503, origin: 'proxy', error: error.code },
        retryAfterMs: error.retryAfterMs,
      };
    }
  }

  #callOf(record: CallRecord, { key }: Arrival, clientRetries: number): Call {
    const { method, target } = record.info;
    const { retry, totalTimeoutMs } = this.#route.settings;
    const keyed = retry.idempotencyKey === 'inject' || retry.idempotencyKey === 'require';
    return {
      method,
      target,
      headers: key === undefined ? NO_HEADERS : ['Authorization', `Bearer ${key}`],
      body: EMPTY_BODY,
      // A route that passes keys on may or may not get one; the cautious answer is that it does not.
      idempotencyKey: keyed ? target : undefined,
      safe: retry.safe,
      clientRetries,
      attempt: 1,
      lastAttempt: true,
      deadline: this.#clock.now() + totalTimeoutMs,
      signal: new Abort(),
      journal: record,
    };
  }
}

const NO_HEADERS: readonly string[] = [];

/** The SDKs that Stainless makes (OpenAI, Anthropic): what they retry, and how long they wait. */
const SDK = { firstMs: 500, longestMs: 8_000, jitter: 0.25, longestAskedMs: 60_000 };

const isRetriedBySdks = (status: number): boolean =>
  status === 408 || status === 409 || status === 429 || status >= 500;

function sdkDelayMs(retry: number, retryAfterMs: number | undefined, random: Random): number {
  if (retryAfterMs !== undefined && retryAfterMs > 0 && retryAfterMs < SDK.longestAskedMs)
    return retryAfterMs;
  return Math.min(SDK.firstMs * 2 ** retry, SDK.longestMs) * (1 - random() * SDK.jitter);
}
