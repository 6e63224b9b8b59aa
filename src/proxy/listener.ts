import type { IncomingMessage, ServerResponse } from 'node:http';
import { headerOf } from '../http/headers.ts';
import { Abort } from '../runtime/abort.ts';
import type { Socket } from 'node:net';
import { ClientExchange, type ExchangeDeps, type Parties } from './client-exchange.ts';
import { ProxyError } from './errors.ts';
import { CallRecord } from './record.ts';
import type { Route } from './route.ts';
import type { Router } from './router.ts';
import { handshake } from './upgrade.ts';

export interface ListenerDeps extends ExchangeDeps {
  /** Asked per request, so that a reload takes effect between two requests and never within one. */
  readonly router: () => Router<Route>;
}

/** node:http request → Call → Route.send → response. */
export class Listener {
  readonly #deps: ListenerDeps;
  readonly #running = new Set<Abort>();
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
    for (const signal of this.#running) signal.abort(reason);
  }

  /** Never throws: whatever goes wrong in one call is answered there and harms no other. */
  readonly handle = (req: IncomingMessage, res: ServerResponse): void => this.#serve({ req, res });

  /** The same for a request whose connection is to become a tunnel. */
  readonly upgrade = (req: IncomingMessage, socket: Socket, head: Buffer): void =>
    this.#serve(handshake(req, socket, head));

  #serve(parties: Parties): void {
    const { req, res } = parties;
    const { clock, newId, observer, router } = this.#deps;
    const method = req.method as string;
    const target = req.url as string;
    const match = router().match(method, headerOf(req.rawHeaders, 'host'), target);
    const { upstream, name, calls } = match.kind === 'route' ? match.route : NO_ROUTE;
    // In the log the upstream's name stands for the mount.
    const path = match.kind === 'route' ? match.target : target;
    const record = new CallRecord(
      { id: newId(), upstream, route: name, method, target: path },
      clock,
      observer,
    );
    const signal = new Abort();
    const exchange = new ClientExchange(parties, record, signal, this.#deps);
    this.#running.add(signal);
    calls.inFlight++;
    res.on('close', () => {
      this.#running.delete(signal);
      calls.inFlight--;
      exchange.close();
      if (this.#running.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
    });
    if (parties.upgrade !== undefined && this.#deps.draining()) {
      // A request is soon over; a tunnel would only be cut.
      exchange.refuse(new ProxyError('draining', 'the proxy is shutting down'));
    } else if (match.kind === 'route') void exchange.run(match.route, match.target);
    else
      exchange.refuse(new ProxyError(match.kind === 'none' ? 'route_not_found' : 'bad_request', match.why));
  }
}

const NO_ROUTE = { upstream: '', name: '', calls: { inFlight: 0, tunnels: 0 } };
