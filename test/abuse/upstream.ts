import { once } from 'node:events';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';

/** This many bytes, each in its own chunk. */
const BLOCK = 10_000;
export const ONE_BYTE_CHUNKS = Buffer.from('1\r\nx\r\n'.repeat(BLOCK));

const SLOW_MS = 330;

export interface Upstreams {
  /**
   * `/ok` takes any body, and says which generation of the configuration sent it. `/bytes/N` sends N times 10 000 bytes in chunks
   * of one byte. `/slow/ID` takes a third of a second, and is counted.
   */
  readonly port: number;
  /** The number of requests for each `/slow/ID`. */
  readonly slow: ReadonlyMap<string, number>;
  /** Accepts connections and sends nothing. */
  readonly silentPort: number;
  stop(): void;
}

export async function startUpstreams(): Promise<Upstreams> {
  const slow = new Map<string, number>();
  const server = createHttpServer((req, res) => {
    const { generation } = req.headers;
    if (generation !== undefined) res.setHeader('generation', generation);
    const [, what, of = ''] = /\/(bytes|slow)\/([^/?]+)/.exec(req.url ?? '') ?? [];
    req.resume().on('end', () => {
      if (what === 'bytes') return void sendBytes(res, Number(of));
      if (what === undefined) return void res.end('ok');
      slow.set(of, (slow.get(of) ?? 0) + 1);
      setTimeout(() => res.end('ok'), SLOW_MS);
    });
  });
  const silent = createServer((socket) => socket.on('error', () => undefined));
  const port = await listen(server);
  const silentPort = await listen(silent);
  const stop = () => {
    server.close();
    server.closeAllConnections();
    silent.close();
  };
  return { port, slow, silentPort, stop };
}

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Writes to the socket, because node would not send such chunks in one packet. */
async function sendBytes(res: ServerResponse, blocks: number): Promise<void> {
  const { socket } = res;
  if (socket === null) return;
  res.writeHead(200, { 'transfer-encoding': 'chunked', connection: 'close' }).flushHeaders();
  // `once` rejects if the client resets the connection, which these clients do.
  const closed = once(socket, 'close').catch(() => undefined);
  for (let n = 0; n < blocks && !socket.destroyed; n++) {
    if (socket.write(ONE_BYTE_CHUNKS)) continue;
    const drained = new AbortController();
    const drain = once(socket, 'drain', drained).catch(() => undefined);
    await Promise.race([drain, closed]);
    drained.abort();
  }
  socket.end('0\r\n\r\n');
}
