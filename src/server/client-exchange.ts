import type { Socket } from 'node:net';
import { Coalesced } from '../http/bodies/coalesced.ts';
import { httpStatusOf } from '../http/grpc.ts';
import { lengthlessHeaders, type RawHeaders, replyHeaders } from '../http/headers.ts';
import { mountedLinks } from '../http/links.ts';
import { preferencesOf } from '../http/preferences.ts';
import { proxyStatus } from '../http/proxy-status.ts';
import { type BodyEnd, type Interim, isBroken, isFailedEnd, type Reply } from '../http/reply.ts';
import type { Call } from '../proxy/call.ts';
import type { NamedClient } from '../proxy/client.ts';
import { type ErrorCode, ProxyError } from '../proxy/errors.ts';
import { NOTED_HEADERS } from '../proxy/notes.ts';
import type { Receiver } from '../proxy/pipeline.ts';
import type { EnteredTenant, Route, TenantRoutes } from '../proxy/route.ts';
import { Abort } from '../runtime/abort.ts';
import { STATUS_CODES } from '../runtime/node-http.ts';
import { soon, type SoonTask } from '../runtime/soon.ts';
import type { CallResult } from '../telemetry/call-outcome.ts';
import type { CallRecord, Observer } from '../telemetry/call-record.ts';
import { bodySink } from './chunked-body.ts';
import type { ClientRequest, ClientResponse } from './client.ts';
import { addVeto, isFinal } from './client-retries.ts';
import { grpcProblem } from './grpc-problem.ts';
import { IncomingCall, type IncomingDeps, type IncomingOwner } from './incoming-call.ts';
import { writeInterims } from './interim.ts';
import { fallbackStatus, type Problem, problemOf } from './problem.ts';
import { watchSend } from './send-watch.ts';
import type { Tunnel } from './tunnel.ts';
import type { ListEntry } from './unordered-list.ts';
import { type Handshake, switchProtocols } from './upgrade.ts';

export interface ExchangeDeps extends IncomingDeps {
  readonly observer: Observer;
  /** Whether the process is shutting down. Every response then closes its connection, so that clients reconnect elsewhere. */
  readonly leaving: () => boolean;
  /** Whether new tunnels are refused. */
  readonly draining: () => boolean;
  /** A client that reads no byte of a waiting response for this long is disconnected. */
  readonly sendTimeoutMs: () => number;
  /** Whether replies carry `breakwater-…` header fields. */
  readonly responseHeaders: () => boolean;
  /** Reports an error that is not a ProxyError: a bug, to be logged with its stack. */
  readonly onBug: (error: unknown, record?: CallRecord) => void;
}

/** Value of `Allow`. An upstream may support fewer methods. */
export const METHODS_SERVED = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** A reason phrase that has the same meaning in every encoding (RFC 9112 §4). */
const ASCII_PHRASE = /^[\t\x20-\x7e]+$/;

const NO_CONTENT = 204;
const NO_BYTES = new Uint8Array(0);

/** A client's request with its response; `upgrade` if it asks for a tunnel. */
export type RequestAndResponse =
  | { readonly req: ClientRequest; readonly res: ClientResponse; readonly upgrade?: undefined }
  | Handshake;

/** The part of a request for the upstream. */
interface RoutedTarget {
  readonly target: string;
  /** Undefined if the mount names none. */
  readonly tenant?: string | undefined;
}

/** One request of a client and its response. */
export class ClientExchange implements Receiver, IncomingOwner, ListEntry, CallResult, SoonTask {
  readonly req: ClientRequest;
  readonly res: ClientResponse;
  readonly record: CallRecord;
  readonly signal = new Abort();
  /** Its place in the list of running calls. */
  index = 0;
  status = 0;
  origin: CallResult['origin'] = 'proxy';
  error: CallResult['error'] = undefined;
  bodyFailed = false;
  readonly #deps: ExchangeDeps;
  readonly #handshake: Handshake | undefined;
  readonly #incoming: IncomingCall;
  #route: Route | undefined;
  /** `#route` or its durable counterpart. */
  #chosen: Route | undefined;
  #tenant: EnteredTenant | undefined;
  #tunnel: Tunnel | undefined;
  /** Bytes of the response body; those of a reply are counted by its sink. */
  #sent: { readonly bytes: number } | undefined;
  #stopWatching: (() => void) | undefined;

