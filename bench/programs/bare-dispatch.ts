import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { HOP_BY_HOP } from '../lib/hop-by-hop.ts';

/**
 * The minimum of a correct proxy on node:http and undici: it forwards end-to-end fields, streams bodies both ways with
 * back-pressure, and forwards an early end. No policy, metric or log. `node bare-dispatch.ts PORT ORIGIN_PORT`.
 */
const [port, originPort] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${originPort}`, {
  connections: 4096,
  pipelining: 1,
  keepAliveTimeout: 60_000,
  headersTimeout: 0,
  bodyTimeout: 0,
});

/** RFC 9110 §7.6.1: the fields that `Connection` names, in addition to the standard ones. */
function namedByConnection(value: string): Set<string> {
  const names = new Set(HOP_BY_HOP);
  for (const name of value.toLowerCase().split(',')) names.add(name.trim());
  return names;
}

function requestHeaders(req: IncomingMessage): string[] {
  const { connection } = req.headers;
  const plain = connection === undefined || connection === 'keep-alive' || connection === 'close';
  const removed = plain ? HOP_BY_HOP : namedByConnection(connection);
  const raw = req.rawHeaders;
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!removed.has(name.toLowerCase())) headers.push(name, raw[i + 1] as string);
  }
  return headers;
}

function replyHeaders(raw: readonly Buffer[]): string[] {
  let removed: ReadonlySet<string> = HOP_BY_HOP;
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as Buffer).toString('latin1');
    const lower = name.toLowerCase();
    const value = (raw[i + 1] as Buffer).toString('latin1');
    if (lower === 'connection' && value !== 'keep-alive' && value !== 'close')
      removed = namedByConnection(value);
    if (!removed.has(lower)) headers.push(name, value);
  }
  if (removed === HOP_BY_HOP) return headers;
  return headers.filter((_, i) => !removed.has((headers[i & ~1] as string).toLowerCase()));
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #res: ServerResponse;
  #controller: Dispatcher.DispatchController | undefined;
  #clientGone = false;

  constructor(res: ServerResponse) {
    this.#res = res;
    res.on('drain', () => this.#controller?.resume());
    res.on('close', () => {
      if (res.writableFinished) return;
      this.#clientGone = true;
      this.#controller?.abort(new Error('client gone'));
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#clientGone) controller.abort(new Error('client gone'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#res.writeHead(status, replyHeaders(controller.rawHeaders as Buffer[]));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#res.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#res.end();
  }

  onResponseError(): void {
    if (this.#res.headersSent) this.#res.destroy();
    else this.#res.writeHead(502).end();
  }
}

const server = createServer((req, res) => {
  const bodiless =
    req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined;
  const { method, url } = req as { method: string; url: string };
  pool.dispatch(
    { method, path: url, headers: requestHeaders(req), body: bodiless ? null : req },
    new Exchange(res),
  );
});
server.keepAliveTimeout = 120_000;
server.listen(port, '127.0.0.1');
