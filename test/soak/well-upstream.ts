import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import type { Random } from '../../src/runtime/random.ts';

/** Calls of `/limited/` per window. The replies state the remaining number. */
const LIMIT = 10;
const WINDOW_MS = 200;

/** Delay of half of the replies to `/hedged/`. */
const SLOW_MS = 100;

/** A healthy upstream that is slow, limited or broken if the path says so. */
export class WellUpstream {
  readonly #random: Random;
  readonly #http: Server;
  readonly #grpc: NetServer;
  readonly #sockets = new Set<Socket>();
  readonly #webSockets = new WebSocketServer({ noServer: true });
  #windowAt = 0;
  #used = 0;
  #made = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#http = createServer((req, res) => void this.#serve(req, res).catch(() => res.destroy()));
    this.#http.on('upgrade', (req, socket, head) =>
      this.#webSockets.handleUpgrade(req, socket, head, (webSocket) => {
        webSocket.on('error', () => undefined);
        webSocket.on('message', (message, binary) => webSocket.send(message as Buffer, { binary }));
      }),
    );
    const grpc = createHttp2Server();
    grpc.on('stream', (stream: ServerHttp2Stream) => this.#stream(stream));
    grpc.on('sessionError', () => undefined);
    this.#grpc = grpc;
    for (const server of [this.#http, this.#grpc]) {
      server.on('connection', (socket: Socket) => {
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
      });
    }
  }

  async start(): Promise<{ readonly well: number; readonly grpc: number }> {
    const listen = (server: NetServer) =>
      new Promise<number>((resolve) =>
        server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
      );
    return { well: await listen(this.#http), grpc: await listen(this.#grpc) };
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#http.close();
    this.#grpc.close();
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const [, kind = '', token = ''] = (req.url ?? '').split('/');
    const body = await req.toArray();
    switch (kind) {
      case 'cached':
        return this.#cached(req, res, token);
      case 'once':
        // The same twice only if it was sent once.
        return void res.end(`${token} ${this.#made++}`);
      case 'hedged':
        if (this.#random() < 0.5) await pause(SLOW_MS);
        return void res.end(token);
      case 'broken':
        return this.#broken(res);
      case 'limited':
        return this.#limited(res, token);
      case 'later':
        return this.#random() < 0.3 ? void res.writeHead(503).end() : void res.end(`${token} done`);
      default:
        return void res.end(Buffer.concat(body));
    }
  }

  #cached(req: IncomingMessage, res: ServerResponse, token: string): void {
    const tag = `"${token}"`;
    if (req.headers['if-none-match'] === tag) res.writeHead(304, { etag: tag }).end();
    else res.writeHead(200, { etag: tag }).end(token.padEnd(1_000));
  }

  #broken(res: ServerResponse): void {
    const roll = this.#random();
    if (roll < 0.3) res.destroy();
    else res.writeHead(roll < 0.6 ? 500 : 503).end('broken');
  }

  #limited(res: ServerResponse, token: string): void {
    const now = performance.now();
    if (now - this.#windowAt >= WINDOW_MS) {
      this.#windowAt = now;
      this.#used = 0;
    }
    const left = LIMIT - ++this.#used;
    const resetMs = Math.ceil(this.#windowAt + WINDOW_MS - now);
    const head = {
      'x-ratelimit-limit': LIMIT,
      'x-ratelimit-remaining': Math.max(0, left),
      'x-ratelimit-reset-after': resetMs / 1_000,
      ...(left < 0 && { 'retry-after-ms': resetMs }),
    };
    res.writeHead(left < 0 ? 429 : 200, head).end(token);
  }

  /** Echoes bytes, followed by a status. Some streams are refused, some connections closed. */
  #stream(stream: ServerHttp2Stream): void {
    const roll = this.#random();
    stream.on('error', () => undefined);
    if (roll < 0.05) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    if (roll < 0.1) stream.session?.close();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  }
}
