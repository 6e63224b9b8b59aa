import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { proxyStatus } from '../http/proxy-status.ts';
import type { Clock } from '../runtime/clock.ts';
import { STATUS_CODES } from '../runtime/node-http.ts';
import type { ClientRequest, ClientResponse } from './client.ts';
import { METHODS_SERVED } from './client-exchange.ts';

/** Status by error code of node's parser. Other parser errors are a 400. */
const STATUSES: ReadonlyMap<string, number> = new Map(
  Object.entries<number>({
    HPE_HEADER_OVERFLOW: 431,
    HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
    ERR_HTTP_REQUEST_TIMEOUT: 408,
  }),
);

/** Bytes after a request that closes the connection (`Connection: close`, also in trailers) belong to no request. */
const AFTER_LAST_REQUEST = 'HPE_CLOSED_CONNECTION';

/**
 * Time to keep reading after an error reply, in milliseconds. If the connection closed at once, later bytes would cause a
 * reset. The client would then lose the unread part of the reply (RFC 9112 §9.6).
 */
const LINGER_MS = 1_000;

export interface ClientErrorDeps {
  readonly clock: Clock;
  /** Ends the call on a connection, with an error reply if none was sent. False if no call is running there. */
  readonly malformed: (socket: Socket, why: string) => boolean;
}

/** The listener of `clientError`. It answers bytes that node's parser rejects, then closes the connection. */
export function clientErrors({ clock, malformed }: ClientErrorDeps) {
  const answered = new WeakSet<Socket>();
  return (error: NodeJS.ErrnoException & { reason?: string }, socket: Socket): void => {
    const { code = '' } = error;
    // The parser repeats the error for every later chunk.
    if (answered.has(socket)) return;
    const status = STATUSES.get(code) ?? (code.startsWith('HPE_') ? 400 : undefined);
    if (status === undefined || !socket.writable) return void socket.destroy();
    answered.add(socket);
    const why = error.reason ?? error.message;
    if (malformed(socket, why)) return;
    if (code === AFTER_LAST_REQUEST) return socket.destroySoon();
    answer(socket, status, why);
    const timer = clock.timer(LINGER_MS, () => socket.destroy());
    socket.once('close', () => timer.cancel());
  };
}

const NO_FORWARD_PROXY = 'CONNECT is not supported, because this is not a forward proxy';

/** Answers CONNECT with 405: only a forward proxy supports it. */
export function refuseConnect(_req: IncomingMessage, socket: Socket): void {
  socket.on('error', () => undefined);
  answer(socket, 405, NO_FORWARD_PROXY, `allow: ${METHODS_SERVED}\r\n`);
  socket.destroySoon();
}

/** Answers an unknown expectation with 417 (RFC 9110 §10.1.1) and closes the connection, because the body is not read. */
export function refuseExpectation(_req: ClientRequest, res: ClientResponse): void {
  res.shouldKeepAlive = false;
  refuse(res, 417, 'the only supported expectation is 100-continue');
}

/** Answers CONNECT on an HTTP/2 stream with 405. */
export function refuseConnectStream(res: ClientResponse): void {
  refuse(res, 405, NO_FORWARD_PROXY, ['allow', METHODS_SERVED]);
}

/** Answers a request head over 16 KiB with 431. */
export function refuseHead(res: ClientResponse): void {
  refuse(res, 431, 'the header fields are larger than 16 KiB');
}

function refuse(res: ClientResponse, status: number, detail: string, more: readonly string[] = []): void {
  const { fields, body } = problem(status, detail);
  res.writeHead(status, [...fields.flat(), ...more]).end(body);
}

/** Writes a reply to a connection without a request, where node has no response object. */
function answer(socket: Socket, status: number, detail: string, more = ''): void {
  const { fields, body } = problem(status, detail);
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n${lines}${more}\r\n${body}`);
}

function problem(status: number, detail: string) {
  const details = { type: 'about:blank', title: STATUS_CODES[status], status, detail, code: 'bad_request' };
  const body = `${JSON.stringify(details)}\n`;
  const fields: [name: string, value: string][] = [
    ['content-type', 'application/problem+json'],
    ['content-length', String(Buffer.byteLength(body))],
    ['proxy-status', proxyStatus({ error: 'http_request_error', details: detail })],
  ];
  return { fields, body };
}
