import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

/** The content of a callback about a request that has ended. */
export interface Callback {
  readonly type: string;
  readonly data: { readonly id: string; readonly attempts: number };
}

export interface Receiver {
  /** The URL for callbacks. */
  readonly url: string;
  /** Resolves with the callback about request `id`. */
  untilCalled(id: string): Promise<Callback>;
  close(): Promise<void>;
}

/** Receives callbacks of an app: checks their signature, and handles each once, even if it is delivered several times. */
export async function startReceiver(secret: string): Promise<Receiver> {
  const webhook = new Webhook(secret);
  const callbacks = new Map<string, Callback>();
  const waiting = new Map<string, (callback: Callback) => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      try {
        const headers = request.headers as Record<string, string>;
        const message = webhook.verify(Buffer.concat(chunks).toString(), headers) as Callback;
        callbacks.set(message.data.id, message);
        waiting.get(message.data.id)?.(message);
        response.writeHead(204).end();
      } catch {
        response.writeHead(401).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/payments`,
    untilCalled: (id) =>
      new Promise((resolve) => {
        const known = callbacks.get(id);
        if (known === undefined) waiting.set(id, resolve);
        else resolve(known);
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
