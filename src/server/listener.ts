import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { requestIdOf } from '../http/request-id.ts';
import { traceparentOf } from '../http/trace-context.ts';
import type { NamedClient } from '../proxy/client.ts';
import { ProxyError, shuttingDown } from '../proxy/errors.ts';
import type { Route } from '../proxy/route.ts';
import type { Match, Router } from '../routing/router.ts';
import { type CallInfo, CallRecord } from '../telemetry/call-record.ts';
import type { CallTrace } from '../telemetry/tracing/call-trace.ts';
import type { TracedRoute } from '../telemetry/tracing/tracing.ts';
import { watchBody } from './body-watch.ts';
import type { ClientConnection, ClientRequest, ClientResponse } from './client.ts';
import { ClientExchange, type ExchangeDeps, type RequestAndResponse } from './client-exchange.ts';
import { requestError } from './invalid-request.ts';
import type { Door } from './door.ts';
import { asksServer, type RequestTarget, requestTarget } from './request-target.ts';
import { UnorderedList } from './unordered-list.ts';
import { handshake } from './upgrade.ts';

export interface ListenerDeps extends ExchangeDeps {
  /** Decides which clients are served. */
  readonly door: () => Door;
  /** Called once per request, so that a reload never takes effect in the middle of one. */
  readonly router: () => Router<Route>;
  /** `route`: only the pattern of its route is recorded of a call, because paths may hold personal data. */
  readonly logPath: () => 'full' | 'route';
  /** Begins the trace of a call, by the client's `traceparent`; undefined if the call is not traced. */
  readonly beginTrace: (traceparent: string | undefined, route: TracedRoute) => CallTrace | undefined;
}

/** A request with its route and its client. */
interface Arrival extends RequestTarget {
  /** `unknown`: clients need a token, and the request has none of theirs. */
  readonly match: Match<Route> | { readonly kind: 'unknown'; readonly error: ProxyError };
  /** Undefined if clients need no token. */
  readonly client: NamedClient | undefined;
}

/** Pipelined requests per connection. A client that sends more is disconnected. */
const MAX_PIPELINED = 100;

