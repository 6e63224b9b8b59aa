import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { BodySource } from '../http/bodies/request-body.ts';
import { framingError } from '../http/framing.ts';
import { type RawHeaders, replyTrailers } from '../http/headers.ts';
import {
  type BodyEnd,
  type BodySink,
  type EndListener,
  type HeldBackListener,
  type Interim,
  type Reply,
  type ReplyBody,
  tellEnd,
} from '../http/reply.ts';
import type { Attempt } from '../proxy/attempt.ts';
import type { Call } from '../proxy/call.ts';
import { ProxyError, type Sent } from '../proxy/errors.ts';
import type { Abort } from '../runtime/abort.ts';
import { appended } from '../runtime/appended.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { soon, type SoonTask } from '../runtime/soon.ts';
import { toProxyError } from './failure.ts';
import type { Controller, Handler, ReplyFields } from './handler.ts';
import { tunnelReply } from './tunnel.ts';

/** A discarded body up to this size is read, so that its connection can be reused. A larger one is aborted. */
const MAX_DRAIN_BYTES = 64 * 1024;

/** Interim replies per attempt. More are dropped, because they are buffered in memory. */
const MAX_INTERIM = 16;

export interface ExchangeOptions {
  readonly clock: Clock;
  /** Longest gap between two chunks of a body while a reader waits for it. */
  readonly idleTimeoutMs: number;
}

/** The attempt of an exchange. It receives the outcome: the head or an error. */
export interface ExchangedAttempt {
  readonly call: Pick<Call, 'upgrade'>;
  readonly attempt: Attempt;
  replied(reply: Reply): void;
  failed(error: ProxyError): void;
}

/**
 * One request on one connection, driven by undici's callbacks. If the body of the reply has no reader yet when its head was
 * received, the socket is paused.
 */
export class Exchange implements Handler, ReplyBody, SoonTask {
  readonly #of: ExchangedAttempt;
  readonly #signal: Abort;
  readonly #source: BodySource;
  readonly #options: ExchangeOptions;
  /** Most bodies have two: the policies of the attempt, and the client's response. */
  #first: EndListener | undefined;
  #others: readonly EndListener[] | undefined;
  #controller: Controller | undefined;
  #interims = 0;
  #bufferedInterims: Interim[] | undefined;
  /** The attempt has its outcome. */
  #settled = false;
  #sink: BodySink | undefined;
  #sent: Sent = 'not_sent';
  #discarded = false;
  #drained = 0;
  #onHeldBack: HeldBackListener | undefined;
  #idle: Timer | undefined;
  #lastByteAt = 0;
  #paused = false;
  /** The sink was too slow at least once. */
  #heldBefore = false;
  #end: BodyEnd | undefined;
  #error: ProxyError | undefined;

  /** The signal of the attempt must not be aborted. `source` is the request body that undici sends; the exchange closes it. */
  constructor(of: ExchangedAttempt, source: BodySource, options: ExchangeOptions) {
    this.#of = of;
    this.#signal = of.attempt.signal;
    this.#source = source;
    this.#options = options;
    this.#signal.on(this);
  }

  // --- undici's side ---

