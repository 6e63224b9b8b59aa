import type { Socket } from 'node:net';
import { Coalesced } from '../http/bodies/coalesced.ts';
import { httpStatusOf } from '../http/grpc.ts';
import { type RawHeaders, replyHeaders } from '../http/headers.ts';
import { preferencesOf } from '../http/preferences.ts';
import { proxyStatus } from '../http/proxy-status.ts';
import type { BodyEnd, Interim, Reply } from '../http/reply.ts';
import { type ErrorCode, ProxyError } from '../proxy/errors.ts';
import { NOTED_HEADERS } from '../proxy/notes.ts';
import type { Route } from '../proxy/route.ts';
import type { Abort } from '../runtime/abort.ts';
import { STATUS_CODES } from '../runtime/node-http.ts';
import type { Ending } from '../telemetry/call-outcome.ts';
import type { CallRecord, Observer } from '../telemetry/call-record.ts';
import type { ClientRequest, ClientResponse } from './client.ts';
import { addVeto, isFinal } from './client-retries.ts';
import { grpcProblem } from './grpc-problem.ts';
import { IncomingCall, type IncomingDeps } from './incoming-call.ts';
import { writeInterims } from './interim.ts';
import { fallbackStatus, type Problem, problemOf } from './problem.ts';
import { watchSend } from './send-watch.ts';
import type { Tunnel } from './tunnel.ts';
import { type Handshake, switchProtocols } from './upgrade.ts';

export interface ExchangeDeps extends IncomingDeps {
  readonly observer: Observer;
  /** The process is told to end: every response closes its connection, so that the client's next one goes elsewhere. */
  readonly leaving: () => boolean;
  /** No tunnel may begin any more. */
  readonly draining: () => boolean;
  /** A client that takes nothing of a response for so long, although bytes wait for it, is cut off. */
  readonly sendTimeoutMs: () => number;
  /** Whether replies carry `breakwater-…` fields. */
  readonly responseHeaders: () => boolean;
  /** An error that is no ProxyError: our own fault, to be logged with its stack. */
  readonly onBug: (error: unknown, record?: CallRecord) => void;
}

/** What may be asked here; which of it an upstream knows is its own matter. */
export const METHODS_SERVED = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

const NOTHING = new Uint8Array(0);

/** The client's side of a call; `upgrade` where it asks for a tunnel. */
export type RequestAndResponse =
  | { readonly req: ClientRequest; readonly res: ClientResponse; readonly upgrade?: undefined }
  | Handshake;

