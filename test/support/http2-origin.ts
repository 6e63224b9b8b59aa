import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { Changes } from './changes.ts';
import { pem } from './tls.ts';

export interface Http2Request {
  readonly headers: IncomingHttpHeaders;
  /** name, value, name, value … as received, pseudo-fields included. */
  readonly rawHeaders: readonly string[];
  readonly stream: ServerHttp2Stream;
  /** From 1. */
  readonly connection: number;
  readonly body: Buffer;
  /** Whether the whole body has arrived. */
  readonly complete: boolean;
  /** The code with which either side reset the stream; undefined while none has. */
  readonly reset: number | undefined;
}

export interface Http2Origin {
  readonly url: string;
  readonly port: number;
  readonly requests: readonly Http2Request[];
  readonly sessions: readonly Http2Session[];
  /** TCP connections so far. */
  readonly connections: number;
  readonly openConnections: number;
  until(condition: (origin: Http2Origin) => boolean): Promise<void>;
  /** Closes every connection without a GOAWAY. */
  cut(how?: 'reset' | 'fin'): void;
}

export type Http2Step = (request: Http2Request, session: Http2Session) => void;

export const reply =
  (body = 'ok', headers: object = {}): Http2Step =>
  ({ stream }) => {
    stream.respond({ ':status': 200, ...headers });
    stream.end(body);
  };

/** Takes requests by HTTP/2 only over TLS (or none, with `plain`); one step per request, the last repeats. */
export async function startHttp2Origin(
  steps: readonly Http2Step[] = [reply()],
  { plain = false, ...options }: SecureServerOptions & { plain?: boolean } = {},
): Promise<Http2Origin> {
  const changes = new Changes();
  const requests: Http2Request[] = [];
  const sessions: Http2Session[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = plain ? createServer(options) : createSecureServer({ ...pem('server'), ...options });
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      changes.notify();
    });
    changes.notify();
  });
  if (options.allowHTTP1 === true) {
    server.on('request', ({ httpVersion }, response) => {
      if (httpVersion === '1.1') response.end('HTTP/1.1');
    });
  }
  server.on('session', (session: Http2Session) => {
    sessions.push(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers, _flags, rawHeaders) => {
    const chunks: Buffer[] = [];
    const session = stream.session as Http2Session;
    const connection = sessions.indexOf(session) + 1;
    let complete = false;
    let closed = false;
    const request: Http2Request = {
      headers,
      rawHeaders,
      stream,
      connection,
      get body() {
        return Buffer.concat(chunks);
      },
      get complete() {
        return complete && !stream.aborted && stream.rstCode === 0;
      },
      get reset() {
        return closed && stream.rstCode !== 0 ? stream.rstCode : undefined;
      },
    };
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      changes.notify();
    });
    stream.on('end', () => {
      complete = true;
      changes.notify();
    });
    stream.on('close', () => {
      closed = true;
      changes.notify();
    });
    const step = steps[Math.min(requests.length, steps.length - 1)] as Http2Step;
    requests.push(request);
    step(request, session);
    changes.notify();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const origin: Http2Origin = {
    url: `${plain ? 'http' : 'https'}://localhost:${port}`,
    port,
    requests,
    sessions,
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
    until: (condition) => changes.until(() => condition(origin)),
    cut: (how = 'reset') => {
      for (const socket of sockets) {
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroy();
      }
    },
  };
  return origin;
}