/** node:http request → Call → Route.send → response. */
export class Listener {
  readonly #deps: ListenerDeps;
  readonly #running = new UnorderedList<ClientExchange>();
  /** The number of requests per connection that wait for an earlier response. */
  readonly #waiting = new WeakMap<ClientConnection, number>();
  /** Connections with a syntax error: later bytes have no meaning. */
  readonly #spoiled = new WeakSet<ClientConnection>();
  readonly #onIdle: Array<() => void> = [];

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
  }

  /** Calls between their head and the last byte of their response. */
  get inFlight(): number {
    return this.#running.size;
  }

  /** Resolves as soon as no call is running. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Aborts all running calls. */
  abortAll(reason: ProxyError): void {
    for (const { signal } of this.#running) signal.abort(reason);
  }

  /** Never throws: an error in one call ends that call and no other. */
  readonly handle = (req: ClientRequest, res: ClientResponse): void => this.#serve({ req, res });

  /** Serves a request that came over HTTP/2. Never throws. */
  readonly serve = (pair: RequestAndResponse): void => this.#serve(pair);

  /** Serves a request that asks for a tunnel. Never throws. */
  readonly upgrade = (req: IncomingMessage, socket: Socket, head: Buffer): void =>
    this.#serve(handshake(req, socket, head));

  /**
   * Handles a syntax error on `socket`. True if a call is running there. Its response is then the last on the connection;
   * an error in its own body ends the call at once.
   */
  malformed(socket: Socket, why: string): boolean {
    const running = [...this.#running].find(({ req }) => req.socket === socket);
    if (running === undefined) return false;
    const { req, res } = running;
    // Its response is complete. The malformed bytes get their own, unless the connection closes anyway.
    if (res.writableEnded) return !res.shouldKeepAlive;
    this.#spoiled.add(socket);
    res.shouldKeepAlive = false;
    if (req.complete) res.once('close', () => socket.destroySoon());
    else running.end(new ProxyError('bad_request', why));
    return true;
  }

  /**
   * Runs one call per connection at a time, in the order of the requests. A later request may depend on an earlier one
   * (RFC 9112 §9.3.2), and pipelining must not multiply running calls.
   */
  #serve(pair: RequestAndResponse): void {
    // A request after the last response of a connection is not served, because its response could not be sent.
    if (!pair.req.socket.writable) return;
    if (pair.res.socket === null) this.#queue(pair);
    else this.#begin(pair);
  }

  #queue(pair: RequestAndResponse): void {
    const { socket } = pair.req;
    const waiting = (this.#waiting.get(socket) ?? 0) + 1;
    if (waiting > MAX_PIPELINED) return void socket.destroy();
    this.#waiting.set(socket, waiting);
    pair.res.once('socket', () => {
      this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1);
      if (!this.#spoiled.has(socket)) this.#begin(pair);
    });
  }

  /** Runs in an event handler, where an uncaught error would end the process. */
  #begin(pair: RequestAndResponse): void {
    try {
      this.#open(pair);
    } catch (error) {
      this.#deps.onBug(error);
      pair.res.destroy();
    }
  }

  #open(pair: RequestAndResponse): void {
    const { req, res } = pair;
    const { clock, observer } = this.#deps;
    const arrival = this.#arrive(req);
    const { calls } = 'route' in arrival.match ? arrival.match.route : NO_ROUTE;
    const record = new CallRecord(this.#infoOf(req, arrival), clock, observer);
    const exchange = new ClientExchange(pair, record, this.#deps);
    this.#running.add(exchange);
    calls.inFlight++;
    res.on('close', () => this.#closed(exchange, calls));
    const invalid = requestError(req);
    if (invalid !== undefined) exchange.end(invalid);
    else this.#answer(exchange, arrival);
  }

  /** Finds the route of a request and its client. */
  #arrive(req: ClientRequest): Arrival {
    const { door, router } = this.#deps;
    const { host, target } = requestTarget(req);
    const match = router().match(req.method as string, host, target);
    const client = door().identify(req.rawHeaders);
    if (!(client instanceof ProxyError)) return { host, target, match, client };
    if (isOperator(match, req)) return { host, target, match, client: undefined };
    // Nothing of an unknown client is counted for an upstream, and it does not learn which routes exist.
    return { host, target, match: { kind: 'unknown', error: client }, client: undefined };
  }

  #answer(exchange: ClientExchange, { host, target, match, client }: Arrival): void {
    const { method, rawHeaders } = exchange.req;
    if (match.kind === 'unknown') return exchange.refuse(match.error);
    if (asksServer(method, target)) return exchange.answerOptions();
    // Unlike a request, a tunnel would not end in time and would be cut.
    if (exchange.upgrade !== undefined && this.#deps.draining()) return exchange.refuse(shuttingDown());
    if (match.kind !== 'route') return exchange.refuse(new ProxyError(REFUSAL[match.kind], match.why));
    const refusal = this.#deps.door().refusal(client, match.route, { headers: rawHeaders, host });
    if (refusal !== undefined) return exchange.refuse(refusal);
    if (match.unlisted) exchange.record.note('shadow_rejected', 'egress_denied');
    exchange.run(match.route, match, client);
  }

  #closed(exchange: ClientExchange, calls: Route['calls']): void {
    const { req, record } = exchange;
    this.#running.delete(exchange);
    calls.inFlight--;
    // An error of an observer would otherwise end the process.
    try {
      exchange.close();
    } catch (error) {
      this.#deps.onBug(error, record);
    }
    if (!req.complete && !req.destroyed) this.#dropRest(req);
    if (this.#running.size === 0) while (this.#onIdle.length > 0) this.#onIdle.pop()?.();
  }

  #infoOf(req: ClientRequest, { match, target, client }: Arrival): CallInfo {
    const { beginTrace, logPath, newId } = this.#deps;
    const route = 'route' in match ? match.route : NO_ROUTE;
    const { upstream, name, pattern } = route;
    // The path below the mount, because the log names the upstream too.
    const path = 'route' in match ? match.path : target;
    const traceparent = traceparentOf(req.rawHeaders);
    const trace = beginTrace(traceparent, route);
    return {
      id: requestIdOf(req.rawHeaders) ?? newId(),
      upstream,
      route: name,
      method: req.method as string,
      target: logPath() === 'route' ? pattern : recordedPath(path),
      client: req.socket.remoteAddress,
      clientName: client?.name,
      traceparent: trace?.traceparent ?? traceparent,
      trace,
    };
  }

  /** Reads and drops the rest of a body whose request is already answered, as long as it arrives in time. */
  #dropRest(req: ClientRequest): void {
    const { clock, bodyTimeoutMs, minBytesPerSecond } = this.#deps;
    const { socket } = req;
    const stop = watchBody(req, {
      clock,
      idleMs: bodyTimeoutMs(),
      minBytesPerSecond: minBytesPerSecond(),
      awaited: () => true,
      onStall: () => socket.destroy(),
    });
    // node:http emits no 'close' on an answered request when its connection ends.
    const done = () => {
      stop();
      socket.off('close', done);
    };
    req.once('close', done);
    socket.once('close', done);
  }
}

/** Longer paths are cut in records, because thousands of records are in memory. */
const MAX_RECORDED_PATH = 2_048;

function recordedPath(path: string): string {
  if (path.length <= MAX_RECORDED_PATH) return path;
  // A copy, because a slice would hold the whole text in memory.
  return Buffer.from(`${path.slice(0, MAX_RECORDED_PATH)}…`).toString();
}

const REFUSAL = { none: 'route_not_found', bad_target: 'bad_request', denied: 'egress_denied' } as const;

/** Whether an operator sent a request. Operators need no token of a client. */
function isOperator(match: Match<Route>, { rawHeaders }: ClientRequest): boolean {
  return 'route' in match && match.route.isOperator?.(rawHeaders) === true;
}

const NO_ROUTE = {
  upstream: '',
  name: '',
  pattern: '/…',
  propagatesTrace: false,
  calls: { inFlight: 0, tunnels: 0 },
};
