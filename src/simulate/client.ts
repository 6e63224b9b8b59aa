import type { RouteConfig } from '../config/config.ts';
import { EMPTY_BODY } from '../http/request-body.ts';
import type { Call } from '../proxy/call.ts';
import { type ErrorCode, ProxyError } from '../proxy/errors.ts';
import type { Observer } from '../proxy/observer.ts';
import type { Send } from '../proxy/pipeline.ts';
import type { Ending } from '../proxy/call-outcome.ts';
import { CallRecord } from '../proxy/record.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { SINK } from './reply.ts';

/** What became of one simulated call. */
export interface SimulatedCall {
  readonly target: string;
  readonly atMs: number;
  /** It got a good answer. False while it runs, and so for one that never ended. */
  ok: boolean;
  attempts: number;
  /** Time to its end, in milliseconds. */
  ms: number;
  /** Why it got no good answer: the proxy's error, or the status that came through. */
  failure: ErrorCode | 'bug' | `status_${number}` | undefined;
}

/** Does for a call what the listener does in the proxy: makes it, sends it, reads the reply and closes the record. */
export class Client {
  readonly #route: RouteConfig;
  readonly #upstream: string;
  readonly #clock: Clock;
  readonly #observer: Observer;

  constructor(
    route: RouteConfig,
    world: { readonly upstream: string; readonly clock: Clock; readonly observer: Observer },
  ) {
    this.#route = route;
    this.#upstream = world.upstream;
    this.#clock = world.clock;
    this.#observer = world.observer;
  }

  /** Never rejects but for a bug. Fills `result` in as the call goes. */
  async call(send: Send, result: SimulatedCall): Promise<void> {
    const { target } = result;
    const info = {
      id: target,
      upstream: this.#upstream,
      route: this.#route.name,
      method: this.#method(),
      target,
    };
    const record = new CallRecord(info, this.#clock, this.#observer);
    const ending = await this.#perform(send, this.#callOf(record));
    record.finish(ending);
    result.ok = record.outcome === 'ok' || record.outcome === 'rescued';
    result.attempts = record.attempts;
    result.ms = record.ms;
    if (!result.ok) result.failure = ending.error ?? `status_${ending.status}`;
  }

  async #perform(send: Send, call: Call): Promise<Ending> {
    try {
      const reply = await send(call);
      reply.body.pipeTo(SINK);
      return { status: reply.status, origin: 'upstream' };
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      return { status: 503, origin: 'proxy', error: error.code };
    }
  }

  #callOf({ info: { method, target }, report }: CallRecord): Call {
    const { retry, totalTimeoutMs } = this.#route.settings;
    const keyed = retry.idempotencyKey === 'inject' || retry.idempotencyKey === 'require';
    return {
      method,
      target,
      headers: [],
      body: EMPTY_BODY,
      // A route that passes keys on may or may not get one; the cautious answer is that it does not.
      idempotencyKey: keyed ? target : undefined,
      safe: retry.safe,
      attempt: 1,
      lastAttempt: true,
      deadline: this.#clock.now() + totalTimeoutMs,
      signal: new Abort(),
      report,
    };
  }

  #method(): string {
    return this.#route.methods?.[0] ?? 'GET';
  }
}
