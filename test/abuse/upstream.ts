import { once } from 'node:events';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';

/** So many bytes, each in a chunk of its own. */
const BLOCK = 10_000;
export const ONE_BYTE_CHUNKS = Buffer.from('1\r\nx\r\n'.repeat(BLOCK));

export interface Upstreams {
  /** `/ok` takes any body. `/bytes/N` sends N times 10 000 bytes in chunks of one byte. */
  readonly port: number;
  /** Accepts connections and says nothing. */
  readonly silentPort: number;
  stop(): void;
}

export async function startUpstreams(): Promise<Upstreams> {
  const server = createHttpServer((req, res) => {
    const blocks = Number(/\/bytes\/(\d+)/.exec(req.url ?? '')?.[1] ?? 0);
    req.resume().on('end', () => (blocks === 0 ? res.end('ok') : void sendBytes(res, blocks)));
  });
  const silent = createServer((socket) => socket.on('error', () => undefined));
  const port = await listen(server);
  const silentPort = await listen(silent);
  const stop = () => {
    server.close();
    server.closeAllConnections();
    silent.close();
  };
  return { port, silentPort, stop };
}

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Past node's own framing, which would not send such chunks in one packet. */
async function sendBytes(res: ServerResponse, blocks: number): Promise<void> {
  const { socket } = res;
  if (socket === null) return;
  res.writeHead(200, { 'transfer-encoding': 'chunked', connection: 'close' }).flushHeaders();
  for (let n = 0; n < blocks && !socket.destroyed; n++) {
    if (!socket.write(ONE_BYTE_CHUNKS)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
  }
  socket.end('0\r\n\r\n');
}
