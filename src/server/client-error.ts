import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { proxyStatus } from '../http/proxy-status.ts';
import type { Clock } from '../runtime/clock.ts';
import { STATUS_CODES } from '../runtime/node-http.ts';
import type { ClientRequest, ClientResponse } from './client.ts';
import { METHODS_SERVED } from './client-exchange.ts';

/** What node's parser could not read, told by the code of its error; all else is a 400. */
const STATUSES: ReadonlyMap<string, number> = new Map(
  Object.entries<number>({
    HPE_HEADER_OVERFLOW: 431,
    HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
    ERR_HTTP_REQUEST_TIMEOUT: 408,
  }),
);

/** What follows a request that was to be the last (also by `Connection: close` among its trailers) is nobody's. */
const AFTER_THE_LAST = 'HPE_CLOSED_CONNECTION';

/**
 * An answer that is followed at once by the connection's end can be lost: bytes that arrive after it are answered with a
 * reset, which also discards what the client has not read (RFC 9112 §9.6). So we read on for as long as this.
 */
const LINGER_MS = 1_000;

export interface ClientErrorDeps {
  readonly clock: Clock;
  /** Ends the call that runs on a connection, with an answer if there is none yet; false where none runs. */
  readonly malformed: (socket: Socket, why: string) => boolean;
}

/** The listener of `clientError`: what node's parser refuses is answered, and its connection used no more. */
export function clientErrors({ clock, malformed }: ClientErrorDeps) {
  const answered = new WeakSet<Socket>();
  return (error: NodeJS.ErrnoException & { reason?: string }, socket: Socket): void => {
    const { code = '' } = error;
    // The parser tells the same error again with each piece that still comes.
    if (answered.has(socket)) return;
    const status = STATUSES.get(code) ?? (code.startsWith('HPE_') ? 400 : undefined);
    if (status === undefined || !socket.writable) return void socket.destroy();
    answered.add(socket);
    const why = error.reason ?? error.message;
    if (malformed(socket, why)) return;
    if (code === AFTER_THE_LAST) return socket.destroySoon();
    answer(socket, status, why);
    const timer = clock.timer(LINGER_MS, () => socket.destroy());
    socket.once('close', () => timer.cancel());
  };
}

const NO_FORWARD_PROXY = 'CONNECT is not supported, because this is not a forward proxy';

/** CONNECT makes a forward proxy, which this is not; its target is none that could be forwarded. */
export function refuseConnect(_req: IncomingMessage, socket: Socket): void {
  socket.on('error', () => undefined);
  answer(socket, 405, NO_FORWARD_PROXY, `allow: ${METHODS_SERVED}\r\n`);
  socket.destroySoon();
}

/** RFC 9110 §10.1.1: 100-continue is the only expectation there is. Nobody waits for the body of such a request. */
export function refuseExpectation(_req: ClientRequest, res: ClientResponse): void {
  res.shouldKeepAlive = false;
  refuse(res, 417, 'the only supported expectation is 100-continue');
}

/** CONNECT on a stream of HTTP/2, where there is a response to write to. */
export function refuseConnectStream(res: ClientResponse): void {
  refuse(res, 405, NO_FORWARD_PROXY, ['allow', METHODS_SERVED]);
}

/** Fields that are too long, all together. */
export function refuseHead(res: ClientResponse): void {
  refuse(res, 431, 'the header fields are larger than 16 KiB');
}

function refuse(res: ClientResponse, status: number, detail: string, more: readonly string[] = []): void {
  const { fields, body } = problem(status, detail);
  res.writeHead(status, [...fields.flat(), ...more]).end(body);
}

/** There is no response to write to: no request has come about. */
function answer(socket: Socket, status: number, detail: string, more = ''): void {
  const { fields, body } = problem(status, detail);
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n${lines}${more}\r\n${body}`);
}

function problem(status: number, detail: string) {
  const told = { type: 'about:blank', title: STATUS_CODES[status], status, detail, code: 'bad_request' };
  const body = `${JSON.stringify(told)}\n`;
  const fields: [name: string, value: string][] = [
    ['content-type', 'application/problem+json'],
    ['content-length', String(Buffer.byteLength(body))],
    ['proxy-status', proxyStatus({ error: 'http_request_error', details: detail })],
  ];
  return { fields, body };
}
