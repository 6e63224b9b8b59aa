import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hasListed, headerOf, replyHeaders, requestHeaders } from '../http/headers.ts';
import { isIdempotent } from '../http/methods.ts';
import { proxyStatus } from '../http/proxy-status.ts';
import type { BodyEnd, Reply } from '../http/reply.ts';
import { EMPTY_BODY, type RequestBody } from '../http/request-body.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { StreamedBody } from '../http/streamed-body.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { watchBody } from './body-watch.ts';
import { ProxyError } from './errors.ts';
import type { Observer } from './observer.ts';
import { problemOf } from './problem.ts';
import type { CallRecord, Ending } from './record.ts';
import type { Route } from './route.ts';
import type { Tunnel } from './tunnel.ts';
import { type Handshake, switchProtocols } from './upgrade.ts';

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly observer: Observer;
  /** Shared by all calls: what may be kept for replay. */
  readonly memory: ByteBudget;
  readonly newId: () => string;
  /** Our entry in a request's Via, unique to this process so that a loop is seen. */
  readonly via: string;
  /** From then on every response closes its connection. */
  readonly draining: () => boolean;
  /** Whether replies carry `breakwater-…` fields. */
  readonly responseHeaders: () => boolean;
  /** A client that sends nothing of its body for so long, while nobody holds it back, is sent away. */
  readonly bodyTimeoutMs: () => number;
  /** An error that is no ProxyError: our own fault, to be logged with its stack. */
  readonly onBug: (error: unknown, record: CallRecord) => void;
}

/**
 * A body declared up to this size is awaited before the first attempt: the client's slowness then is not the
 * upstream's, and one buffer costs undici less than a stream. Larger and chunked ones stream.
 */
const MAX_AWAITED_BYTES = 64 * 1024;

const NOTHING = new Uint8Array(0);

/** The client's side of a call; `upgrade` where it asks for a tunnel. */
export type Parties =
  | { readonly req: IncomingMessage; readonly res: ServerResponse; readonly upgrade?: undefined }
  | Handshake;

