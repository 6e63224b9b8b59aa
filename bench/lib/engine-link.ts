import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy in front of the database of a fleet, which can be cut and slowed down. */
export interface EngineLink {
  /** The URL of the engine, through this proxy. */
  readonly url: string;
  /** Ends all connections, and refuses new ones. */
  cut(): void;
  restore(): void;
  /** Ends everything. */
  close(): void;
  /** Holds back what the engine answers for so long. */
  delayMs: number;
  /** Passes on nothing, in both directions. Connections stay open. */
  silent: boolean;
  /** Resolves at the first connection, and when a client has ended one. */
  readonly connected: Promise<void>;
  readonly ended: Promise<void>;
}

export async function linkTo(engineUrl: string): Promise<EngineLink> {
  const url = new URL(engineUrl);
  const sockets = new Set<Socket>();
  let open = true;
  const connected = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (!open) return void near.destroy();
    connected.resolve();
    near.on('end', ended.resolve).on('close', ended.resolve);
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
    near.on('data', (chunk) => link.silent || far.write(chunk)).on('end', () => link.silent || far.end());
    far.on('end', () => link.silent || near.end());
    // Bytes stay in order, also when the delay becomes shorter.
    const delayed: (Buffer | string)[] = [];
    far.on('data', (chunk) => {
      if (link.silent) return;
      if (link.delayMs === 0 && delayed.length === 0) return near.write(chunk);
      delayed.push(chunk);
      setTimeout(() => near.write(delayed.shift() as Buffer), link.delayMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    open = false;
    for (const socket of sockets) socket.destroy();
  };
  const through = new URL(engineUrl);
  through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link: EngineLink = {
    url: through.href,
    cut,
    restore: () => void (open = true),
    close: () => {
      cut();
      server.close();
    },
    delayMs: 0,
    silent: false,
    connected: connected.promise,
    ended: ended.promise,
  };
  return link;
}
