import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { ProxyError, shuttingDown } from '../proxy/errors.ts';
import type { Route } from '../proxy/route.ts';
import type { Router } from '../routing/router.ts';
import { Abort } from '../runtime/abort.ts';
import { CallRecord } from '../telemetry/call-record.ts';
import { watchBody } from './body-watch.ts';
import type { ClientConnection, ClientRequest, ClientResponse } from './client.ts';
import { ClientExchange, type ExchangeDeps, type RequestAndResponse } from './client-exchange.ts';
import { requestError } from './invalid-request.ts';
import { asksServer, requestTarget } from './request-target.ts';
import { type ListEntry, UnorderedList } from './unordered-list.ts';
import { handshake } from './upgrade.ts';

export interface ListenerDeps extends ExchangeDeps {
  /** Asked per request, so that a reload takes effect between two requests and never within one. */
  readonly router: () => Router<Route>;
}

/** A client that sends more requests than this ahead of their answers wants something else than answers. */
const MAX_PIPELINED = 100;

/** A call that runs. */
interface Running extends ListEntry {
  readonly req: ClientRequest;
  readonly res: ClientResponse;
  readonly signal: Abort;
  readonly exchange: ClientExchange;
}

/** node:http request → Call → Route.send → response. */
export class Listener {
  readonly #deps: ListenerDeps;
  readonly #running = new UnorderedList<Running>();
  /** How many requests wait for the answer of one before them. */
  readonly #waiting = new WeakMap<ClientConnection, number>();
  /** Connections whose bytes have no meaning any more. */
  readonly #spoiled = new WeakSet<ClientConnection>();
  readonly #onIdle: Array<() => void> = [];

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
  }

  /** Calls between their head and the last byte of their response. */
  get inFlight(): number {
    return this.#running.size;
  }

  /** Settles as soon as no call runs. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Ends the calls that still run. */
  abortAll(reason: ProxyError): void {
    for (const { signal } of this.#running) signal.abort(reason);
  }

  /** Never throws: an error in one call ends that call and no other. */
  readonly handle = (req: ClientRequest, res: ClientResponse): void => this.#serve({ req, res });

  /** The same for a call that came by another protocol. */
  readonly serve = (pair: RequestAndResponse): void => this.#serve(pair);

  /** The same for a request whose connection is to become a tunnel. */
  readonly upgrade = (req: IncomingMessage, socket: Socket, head: Buffer): void =>
    this.#serve(handshake(req, socket, head));

  /**
   * What came on `socket` is not HTTP any more. True if a call runs there, whose answer will be the last: at once, if it
   * was in its own body.
   */
  malformed(socket: Socket, why: string): boolean {
    const running = [...this.#running].find(({ req }) => req.socket === socket);
    if (running === undefined) return false;
    const { req, res, exchange } = running;
    // Its answer is complete, and unless it was the last, the nonsense has one of its own.
    if (res.writableEnded) return !res.shouldKeepAlive;
    this.#spoiled.add(socket);
    res.shouldKeepAlive = false;
    if (req.complete) res.once('close', () => socket.destroySoon());
    else exchange.end(new ProxyError('bad_request', why));
    return true;
  }

  /**
   * Answers leave in the order of their requests, and calls run in it too, one per connection: a later one may build on
   * an earlier (RFC 9112 §9.3.2), and a thousand sent at once are not a thousand running.
   */
  #serve(pair: RequestAndResponse): void {
    const { req, res } = pair;
    const { socket } = req;
    // What follows an answer that was to be the last is not served: nobody could be told what became of it.
    if (!socket.writable) return;
    if (res.socket !== null) return this.#begin(pair);
    const waiting = (this.#waiting.get(socket) ?? 0) + 1;
    if (waiting > MAX_PIPELINED) return void socket.destroy();
    this.#waiting.set(socket, waiting);
    res.once('socket', () => {
      this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1);
      if (!this.#spoiled.has(socket)) this.#begin(pair);
    });
  }

  /** An event handler calls this: an error that left it would end the process. */
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
    const { clock, newId, observer, router } = this.#deps;
    const method = req.method as string;
    const { host, target } = requestTarget(req);
    const match = router().match(method, host, target);
    const { upstream, name, calls } = 'route' in match ? match.route : NO_ROUTE;
    // In the log the upstream's name stands for the mount.
    const path = 'route' in match ? match.path : target;
    const record = new CallRecord(
      { id: newId(), upstream, route: name, method, target: path },
      clock,
      observer,
    );
    const signal = new Abort();
    const exchange = new ClientExchange(pair, record, signal, this.#deps);
    const running = { req, res, signal, exchange, index: 0 };
    this.#running.add(running);
    calls.inFlight++;
    res.on('close', () => {
      this.#running.delete(running);
      calls.inFlight--;
      this.#close(exchange, record);
      if (!req.complete && !req.destroyed) this.#dropRest(req);
      if (this.#running.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
    });
    const invalid = requestError(req);
    if (invalid !== undefined) exchange.end(invalid);
    else if (asksServer(method, target)) exchange.answerOptions();
    else if (pair.upgrade !== undefined && this.#deps.draining()) {
      // A request is soon over; a tunnel would only be cut.
      exchange.refuse(shuttingDown());
    } else if (match.kind !== 'route') exchange.refuse(new ProxyError(REFUSAL[match.kind], match.why));
    else {
      const refusal = match.route.clientCheck?.refusal(req.rawHeaders, host);
      if (refusal === undefined) void exchange.run(match.route, match.target);
      else exchange.refuse(refusal);
    }
  }

  /** The rest of a body whose request is answered already is read and dropped, for as long as it comes. */
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
    // node:http forgets a request that is answered: its connection's end no longer ends it.
    const done = () => {
      stop();
      socket.off('close', done);
    };
    req.once('close', done);
    socket.once('close', done);
  }

  /** What an observer throws here would otherwise end the process. */
  #close(exchange: ClientExchange, record: CallRecord): void {
    try {
      exchange.close();
    } catch (error) {
      this.#deps.onBug(error, record);
    }
  }
}

const REFUSAL = { none: 'route_not_found', bad_target: 'bad_request', denied: 'egress_denied' } as const;

const NO_ROUTE = { upstream: '', name: '', calls: { inFlight: 0, tunnels: 0 } };