/** One request of a client and the response that it gets. */
export class ClientExchange {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #record: CallRecord;
  readonly #signal: Abort;
  readonly #deps: ExchangeDeps;
  readonly #upgrade: Handshake['upgrade'] | undefined;
  #body: RequestBody = EMPTY_BODY;
  #tunnel: Tunnel | undefined;
  #stopWatching: (() => void) | undefined;
  #ending: { status: number; origin: Ending['origin']; error: Ending['error'] } = {
    status: 0,
    origin: 'proxy',
    error: undefined,
  };

  constructor({ req, res, upgrade }: Parties, record: CallRecord, signal: Abort, deps: ExchangeDeps) {
    this.#req = req;
    this.#res = res;
    this.#upgrade = upgrade;
    this.#record = record;
    this.#signal = signal;
    this.#deps = deps;
  }

  async run(route: Route, target: string): Promise<void> {
    let reply: Reply | undefined;
    try {
      reply = await this.#send(route, target);
      this.#answer(reply, route);
    } catch (error) {
      if (error instanceof ProxyError) return this.refuse(error);
      this.#deps.onBug(error, this.#record);
      this.refuse(undefined);
      reply?.body.discard();
    }
  }

  /** Answers a client that has made its own call impossible, and lets go of it and of the upstream. */
  end(error: ProxyError): void {
    this.#res.shouldKeepAlive = false;
    this.refuse(error);
    this.#signal.abort(error);
  }

  /** Answers in the upstream's place; `undefined` means that we have a bug. The first refusal counts. */
  refuse(error: ProxyError | undefined): void {
    if (this.#ending.error !== undefined) return;
    const res = this.#res;
    this.#ending.error = error?.code ?? 'bug';
    if (error?.code === 'client_gone' || res.headersSent || res.destroyed) return void res.destroy();
    const problem = problemOf(error, this.#record);
    const headers = [...problem.headers];
    this.#addOwnHeaders(headers, 'proxy');
    this.#ending.status = problem.status;
    this.#writeHead(problem.status, '', headers);
    res.end(this.#req.method === 'HEAD' ? undefined : problem.body);
  }

  /** The response has ended, one way or the other. */
  close(): void {
    const finished = this.#tunnel?.finished ?? this.#res.writableFinished;
    if (!finished && this.#ending.error === undefined) {
      const gone = new ProxyError('client_gone', 'the client went away', { sent: 'sent_unknown' });
      this.#signal.abort(gone);
      // Unless it was we who went: a shutdown that cuts what still runs.
      this.#ending.error = this.#signal.reason instanceof ProxyError ? this.#signal.reason.code : gone.code;
    }
    // How the body broke off is known to whoever broke it.
    const { errored } = this.#res;
    if (errored instanceof ProxyError && errored.code === 'idle_timeout') this.#ending.error = errored.code;
    this.#stopWatching?.();
    this.#body.dispose();
    this.#record.finish(this.#ending);
  }

  async #send(route: Route, target: string): Promise<Reply> {
    const { clock, via } = this.#deps;
    const req = this.#req;
    if (hasListed(req.rawHeaders, 'via', via)) {
      throw new ProxyError('proxy_loop', 'this request has passed through this proxy before');
    }
    const headers = requestHeaders(req.rawHeaders, route.headers, via);
    const idempotencyKey = this.#idempotencyKey(route, headers);
    const declared = headerOf(req.rawHeaders, 'content-length');
    const chunked = headerOf(req.rawHeaders, 'transfer-encoding') !== undefined;
    if (chunked || (declared !== undefined && declared !== '0')) {
      await this.#receiveBody(route, chunked ? undefined : Number(declared));
    }
    return route.send({
      method: req.method as string,
      target,
      headers,
      body: this.#body,
      upgrade: this.#upgrade?.protocol,
      idempotencyKey,
      attempt: 1,
      lastAttempt: true,
      deadline: clock.now() + route.totalTimeoutMs,
      signal: this.#signal,
      report: this.#record.report,
    });
  }

  #idempotencyKey({ idempotency }: Route, headers: string[]): string | undefined {
    const { mode, header } = idempotency;
    if (mode === 'none' || isIdempotent(this.#req.method as string)) return undefined;
    const given = headerOf(headers, header);
    if (given !== undefined && given !== '') return given;
    if (mode === 'pass') return undefined;
    if (mode === 'require') {
      const message = `this route needs the header ${header}: a fresh value per operation, the same on each repeat of it`;
      throw new ProxyError('idempotency_key_required', message);
    }
    if (given === '')
      headers.splice(
        headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === header),
        2,
      );
    const made = this.#deps.newId();
    headers.push(header, made);
    return made;
  }

  async #receiveBody(route: Route, declaredBytes: number | undefined): Promise<void> {
    const body = new StreamedBody(this.#req, {
      declaredBytes,
      now: () => this.#deps.clock.now(),
      maxBytes: route.maxReplayBytes,
      memory: this.#deps.memory,
      onNotKept: (reason) => this.#record.report({ type: 'body_not_kept', reason }),
    });
    this.#body = body;
    const { clock, bodyTimeoutMs } = this.#deps;
    const onStall = (error: ProxyError) => this.end(error);
    this.#stopWatching = watchBody(this.#req, { clock, idleMs: bodyTimeoutMs(), onStall });
    if (declaredBytes === undefined || declaredBytes > MAX_AWAITED_BYTES) return;
    await body.settled();
    if (!this.#req.complete) throw new ProxyError('client_gone', 'the client broke off its request body');
  }

  #answer(reply: Reply, route: Route): void {
    const res = this.#res;
    // The client may have gone while the head came in; close() has then aborted whatever ran.
    if (res.destroyed || res.headersSent) return reply.body.discard();
    const headers = replyHeaders(reply.headers);
    const { attempts, gaveUp } = this.#record;
    if (gaveUp !== undefined && reply.status >= 400) {
      const details = `attempts=${attempts}; gave_up=${gaveUp}`;
      headers.push('proxy-status', proxyStatus({ receivedStatus: reply.status, details }));
    }
    this.#addOwnHeaders(headers, 'upstream');
    this.#ending.status = reply.status;
    this.#ending.origin = 'upstream';
    if (reply.tunnel !== undefined) return this.#switch(reply.tunnel, headers, route.calls);
    this.#writeHead(reply.status, reply.statusText, headers);
    reply.body.onEnd(this.#onBodyEnd);
    reply.body.pipeTo(res);
    // A stream's head must not wait for the stream's first byte. (With bytes on their way the head goes along.)
    // (`flushHeaders` would write it as UTF-8, of which two bytes are not the one byte that came.)
    if (res.writableLength === 0 && !res.writableEnded && !res.destroyed) res.write(NOTHING);
  }

  /** The upstream's side broke; the exchange destroys the response next, for a truncated body never ends cleanly. */
  readonly #onBodyEnd = (end: BodyEnd): void => {
    if (end === 'broken' && !this.#signal.aborted) this.#ending.error = 'response_incomplete';
    // For HTTP/1.0 a body may end with its connection, so that one closed in good order would look whole.
    if (end === 'broken' && this.#req.httpVersionMinor === 0) this.#res.socket?.resetAndDestroy();
  };

  /** Both have agreed: from here on the connection speaks another protocol. It is the call until it closes. */
  #switch(upstream: Socket, headers: string[], calls: Route['calls']): void {
    const parties = { req: this.#req, res: this.#res, upgrade: this.#upgrade as Handshake['upgrade'] };
    this.#tunnel = switchProtocols(parties, upstream, headers, {
      clock: this.#deps.clock,
      signal: this.#signal,
      onBroken: () => {
        if (!this.#signal.aborted) this.#ending.error = 'connection_terminated';
      },
      onEnd: () => calls.tunnels--,
    });
    calls.tunnels++;
  }

  #writeHead(status: number, statusText: string, headers: string[]): void {
    if (this.#deps.draining()) this.#res.shouldKeepAlive = false;
    // Octets beyond ASCII mean nothing in a reason phrase (RFC 9112 §4), and undici has decoded them by guess.
    if (!/^[\t\x20-\x7e]+$/.test(statusText)) this.#res.writeHead(status, headers);
    else this.#res.writeHead(status, statusText, headers);
  }

  #addOwnHeaders(headers: string[], origin: Ending['origin']): void {
    if (!this.#deps.responseHeaders()) return;
    const { attempts, gaveUp } = this.#record;
    headers.push('breakwater-attempts', String(attempts), 'breakwater-origin', origin);
    if (gaveUp !== undefined) headers.push('breakwater-gave-up', gaveUp);
  }
}
