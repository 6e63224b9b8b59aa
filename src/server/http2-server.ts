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
  /** What begins every connection must be here by then. */
  readonly headTimeoutMs: () => number;
  /** A connection without calls is closed after this. */
  readonly keepAliveMs: number;
  readonly serve: (pair: RequestAndResponse) => void;
}

type Handshake = typeof performServerHandshake;

/** How a client begins that knows of HTTP/2 beforehand (RFC 9113 §3.4); no request of HTTP/1.1 has this method. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\n', 'latin1');

/**
 * Bounds for what one connection may ask of us. The rest are node's and nghttp2's own: 1000 streams reset in a burst and
 * 33 a second from then on, 8 CONTINUATION frames, 1000 unread acknowledgements, 10 MB of memory for a session.
 */
const SESSION = {
  settings: { maxConcurrentStreams: 250, maxHeaderListSize: 32 * 1024, enablePush: false },
  // As many as HTTP/1.1 may send (`too_many_fields`), and the pseudo-fields.
  maxHeaderListPairs: 1_004,
  // Fields go through as the upstream sent them, repetitions too.
  strictSingleValueFields: false,
};

/** What node's parser allows in HTTP/1.1. A client that does not acknowledge our settings is not held to those. */
const MAX_HEAD_BYTES = 16 * 1024;

/** Apps that speak HTTP/2: on connections of a server for HTTP/1.1, told by ALPN or by their first bytes. */
export class Http2Clients {
  readonly #deps: Http2ClientsDeps;
  readonly #handshake: Handshake;
  readonly #http1: (socket: Socket) => void;
  /** Connections that have not said yet what they speak. */
  readonly #silent = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  /** Takes `server`'s connections over before any has come, and gives those of HTTP/1.1 back. */
  static async on(server: Server, deps: Http2ClientsDeps): Promise<Http2Clients> {
    // Most proxies need it for neither side.
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

  /** Calls that run go on; no other may begin. */
  retire(): void {
    for (const socket of this.#silent) socket.destroy();
    for (const session of this.#sessions) session.close();
  }

  /** Cuts what is left. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }

  readonly #chosen = (socket: TLSSocket): void => {
    if (socket.alpnProtocol === 'h2') this.#open(socket);
    else this.#http1(socket);
  };

  /** Looks at the first bytes; once for a connection, so that a request costs nothing more. */
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
      this.#silent.delete(socket);
      socket.off('readable', look).off('end', cut).off('close', done).off('error', cut);
    };
    this.#silent.add(socket);
    socket.on('readable', look).on('end', cut).on('close', done).on('error', cut);
  };

  #open(socket: Socket): void {
    const { clock, headTimeoutMs, keepAliveMs } = this.#deps;
    // A server of HTTP/1.1 lets clients close their side and still answers; a session would not notice its end.
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
      // An error of the connection is each of its streams' too; unheard, it would end the process.
      stream.on('error', () => undefined);
      // The client reset it in the same packet: it waits for no answer, and the close may have been told already.
      if (stream.destroyed) return;
      idle.cancel();
      streams++;
      stream.once('close', () => {
        if (--streams === 0 && !session.destroyed) rest();
      });
      this.#serve(stream, raw, socket);
    });
    // Its streams are told of it too.
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
