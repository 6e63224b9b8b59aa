import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Address } from '../config/config.ts';
import { createServer } from '../runtime/node-http.ts';
import { wantsTunnel } from '../proxy/upgrade.ts';

/** Longer than any HTTP client keeps an idle connection, so that it is never we who close one just as it is used again. */
const KEEP_ALIVE_MS = 10 * 60_000;

/** A head that is not here by then is not coming. */
const HEADERS_TIMEOUT_MS = 60_000;

export interface Handlers {
  readonly handle: RequestListener;
  readonly upgrade: (req: IncomingMessage, socket: Socket, head: Buffer) => void;
}

/** The server that apps connect to. It rejects with the system's error when the address cannot be had. */
export async function listen(address: Address, { handle, upgrade }: Handlers): Promise<Server> {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // An upload may take as long as it takes.
      requestTimeout: 0,
      shouldUpgradeCallback: wantsTunnel,
    },
    handle,
  );
  server.on('upgrade', upgrade);
  server.on('clientError', answerClientError);
  server.listen(address.port, address.host);
  await once(server, 'listening');
  return server;
}

/** `http://127.0.0.1:8080`, with the port that was really given. */
export function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [status: string, title: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'Header fields too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'Request head timed out'],
};

/** What node's parser refuses never becomes a request: the answer is written by hand, and the connection closed. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // A response under way must not have another one written into it.
  const busy =
    (socket as Socket & { _httpMessage?: { headersSent: boolean } })._httpMessage?.headersSent === true;
  if (!socket.writable || error.code === 'ECONNRESET' || busy) return void socket.destroy();
  const [status, title] = CLIENT_ERRORS[error.code ?? ''] ?? ['400 Bad Request', 'Malformed request'];
  const body = `${JSON.stringify({ type: 'about:blank', title, status: Number.parseInt(status, 10), code: 'bad_request' })}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nproxy-status: breakwater; error=http_request_error\r\n\r\n${body}`,
  );
}