  constructor(pair: RequestAndResponse, record: CallRecord, deps: ExchangeDeps) {
    this.req = pair.req;
    this.res = pair.res;
    this.#handshake = pair.upgrade === undefined ? undefined : pair;
    this.record = record;
    this.#deps = deps;
    this.#incoming = new IncomingCall(this, deps);
  }

  get upgrade(): Call['upgrade'] {
    return this.#handshake?.upgrade.protocol;
  }

  onInterim(interim: Interim): void {
    writeInterims(this.res, [interim]);
  }

  /** Sends the call of the request through `route`. `tenant`: the text that names it in the mount. Never throws. */
  run(route: Route, { target, tenant }: RoutedTarget, client: NamedClient | undefined): void {
    this.#route = route;
    try {
      const own = route.tenants === undefined ? route : this.#enter(route.tenants, tenant);
      // A tunnel cannot be answered later.
      const chosen = this.#handshake === undefined ? preferred(own, this.req.rawHeaders) : own;
      this.#chosen = chosen;
      const call = this.#incoming.toCall(chosen, target, client);
      if (call !== undefined) this.#send(chosen, call);
    } catch (error) {
      this.failed(error);
    }
  }

  /** The route of the call's tenant, which keeps its state until `close`. */
  #enter(tenants: TenantRoutes, named: string | undefined): Route {
    const tenant = tenants.enter(named, this.req.rawHeaders);
    this.#tenant = tenant;
    this.#route = tenant.route;
    this.record.note('tenant', tenant.name);
    return tenant.route;
  }

  arrived(call: Call): void {
    try {
      this.#send(this.#chosen as Route, call);
    } catch (error) {
      this.failed(error);
    }
  }

  #send(route: Route, call: Call): void {
    route.dispatch(call, this.#incoming.firstAttempt(route, call), this);
  }

  replied(reply: Reply): void {
    try {
      this.#answer(reply, this.#route as Route);
    } catch (error) {
      this.failed(error);
      reply.body.discard();
    }
  }

  failed(error: unknown): void {
    const known = error instanceof ProxyError ? error : undefined;
    if (known === undefined) this.#deps.onBug(error, this.record);
    this.refuse(known);
  }

  /** Ends a call because of its client: sends the error, aborts the upstream, and closes the connection. */
  end(error: ProxyError): void {
    this.res.shouldKeepAlive = false;
    this.refuse(error);
    this.signal.abort(error);
  }

  /** Sends an error in place of a reply. `undefined` means a bug. Only the first call has an effect. Never throws. */
  refuse(error: ProxyError | undefined): void {
    if (this.error !== undefined) return;
    const res = this.res;
    this.error = error?.code ?? 'bug';
    if (error?.code === 'client_gone' || res.headersSent || res.destroyed) return void res.destroy();
    try {
      this.#sendProblem(error);
    } catch (bug) {
      this.#deps.onBug(bug, this.record);
      res.destroy();
    }
  }

  /** Answers `OPTIONS *`, which is about this server and not about an upstream (RFC 9110 §9.3.7). */
  answerOptions(): void {
    const headers = ['allow', METHODS_SERVED, 'content-length', '0'];
    this.#addOwnHeaders(headers, 'proxy');
    this.status = 200;
    this.#writeHead(200, '', headers);
    this.res.end();
  }

  #sendProblem(error: ProxyError | undefined): void {
    const problem = this.#problem(error);
    const headers = [...problem.headers];
    this.#addRetryVetoes(headers, error?.code);
    this.#addOwnHeaders(headers, 'proxy');
    this.status = problem.status;
    this.#writeHead(problem.sentStatus, '', headers);
    const body = this.req.method === 'HEAD' ? undefined : problem.body;
    if (body !== undefined) this.#sent = { bytes: body.length };
    this.res.end(body);
  }

  #problem(error: ProxyError | undefined): Problem {
    const problem = problemOf(error, this.record);
    return this.req.grpc === true ? grpcProblem(problem, error) : problem;
  }

  /** Finishes the record of the call after its response has ended, completely or not. */
  close(): void {
    const finished = this.#tunnel?.finished ?? this.res.writableFinished;
    const { errored, grpcStatus } = this.res;
    if (!finished && this.error === undefined) this.error = this.#cut(errored);
    // These two say more precisely how the body ended.
    if (grpcStatus !== undefined) this.status = httpStatusOf(grpcStatus);
    if (errored instanceof ProxyError && errored.code === 'idle_timeout') this.error = errored.code;
    this.#stopWatching?.();
    this.#incoming.dispose();
    this.#tenant?.leave();
    this.#countBytes();
    this.record.finish(this);
  }

  #countBytes(): void {
    this.record.bytesIn = this.#tunnel?.bytesIn ?? this.#incoming.bytes;
    this.record.bytesOut = this.#tunnel?.bytesOut ?? this.#sent?.bytes ?? 0;
  }

  /** Ends a call whose response is not complete. Returns the reason. */
  #cut(errored: Error | null): ErrorCode {
    // Every other cause, except a shutdown, is a client that disconnected.
    const unrepresentable = errored instanceof ProxyError && errored.code === 'protocol_error';
    const why = unrepresentable
      ? errored
      : new ProxyError('client_gone', 'the client disconnected', { sent: 'sent_unknown' });
    this.signal.abort(why);
    return this.signal.reason instanceof ProxyError ? this.signal.reason.code : why.code;
  }

  #headersOf({ origin, status, headers }: Reply, { links }: Route): string[] {
    if (origin === 'proxy') return [...headers];
    const passed = status === NO_CONTENT ? lengthlessHeaders(headers) : replyHeaders(headers);
    const mounted = links === undefined ? passed : mountedLinks(passed, links);
    if (mounted === passed) return passed;
    this.record.note('links', 'rewritten');
    return [...mounted];
  }

  #answer(reply: Reply, route: Route): void {
    const res = this.res;
    // If the client disconnected before the head arrived, close() has already aborted the call.
    if (res.destroyed || res.headersSent) return reply.body.discard();
    const headers = this.#headersOf(reply, route);
    const received = reply.received ?? reply.status;
    this.#addProxyStatus(reply, received, headers);
    this.status = reply.status;
    this.origin = reply.origin ?? 'upstream';
    if (reply.interim !== undefined) writeInterims(res, reply.interim);
    if (reply.tunnel !== undefined) return this.#switch(reply.tunnel, headers, route.calls);
    this.#writeHead(received, reply.statusText, headers);
    reply.body.onEnd(this);
    const sink = new Coalesced(bodySink(res));
    this.#sent = sink;
    reply.body.pipeTo(sink);
    soon(this);
  }

  /**
   * For a response that goes on: sends its head before its first byte, and starts the send watch. Most bodies arrive with their
   * head. They have left for the kernel by now, and need no more.
   */
  onSoon(): void {
    const res = this.res;
    if (res.writableFinished || res.destroyed || (res.writableEnded && res.writableLength === 0)) return;
    // `flushHeaders` would write latin1 header bytes as UTF-8.
    if (this.#sent?.bytes === 0 && !res.writableEnded) res.write(NO_BYTES);
    this.#watchSend();
  }

  #watchSend(): void {
    const { clock, minBytesPerSecond, sendTimeoutMs } = this.#deps;
    this.#stopWatching = watchSend(this.res, {
      clock,
      idleMs: sendTimeoutMs(),
      minBytesPerSecond: minBytesPerSecond(),
      onStall: (error) => this.end(error),
    });
  }

  #addProxyStatus({ status, origin }: Reply, received: number, headers: string[]): void {
    const { attempts } = this.record;
    const { gave_up: gaveUp } = this.record.notes;
    if (origin === 'fallback') headers.push('proxy-status', fallbackStatus(this.record));
    else if (gaveUp !== undefined && status >= 400) {
      const details = `attempts=${attempts}; gave_up=${gaveUp}`;
      headers.push('proxy-status', proxyStatus({ receivedStatus: received, details }));
      this.#addRetryVetoes(headers, undefined, received);
    }
    this.#addOwnHeaders(headers, origin ?? 'upstream');
  }

  /** Notes a broken reply body. The exchange destroys the response next, so that a truncated body never ends cleanly. */
  ended(end: BodyEnd): void {
    if (isBroken(end) && !this.signal.aborted) this.error = 'response_incomplete';
    if (isFailedEnd(end)) this.bodyFailed = true;
    // An HTTP/1.0 body can end with its connection, so a normal close would make a truncated body look complete.
    if (isBroken(end) && this.req.httpVersion === '1.0') this.res.socket?.resetAndDestroy();
  }

  /** Joins both connections to a tunnel. The call lasts until the tunnel closes. */
  #switch(upstream: Socket, headers: string[], calls: Route['calls']): void {
    this.#tunnel = switchProtocols(this.#handshake as Handshake, upstream, headers, {
      clock: this.#deps.clock,
      signal: this.signal,
      onBroken: () => {
        if (!this.signal.aborted) this.error = 'connection_terminated';
      },
      onEnd: () => calls.tunnels--,
    });
    calls.tunnels++;
  }

  #writeHead(status: number, statusText: string, headers: string[]): void {
    if (this.#deps.leaving()) this.res.shouldKeepAlive = false;
    // A reason phrase has no meaning beyond ASCII (RFC 9112 §4), and undici guesses its encoding, so it is replaced.
    // The empty phrase of an unknown status is valid; node:http would write "unknown".
    const usual = STATUS_CODES[status] ?? '';
    const phrase = statusText === usual || ASCII_PHRASE.test(statusText) ? statusText : usual;
    this.res.writeHead(status, phrase, headers);
  }

  /** Adds fields that stop retries by the client's SDK. The proxy has retried already, and both would multiply. */
  #addRetryVetoes(headers: string[], error?: ErrorCode, status?: number): void {
    const own = this.#route?.ownRetries;
    if (own === undefined || !isFinal(this.record.notes.gave_up, error, status)) return;
    addVeto(headers, own.veto);
    // A negative pushback forbids retries (gRFC A6).
    if (this.req.grpc === true) addVeto(headers, ['grpc-retry-pushback-ms'], '-1');
  }

  #addOwnHeaders(headers: string[], origin: CallResult['origin']): void {
    if (!this.#deps.responseHeaders()) return;
    const { attempts, info, notes } = this.record;
    headers.push('breakwater-request-id', info.id);
    headers.push('breakwater-attempts', String(attempts), 'breakwater-origin', origin);
    for (const { field, header } of NOTED_HEADERS) {
      const noted = notes[field];
      // It is a target of the upstream that has failed.
      if (field === 'target' && origin === 'fallback') continue;
      if (noted !== undefined) headers.push(header, String(noted));
    }
  }
}

/**
 * `route`, or its durable counterpart if the client prefers an asynchronous response (RFC 7240).
 * Throws `bad_request` if the client insists and the route is not durable.
 */
function preferred(route: Route, headers: RawHeaders): Route {
  const preferences = preferencesOf(headers);
  if (preferences?.respondAsync !== true) return route;
  if (route.durable !== undefined) return route.durable;
  if (!preferences.strict) return route;
  throw new ProxyError('bad_request', 'this route is not durable, so it cannot respond asynchronously');
}
