import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A TCP proxy in front of an engine, which a test can cut. */
export interface EngineLink {
  /** The URL of the engine, through this proxy. */
  readonly url: string;
  /** Ends all connections, and refuses new ones. */
  cut(): void;
  restore(): void;
  /** Holds back what the engine answers for so long. */
  delayMs: number;
}

export async function linkTo(engineUrl: string): Promise<EngineLink> {
  const url = new URL(engineUrl);
  const sockets = new Set<Socket>();
  let open = true;
  const server = createServer((near) => {
    if (!open) return void near.destroy();
    const far = connect(Number(url.port), url.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
    }
    near.pipe(far);
    far.on('data', (chunk) => {
      if (link.delayMs === 0) near.write(chunk);
      else setTimeout(() => near.write(chunk), link.delayMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    open = false;
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  const through = new URL(engineUrl);
  through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link = { url: through.href, cut, restore: () => void (open = true), delayMs: 0 };
  return link;
}
