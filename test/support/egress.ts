import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { pem } from './tls.ts';

export interface EgressStub {
  /** `host:port`, to be put behind a scheme and credentials. */
  readonly address: string;
  /** CONNECT requests so far. */
  readonly asked: readonly IncomingMessage[];
}

export interface EgressOptions {
  /** The proxy itself is reached by TLS. */
  readonly secure?: boolean;
  /** Answers instead of a tunnel. */
  readonly refuse?: (socket: Socket) => void;
  /** Interim answers, sent before the tunnel's, byte by byte. */
  readonly interim?: string;
  /** Sends the head of the tunnel together with its first bytes. */
  readonly eager?: boolean;
  /** Addresses of names that only the proxy knows. */
  readonly hosts?: Readonly<Record<string, string>>;
}

const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

/** An HTTP proxy that makes CONNECT tunnels and forwards nothing else. */
export async function startEgressProxy({
  secure = false,
  refuse,
  interim = '',
  eager = false,
  hosts = {},
}: EgressOptions = {}): Promise<EgressStub> {
  const asked: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const server = secure ? createTlsServer(pem('server')) : createServer();
  server.on('request', (_request, response) => response.writeHead(405).end());
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    asked.push(request);
    socket.on('error', () => undefined);
    if (refuse !== undefined) return refuse(socket);
    const { hostname, port } = new URL(`http://${request.url}`);
    const far = connect(Number(port), hosts[hostname] ?? hostname);
    const join = (first: string | Buffer) => {
      for (const byte of Buffer.from(interim)) socket.write(Uint8Array.of(byte));
      socket.write(Buffer.concat([ESTABLISHED, Buffer.from(first)]));
      if (head.length > 0) far.write(head);
      socket.pipe(far).pipe(socket);
    };
    if (eager) far.once('data', join);
    else far.once('connect', () => join(''));
    far.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'));
    socket.on('close', () => far.destroy());
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
