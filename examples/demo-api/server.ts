import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { helpText } from './help.ts';
import { BadParameter, durationMs, integer, oneOf } from './parameters.ts';
import { perform } from './perform.ts';
import { type Looks, resourceFor, usualStatus } from './resources.ts';
import {
  Cycles,
  type LogEntry,
  MAX_LOG_ENTRIES,
  Outage,
  RequestLog,
  seededChance,
  type World,
} from './state.ts';
import { askedAt } from './streams/apis.ts';
import { bodyOfRequest, sendJson } from './wire.ts';
import { type Action, readWish, statusOf } from './wish.ts';

export interface DemoApiOptions {
  /** 0 takes any free port. */
  readonly port: number;
  readonly host: string;
  /** The same seed gives the same failures for the same requests. Default: 1. */
  readonly seed?: number;
  /** The default query of every request. The request's own query has priority. */
  readonly habits?: string;
  /** Time and waiting. Default: the system's. */
  readonly time?: Pick<World, 'now' | 'after'>;
}

export interface DemoApi {
  /** `http://host:port`, without a trailing slash. */
  readonly url: string;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

const systemTime: Pick<World, 'now' | 'after'> = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Longer than a proxy in front keeps an idle connection, so that only the requested failures occur. */
const KEEP_ALIVE_MS = 75_000;

/** Starts an HTTP API that fails as each request specifies. Rejects if it cannot listen. */
export function startDemoApi({
  port,
  host,
  seed = 1,
  habits = '',
  time = systemTime,
}: DemoApiOptions): Promise<DemoApi> {
  const chance = seededChance(seed);
  const api = new Api(
    { now: () => time.now(), after: (ms, cb) => time.after(ms, cb), random: chance },
    habits,
  );
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    api.answer(request, response).catch((error: unknown) => {
      process.emitWarning(error instanceof Error ? error : String(error));
      response.destroy();
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address() as AddressInfo;
      const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      api.url = `http://${name}:${address.port}`;
      const close = () =>
        new Promise<void>((closed) => {
          server.close(() => closed());
          server.closeAllConnections();
        });
      resolve({ url: api.url, close });
    });
  });
}

class Api {
  url = '';
  readonly #world: World;
  readonly #habits: string;
  readonly #cycles = new Cycles();
  readonly #outage = new Outage();
  readonly #looks: Looks = new Map();
  readonly #log = new RequestLog();

  constructor(world: World, habits: string) {
    this.#world = world;
    this.#habits = habits;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(`http://demo${request.url ?? ''}`);
    if (url === null) return sendProblem(response, 400, { detail: 'the request target is not a path' });
    try {
      if (url.pathname === '/' && url.search === '') return this.#help(request, response);
      if (url.pathname === '/_outage') return this.#switchOutage(request, response, url.searchParams);
      if (url.pathname === '/_log') return this.#showLog(response, url.searchParams);
      return await this.#serve(request, response, url);
    } catch (error) {
      if (!(error instanceof BadParameter)) throw error;
      request.resume();
      sendProblem(response, 400, { detail: error.message, parameter: error.parameter });
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const outage = this.#outage.at(this.#world.now());
    if (outage !== undefined) {
      request.resume();
      this.#note(request, `outage ${outage.kind}`, undefined);
      const error = 'the demo API is switched off (see /_outage)';
      if (outage.kind === '503') sendJson(response, 503, { error });
      return;
    }
    const orders = ordersOf(request);
    const wish = readWish(url.pathname, merged(orders, url.searchParams), this.#habits);
    const { action, seen } = this.#cycles.arrive(`${request.url} ${orders}`, wish, this.#world.random);
    const status = statusOf(action, usualStatus(request, url.pathname));
    const entry = this.#note(request, outcomeOf(action, status), seen);
    const body = await bodyOfRequest(request);
    if (body === undefined) return;
    const asked = askedAt(url.pathname, wish, body);
    const { random } = this.#world;
    const resource =
      asked?.api.reply?.(asked.question) ??
      resourceFor(request, url.pathname, body, { random, looks: this.#looks });
    const onEvent = () => void (entry.events_sent = (entry.events_sent ?? 0) + 1);
    await perform({ action, wish, resource, asked, status, seen, onEvent }, response, this.#world);
  }

  #note(request: IncomingMessage, outcome: string, seen: number | undefined): LogEntry {
    return this.#log.add({
      at: new Date().toISOString(),
      method: request.method ?? '',
      path: request.url ?? '',
      idempotency_key: request.headers['idempotency-key']?.toString(),
      outcome,
      requests_seen: seen,
    });
  }

  #help(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(helpText(this.url));
  }

  #switchOutage(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    request.resume();
    const get = (name: string) => query.get(name) ?? undefined;
    if (request.method === 'DELETE') this.#outage.end();
    else if (request.method === 'PUT') {
      const kind = oneOf('kind', get('kind'), ['503', 'blackhole']) ?? '503';
      const forMs = durationMs('for', get('for')) ?? Number.POSITIVE_INFINITY;
      if (oneOf('on', get('on'), ['true', 'false']) === 'false') this.#outage.end();
      else this.#outage.begin(kind, this.#world.now() + forMs);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      return sendProblem(response, 405, { detail: 'use PUT to switch it on, DELETE to end it, GET to look' });
    }
    const outage = this.#outage.at(this.#world.now());
    sendJson(response, 200, {
      on: outage !== undefined,
      kind: outage?.kind,
      left_ms: outage?.leftMs && Math.ceil(outage.leftMs),
    });
  }

  #showLog(response: ServerResponse, query: URLSearchParams): void {
    const entries = this.#log.last(integer('last', query.get('last') ?? undefined, 1, MAX_LOG_ENTRIES) ?? 50);
    response.writeHead(200, { 'content-type': 'application/json' });
    // One request per line, for a terminal.
    response.end(`[${entries.map((entry) => `\n  ${JSON.stringify(entry)}`).join(',')}\n]\n`);
  }
}

function outcomeOf(action: Action, status: number): string {
  if (action.kind === 'reply') return String(status);
  return 'at' in action && action.at !== 'middle' ? `${action.kind}@${action.at}` : action.kind;
}

/** The header that says how to fail, for clients that cannot set a query, such as SDKs. */
const ordersOf = (request: IncomingMessage) => request.headers['demo-api']?.toString() ?? '';

/** The query has priority over the header. */
function merged(orders: string, query: URLSearchParams): URLSearchParams {
  const all = new URLSearchParams(orders);
  for (const [name, value] of query) all.set(name, value);
  return all;
}

function sendProblem(
  response: ServerResponse,
  status: number,
  members: Readonly<Record<string, string>>,
): void {
  const title = status === 400 ? 'Bad parameter' : 'Method not allowed';
  sendJson(response, status, { title, status, ...members }, { type: 'application/problem+json' });
}
