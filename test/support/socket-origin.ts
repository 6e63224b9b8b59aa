import { createServer, type IncomingMessage } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { Changes } from './changes.ts';

/** How the origin handles one handshake; without `accept` nothing is answered. */
export interface OriginHandshake {
  readonly request: IncomingMessage;
  /** The bare connection. */
  readonly socket: Socket;
  /** Bytes after the request. */
  readonly head: Buffer;
  readonly accept: () => WebSocket;
}

export type OnHandshake = (handshake: OriginHandshake) => void;

export interface SocketOrigin {
  readonly url: string;
  readonly port: number;
  /** Handshakes so far, those that were not accepted included. */
  readonly handshakes: readonly IncomingMessage[];
  /** Ordinary requests so far. */
  readonly requests: readonly IncomingMessage[];
  readonly connections: number;
  readonly openConnections: number;
  until(condition: (origin: SocketOrigin) => boolean): Promise<void>;
  /** Stops listening: new connections are refused. */
  refuse(): void;
  /** Listens again on the same port. */
  accept(): Promise<void>;
}

export interface SocketOriginOptions {
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
  readonly ws?: ServerOptions;
}

/** Answers each message with itself. */
export function echo({ accept }: OriginHandshake): void {
  const peer = accept();
  peer.on('message', (data, isBinary) => peer.send(data, { binary: isBinary }));
}

/**
 * A WebSocket server on a free port, which answers ordinary requests with 426. It is closed at the end of the test. With TLS, it
 * prefers HTTP/2, for which it supports no WebSocket.
 */
export async function startSocketOrigin(
  onHandshake: OnHandshake = echo,
  { tls, ws }: SocketOriginOptions = {},
): Promise<SocketOrigin> {
  const changes = new Changes();
  const handshakes: IncomingMessage[] = [];
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let port = 0;
  const acceptor = new WebSocketServer({ ...ws, noServer: true });

  const start = async () => {
    const server = tls === undefined ? createServer() : createSecureServer({ ...tls, allowHTTP1: true });
    server.on('request', (request: IncomingMessage, response) => {
      requests.push(request);
      request.resume();
      response.writeHead(426, { 'x-from': 'origin' }).end('upgrade, please');
      changes.notify();
    });
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      handshakes.push(request);
      const accept = () => {
        const accepted: WebSocket[] = [];
        acceptor.handleUpgrade(request, socket, head, (peer) => accepted.push(peer));
        return accepted[0]!;
      };
      onHandshake({ request, socket, head, accept });
      changes.notify();
    });
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      connections++;
      sockets.add(socket);
      socket.on('error', () => undefined);
      // Connections that have been handed over may stay half open otherwise.
      socket.on('end', () => socket.end());
      socket.on('close', () => {
        sockets.delete(socket);
        changes.notify();
      });
      changes.notify();
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
    return server;
  };

  let server = await start();
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const origin: SocketOrigin = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    handshakes,
    requests,
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
    until: (condition) => changes.until(() => condition(origin)),
    refuse: () => void server.close(),
    accept: async () => {
      server = await start();
    },
  };
  return origin;
}
