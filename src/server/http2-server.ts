import type { Server } from 'node:http';
import type { performServerHandshake, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { headerOf } from '../http/headers.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { outliveStreams } from '../runtime/http2-handles.ts';
import { refuseConnectStream, refuseExpectation, refuseHead } from './client-error.ts';
import type { RequestAndResponse } from './client-exchange.ts';
import { Http2Request } from './http2-request.ts';
import { Http2Response } from './http2-response.ts';
import { isSecure } from './server-tls.ts';

export interface Http2ClientsDeps {
  readonly clock: Clock;
  /** Time for the first bytes of a connection and for its SETTINGS, in milliseconds. */
  readonly headTimeoutMs: () => number;
  /** A connection without calls is closed after this time. */
  readonly keepAliveMs: number;
  readonly serve: (pair: RequestAndResponse) => void;
}

type Handshake = typeof performServerHandshake;

/** The first bytes of a client that uses HTTP/2 with prior knowledge (RFC 9113 §3.4). HTTP/1.1 has no such method. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\n', 'latin1');

/**
 * Bounds per connection. Other bounds are those of node and nghttp2. They allow 1000 stream resets in a burst and 33 per
 * second after it, 8 CONTINUATION frames, 1000 unread acknowledgements, and 10 MB of memory per session.
 */
const SESSION = {
  settings: { maxConcurrentStreams: 250, maxHeaderListSize: 32 * 1024, enablePush: false },
  // The bound of HTTP/1.1 (`too_many_fields`), and the pseudo-fields.
  maxHeaderListPairs: 1_004,
  // Fields are forwarded as the upstream sent them, repetitions included.
  strictSingleValueFields: false,
};

/** The bound of node's HTTP/1.1 parser. Our SETTINGS do not bind a client that has not acknowledged them. */
const MAX_HEAD_BYTES = 16 * 1024;

/** Serves HTTP/2 on connections of an HTTP/1.1 server. ALPN or the first bytes of a connection decide. */
export class Http2Clients {
  readonly #deps: Http2ClientsDeps;
  readonly #handshake: Handshake;
  readonly #http1: (socket: Socket) => void;
  /** Connections whose protocol is not known yet. */
  readonly #undecided = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  /** Takes over the connections of `server`, and passes those of HTTP/1.1 back. Call it before `listen`. */
  static async on(server: Server, deps: Http2ClientsDeps): Promise<Http2Clients> {
    // Loaded on demand, because most proxies do not use HTTP/2.
    return new Http2Clients(server, deps, (await import('node:http2')).performServerHandshake);
  }

  private constructor(server: Server, deps: Http2ClientsDeps, handshake: Handshake) {
    this.#deps = deps;
    this.#handshake = handshake;
    const event = isSecure(server) ? 'secureConnection' : 'connection';
    const listeners = server.listeners(event);
    server.removeAllListeners(event);
    this.#http1 = (socket) => {
      for (const listener of listeners) listener.call(server, socket);
    };
    server.on(event, isSecure(server) ? this.#chosen : this.#listen);
  }

  /** Accepts no new calls. Running calls continue. */
  retire(): void {
    for (const socket of this.#undecided) socket.destroy();
    for (const session of this.#sessions) session.close();
  }

  /** Closes all connections at once. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }

  readonly #chosen = (socket: TLSSocket): void => {
    if (socket.alpnProtocol === 'h2') this.#open(socket);
    else this.#http1(socket);
  };

  /** Detects the protocol by the first bytes, once per connection. */
  readonly #listen = (socket: Socket): void => {
    const timer = this.#deps.clock.timer(this.#deps.headTimeoutMs(), () => socket.destroy());
    let seen = Buffer.alloc(0);
    const look = () => {
      const more = socket.read() as Buffer | null;
      if (more === null) return;
      seen = Buffer.concat([seen, more]);
      const known = Math.min(seen.length, PREFACE.length);
      const http2 = seen.subarray(0, known).equals(PREFACE.subarray(0, known));
      if (http2 && known < PREFACE.length) return;
      done();
      socket.unshift(seen);
      if (http2) this.#open(socket);
      else this.#http1(socket);
    };
    const cut = () => socket.destroy();
    const done = () => {
      timer.cancel();
      this.#undecided.delete(socket);
      socket.off('readable', look).off('end', cut).off('close', done).off('error', cut);
    };
    this.#undecided.add(socket);
    socket.on('readable', look).on('end', cut).on('close', done).on('error', cut);
  };

  #open(socket: Socket): void {
    const { clock, headTimeoutMs, keepAliveMs } = this.#deps;
    // An HTTP/1.1 server allows half-open connections. An HTTP/2 session would not notice the end of such a connection.
    socket.allowHalfOpen = false;
    const session = this.#handshake(socket, SESSION);
    outliveStreams(session);
    this.#sessions.add(session);
    let streams = 0;
    let idle: Timer = clock.timer(headTimeoutMs(), () => session.destroy());
    const rest = () => {
      idle.cancel();
      idle = clock.timer(keepAliveMs, () => session.close());
    };
    session.once('remoteSettings', () => {
      if (streams === 0) rest();
    });
    session.on('stream', (stream, _headers, _flags, raw) => {
      // A connection error is also emitted on each stream. Without a listener, it would end the process.
      stream.on('error', () => undefined);
      // The client reset the stream in the same packet. 'close' may have been emitted already.
      if (stream.destroyed) return;
      idle.cancel();
      streams++;
      stream.once('close', () => {
        if (--streams === 0 && !session.destroyed) rest();
      });
      this.#serve(stream, raw, socket);
    });
    // Each stream gets the error too.
    session.on('error', () => undefined);
    session.once('close', () => {
      idle.cancel();
      this.#sessions.delete(session);
    });
  }

  #serve(stream: ServerHttp2Stream, raw: readonly string[], socket: Socket): void {
    const req = new Http2Request(stream, raw, socket.remoteAddress);
    const res = new Http2Response(stream, req, socket);
    const expectation = headerOf(req.rawHeaders, 'expect')?.toLowerCase();
    if (bytesIn(raw) > MAX_HEAD_BYTES) refuseHead(res);
    else if (req.method === 'CONNECT') refuseConnectStream(res);
    else if (expectation === '100-continue') res.writeInterim(100, []);
    else if (expectation !== undefined) refuseExpectation(req, res);
    if (!res.headersSent) this.#deps.serve({ req, res });
  }
}

function bytesIn(raw: readonly string[]): number {
  let bytes = 0;
  for (const text of raw) bytes += text.length;
  return bytes;
}
