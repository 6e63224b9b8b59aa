import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { strictMessage } from './strict-http.ts';

export interface EchoOrigin {
  readonly url: string;
  /** Requests whose head and body arrived completely. */
  readonly requests: number;
  /** Bytes of the proxy that are not HTTP. */
  readonly violations: readonly string[];
  readonly openConnections: number;
}

/** Answers each complete request with the result of `reply`, in one write. Accepts only strict HTTP. */
export async function startEchoOrigin(reply: (request: string) => string): Promise<EchoOrigin> {
  const sockets = new Set<Socket>();
  const violations: string[] = [];
  let requests = 0;
  const server = createServer((socket) => {
    let text = '';
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece;
      try {
        for (;;) {
          const message = strictMessage(text, 0, 'request');
          if (message === undefined) break;
          requests++;
          text = text.slice(message.end);
          socket.write(reply(`${message.head}\n${message.body}`), 'latin1');
        }
      } catch (error) {
        violations.push(String(error));
        socket.destroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    violations,
    get requests() {
      return requests;
    },
    get openConnections() {
      return sockets.size;
    },
  };
}