  onRequestStart(controller: Controller): void {
    if (this.#signal.aborted) return controller.abort(this.#abortReason());
    this.#controller = controller;
    this.#sent = 'sent_unknown';
  }

  onResponseStart(controller: Controller, status: number, fields: ReplyFields, statusText = ''): void {
    if (status === 101)
      return controller.abort(
        new ProxyError('protocol_error', 'the upstream answered 101 without naming a protocol'),
      );
    if (status >= 100 && status < 200) return this.#onInterim(status, fields.list);
    const headers = fields.list;
    const problem = status < 100 ? `the upstream sent the invalid status ${status}` : framingError(headers);
    if (problem !== undefined) return controller.abort(new ProxyError('protocol_error', problem));
    this.#reply({ status, statusText, headers, body: this, interim: this.#bufferedInterims });
    // A pause costs undici more than the rest of a small reply, because it puts bytes back that it has read.
    if (this.#sink === undefined && !this.#discarded && this.#end === undefined) controller.pause();
  }

  #reply(reply: Reply): void {
    if (this.#settled) return reply.body.discard();
    this.#settled = true;
    this.#of.replied(reply);
  }

  #fail(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#of.failed(error);
  }

  /** Forwards interim replies, except 100: it answers an expectation, which is not forwarded (RFC 9110 §15.2). */
  #onInterim(status: number, headers: RawHeaders): void {
    const { interims, last } = this.#of.attempt;
    if (status === 100 || interims === undefined || ++this.#interims > MAX_INTERIM) return;
    const interim = { status, headers };
    if (last) interims.onInterim(interim);
    else (this.#bufferedInterims ??= []).push(interim);
  }

  /** undici has handed over the connection. */
  onRequestUpgrade(_controller: Controller, _status: number, fields: ReplyFields, socket: Duplex): void {
    let reply: Reply | undefined;
    try {
      reply = tunnelReply(this.#of.call.upgrade ?? '', fields.list, socket as Socket);
    } catch (error) {
      this.#fail(error as ProxyError);
    }
    if (reply !== undefined) this.#reply(reply);
    this.#finish('complete');
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#idle !== undefined) this.#lastByteAt = this.#options.clock.now();
    if (this.#sink !== undefined) {
      if (this.#sink.destroyed) return this.#abandon(controller);
      if (this.#sink.write(chunk)) return;
      this.#hold(this.#sink);
      this.#onHeldBack?.heldBack();
      this.#onHeldBack = undefined;
      return;
    }
    this.#drained += chunk.length;
    // Bytes before `pipeTo` would be lost. undici can emit them, although paused, when the upstream closes.
    if (!this.#discarded || this.#drained > MAX_DRAIN_BYTES) controller.abort(new Error('body discarded'));
  }

  #hold(sink: BodySink): void {
    // Most bodies never wait for their sink.
    if (!this.#heldBefore) sink.on('drain', () => this.#onDrain());
    this.#heldBefore = true;
    this.#paused = true;
    this.#controller?.pause();
  }

  /** Aborts because the sink is destroyed, which may precede the abort of the call. It is not the upstream's failure. */
  #abandon(controller: Controller): void {
    this.#discarded = true;
    controller.abort(new Error('the reader of the body is gone'));
  }

  onResponseEnd(_controller: Controller, { list: trailers }: ReplyFields): void {
    this.#finish(this.#discarded ? 'discarded' : 'complete');
    if (trailers.length > 0) this.#sink?.addTrailers?.(replyTrailers(trailers));
    this.#sink?.end();
  }

  onResponseError(_controller: Controller | undefined, cause: Error): void {
    const error = toProxyError(this.#signal.reason ?? cause, this.#sent);
    this.#error = error;
    this.#finish(this.#discarded ? 'discarded' : 'broken');
    this.#sink?.destroy(error);
    this.#fail(error);
  }

  // --- the pipeline's side ---

  pipeTo(sink: BodySink): void {
    // undici reports the end of a reply to HEAD together with its head, even if paused.
    if (this.#end === 'complete') return void sink.end();
    if (this.#end !== undefined) return void sink.destroy(this.#error);
    this.#sink = sink;
    this.#flow();
  }

  discard(): void {
    this.#discarded = true;
    this.#flow();
  }

  abort(reason: Error): void {
    this.#controller?.abort(reason);
  }

  onEnd(listener: EndListener): void {
    if (this.#end !== undefined) tellEnd(listener, this.#end);
    else if (this.#first === undefined) this.#first = listener;
    else this.#others = appended(this.#others, listener);
  }

  onHeldBack(listener: HeldBackListener): void {
    this.#onHeldBack = listener;
  }

  #flow(): void {
    this.#controller?.resume();
    if (this.#end === undefined) soon(this);
  }

  /** Starts the watch of a body. Most arrive in the same packet as their head, have ended by now, and need no timer. */
  onSoon(): void {
    if (this.#end !== undefined) return;
    this.#lastByteAt = this.#options.clock.now();
    this.#watchIdle(this.#options.idleTimeoutMs);
  }

  /** Uses one timer and restarts it if it fires early, instead of a reset per chunk. */
  #watchIdle(ms: number): void {
    const { clock, idleTimeoutMs } = this.#options;
    this.#idle = clock.timer(ms, () => {
      // During back-pressure from the client, the upstream is not responsible for the gap.
      if (this.#paused) this.#lastByteAt = clock.now();
      const left = this.#lastByteAt + idleTimeoutMs - clock.now();
      if (left > 0) return this.#watchIdle(left);
      this.#controller?.abort(
        new ProxyError('idle_timeout', `no bytes of the response body arrived for ${idleTimeoutMs} ms`, {
          sent: 'sent_unknown',
        }),
      );
    });
  }

  #onDrain(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#idle !== undefined) this.#lastByteAt = this.#options.clock.now();
    this.#controller?.resume();
  }

  onAbort(): void {
    const reason = this.#abortReason();
    // Without a controller, the request is still queued in the pool, and the caller must not wait.
    if (this.#controller === undefined) this.#finish('discarded');
    else this.#controller.abort(reason);
    this.#fail(reason);
  }

  #abortReason(): ProxyError {
    return toProxyError(this.#signal.reason, this.#sent);
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    // A call that waits for its next attempt refers to this reply. It must not hold the connection in memory.
    this.#controller = undefined;
    this.#idle?.cancel();
    this.#signal.off(this);
    if (this.#source !== undefined && 'close' in this.#source) this.#source.close();
    const first = this.#first;
    const others = this.#others;
    // A reference to an ended exchange must not keep the whole call in memory.
    this.#first = undefined;
    this.#others = undefined;
    if (first !== undefined) tellEnd(first, end);
    if (others !== undefined) for (const listener of others) tellEnd(listener, end);
  }
}