/** One request of a client and the response that it gets. */
export class ClientExchange {
  readonly #req: ClientRequest;
  readonly #res: ClientResponse;
  readonly #record: CallRecord;
  readonly #signal: Abort;
  readonly #deps: ExchangeDeps;
  readonly #handshake: Handshake | undefined;
  readonly #incoming: IncomingCall;
  #route: Route | undefined;
  #tunnel: Tunnel | undefined;
  #stopWatching: (() => void) | undefined;
  #ending: { status: number; origin: Ending['origin']; error: Ending['error'] } = {
    status: 0,
    origin: 'proxy',
    error: undefined,
  };

  constructor(pair: RequestAndResponse, record: CallRecord, signal: Abort, deps: ExchangeDeps) {
    const { req, res, upgrade } = pair;
    this.#req = req;
    this.#res = res;
    this.#handshake = pair.upgrade === undefined ? undefined : pair;
    this.#record = record;
    this.#signal = signal;
    this.#deps = deps;
    const onStall = (error: ProxyError) => this.end(error);
    const onInterim = (interim: Interim) => writeInterims(res, [interim]);
    this.#incoming = new IncomingCall(
      {
        req,
        upgrade: upgrade?.protocol,
        record,
        signal,
        onStall,
        onInterim,
        answered: () => res.headersSent,
      },
      deps,
    );
  }

  async run(route: Route, target: string): Promise<void> {
    let reply: Reply | undefined;
    this.#route = route;
    try {
      // A tunnel cannot be put off.
      const chosen = this.#handshake === undefined ? preferred(route, this.#req.rawHeaders) : route;
      const call = await this.#incoming.toCall(chosen, target);
      reply = await chosen.send(call, this.#incoming.firstAttempt(chosen, call));
      this.#answer(reply, route);
    } catch (error) {
      const known = error instanceof ProxyError ? error : undefined;
      if (known === undefined) this.#deps.onBug(error, this.#record);
      this.refuse(known);
      reply?.body.discard();
    }
  }

  /** Answers a client that has made its own call impossible, and lets go of it and of the upstream. */
  end(error: ProxyError): void {
    this.#res.shouldKeepAlive = false;
    this.refuse(error);
    this.#signal.abort(error);
  }

  /** Answers in the upstream's place; `undefined` means that we have a bug. The first refusal counts. Never throws. */
  refuse(error: ProxyError | undefined): void {
    if (this.#ending.error !== undefined) return;
    const res = this.#res;
    this.#ending.error = error?.code ?? 'bug';
    if (error?.code === 'client_gone' || res.headersSent || res.destroyed) return void res.destroy();
    try {
      this.#sendProblem(error);
    } catch (bug) {
      this.#deps.onBug(bug, this.#record);
      res.destroy();
    }
  }

  /** `OPTIONS *` is about this server, and no upstream is asked. */
  answerOptions(): void {
    const headers = ['allow', METHODS_SERVED, 'content-length', '0'];
    this.#addOwnHeaders(headers, 'proxy');
    this.#ending.status = 200;
    this.#writeHead(200, '', headers);
    this.#res.end();
  }

  #sendProblem(error: ProxyError | undefined): void {
    const problem = this.#problem(error);
    const headers = [...problem.headers];
    this.#tellClients(headers, error?.code);
    this.#addOwnHeaders(headers, 'proxy');
    this.#ending.status = problem.status;
    this.#writeHead(problem.sentStatus, '', headers);
    this.#res.end(this.#req.method === 'HEAD' ? undefined : problem.body);
  }

  #problem(error: ProxyError | undefined): Problem {
    const problem = problemOf(error, this.#record);
    return this.#req.grpc === true ? grpcProblem(problem, error) : problem;
  }

  /** The response has ended, one way or the other. */
  close(): void {
    const finished = this.#tunnel?.finished ?? this.#res.writableFinished;
    const { errored, grpcStatus } = this.#res;
    if (!finished && this.#ending.error === undefined) this.#ending.error = this.#cut(errored);
    // How the body broke off is known to whoever broke it.
    if (grpcStatus !== undefined) this.#ending.status = httpStatusOf(grpcStatus);
    if (errored instanceof ProxyError && errored.code === 'idle_timeout') this.#ending.error = errored.code;
    this.#stopWatching?.();
    this.#incoming.dispose();
    this.#record.finish(this.#ending);
  }

  /** Ends the call without a finished response; says by whose doing. */
  #cut(errored: Error | null): ErrorCode {
    // A reply that the client's protocol cannot say, a shutdown that cuts what still runs: all else is the client's going.
    const unsayable = errored instanceof ProxyError && errored.code === 'protocol_error';
    const why = unsayable
      ? errored
      : new ProxyError('client_gone', 'the client disconnected', { sent: 'sent_unknown' });
    this.#signal.abort(why);
    return this.#signal.reason instanceof ProxyError ? this.#signal.reason.code : why.code;
  }

  #answer(reply: Reply, route: Route): void {
    const res = this.#res;
    // The client may have gone while the head came in; close() has then aborted whatever ran.
    if (res.destroyed || res.headersSent) return reply.body.discard();
    const headers = reply.origin === 'proxy' ? [...reply.headers] : replyHeaders(reply.headers);
    const received = reply.grpc === undefined ? reply.status : 200;
    this.#tellStory(reply, received, headers);
    this.#ending.status = reply.status;
    this.#ending.origin = reply.origin ?? 'upstream';
    writeInterims(res, reply.interim);
    if (reply.tunnel !== undefined) return this.#switch(reply.tunnel, headers, route.calls);
    this.#writeHead(received, reply.statusText, headers);
    reply.body.onEnd(this.#onBodyEnd);
    reply.body.pipeTo(new Coalesced(res));
    this.#watchSend();
    // A stream's head must not wait for the stream's first byte. (With bytes on their way the head goes along.)
    // (`flushHeaders` would write it as UTF-8, of which two bytes are not the one byte that came.)
    if (res.writableLength === 0 && !res.writableEnded && !res.destroyed) res.write(NOTHING);
  }

  /** Most responses are with the kernel by now, and need no timer. */
  #watchSend(): void {
    const res = this.#res;
    if (res.writableFinished || res.destroyed || (res.writableEnded && res.writableLength === 0)) return;
    const { clock, minBytesPerSecond, sendTimeoutMs } = this.#deps;
    this.#stopWatching = watchSend(res, {
      clock,
      idleMs: sendTimeoutMs(),
      minBytesPerSecond: minBytesPerSecond(),
      onStall: (error) => this.end(error),
    });
  }

  #tellStory({ status, origin }: Reply, received: number, headers: string[]): void {
    const { attempts } = this.#record;
    const { gave_up: gaveUp } = this.#record.notes;
    if (origin === 'fallback') headers.push('proxy-status', fallbackStatus(this.#record));
    else if (gaveUp !== undefined && status >= 400) {
      const details = `attempts=${attempts}; gave_up=${gaveUp}`;
      headers.push('proxy-status', proxyStatus({ receivedStatus: received, details }));
      this.#tellClients(headers, undefined, received);
    }
    this.#addOwnHeaders(headers, origin ?? 'upstream');
  }

  /** The upstream's side broke; the exchange destroys the response next, for a truncated body never ends cleanly. */
  readonly #onBodyEnd = (end: BodyEnd): void => {
    if (end === 'broken' && !this.#signal.aborted) this.#ending.error = 'response_incomplete';
    // For HTTP/1.0 a body may end with its connection, so that one closed in good order would look whole.
    if (end === 'broken' && this.#req.httpVersion === '1.0') this.#res.socket?.resetAndDestroy();
  };

  /** Both have agreed: from here on the connection speaks another protocol. It is the call until it closes. */
  #switch(upstream: Socket, headers: string[], calls: Route['calls']): void {
    this.#tunnel = switchProtocols(this.#handshake as Handshake, upstream, headers, {
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
    if (this.#deps.leaving()) this.#res.shouldKeepAlive = false;
    // Octets beyond ASCII mean nothing in a reason phrase (RFC 9112 §4), and undici has decoded them by guess. An empty
    // phrase is allowed there; of a status that it does not know, node:http would make "unknown".
    const phrase = /^[\t\x20-\x7e]+$/.test(statusText) ? statusText : (STATUS_CODES[status] ?? '');
    this.#res.writeHead(status, phrase, headers);
  }

  /** A failure that has been dealt with here is not to be multiplied by the client's SDK. */
  #tellClients(headers: string[], error?: ErrorCode, status?: number): void {
    const own = this.#route?.ownRetries;
    if (own === undefined || !isFinal(this.#record.notes.gave_up, error, status)) return;
    addVeto(headers, own.veto);
    // gRFC A6: a negative pushback.
    if (this.#req.grpc === true) addVeto(headers, ['grpc-retry-pushback-ms'], '-1');
  }

  #addOwnHeaders(headers: string[], origin: Ending['origin']): void {
    if (!this.#deps.responseHeaders()) return;
    const { attempts, notes } = this.#record;
    headers.push('breakwater-attempts', String(attempts), 'breakwater-origin', origin);
    for (const { field, header } of NOTED_HEADERS) {
      const noted = notes[field];
      if (noted !== undefined) headers.push(header, String(noted));
    }
  }
}

/** `route`, or its durable half if the client prefers that. Throws `bad_request` if the client insists and there is none. */
function preferred(route: Route, headers: RawHeaders): Route {
  const preferences = preferencesOf(headers);
  if (preferences?.respondAsync !== true) return route;
  if (route.durable !== undefined) return route.durable;
  if (!preferences.strict) return route;
  throw new ProxyError('bad_request', 'this route is not durable, so it cannot respond asynchronously');
}
