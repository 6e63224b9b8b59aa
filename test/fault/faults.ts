import { type AddressInfo, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { onTestFinished } from 'vitest';
import { selfSigned } from '../support/certificate.ts';
import { stubDns } from '../support/dns.ts';
import { type RawStep, refusingOrigin, startRawOrigin } from '../support/raw-origin.ts';
import {
  answer,
  answerThenHalfClose,
  breakAfter,
  closeAfterRequest,
  closeOnAccept,
  drip,
  garbage,
  hangBeforeHead,
  neverRead,
  oversizedHeaders,
  replyBytes,
  resetAfterRequest,
  resetOnAccept,
  stallAfter,
} from '../support/raw-steps.ts';

/** The act of the upstream side; `steps` counts it. */
export interface FaultyUpstream {
  readonly url: string;
  readonly stepsTaken?: number;
}

/** The progress of an exchange, in the order of the docs. */
export type Moment =
  | 'connect'
  | 'TLS'
  | 'request body'
  | 'before the head'
  | 'in the head'
  | 'after the head'
  | 'in the body'
  | 'at the end';

/** The expected result of a call with the fault: `502 ×3` is the status and the attempts, `cut` a broken connection. */
export interface Fault {
  readonly moment: Moment;
  readonly fault: string;
  readonly upstream: () => Promise<FaultyUpstream>;
  /** Idempotent: GET, or PUT if a request body is needed. */
  readonly idempotent: string;
  /** POST, without an idempotency key. */
  readonly post: string;
  /** The error type in Proxy-Status (RFC 9209); '' for none. */
  readonly proxyStatus: string;
  /** `result` of breakwater_attempts_total. */
  readonly result: string;
  /** `outcome` of breakwater_requests_total. */
  readonly outcome: string;
  /** The timeout that must elapse: of an attempt, or the idle timeout of a body. */
  readonly waits?: 'attempt' | 'idle';
}

const raw = (step: RawStep) => () => startRawOrigin(step);
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n';
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';

/** Read three ways: fails, with a row's usual consequences. */
const failing = (error: string, result: string) =>
  ({ idempotent: '502 ×3', post: '502 ×1', proxyStatus: error, result, outcome: 'failed' }) as const;
/** Nothing was sent, so every method is retried. */
const notSent = (error: string, result: string) => ({ ...failing(error, result), post: '502 ×3' }) as const;
const late = (waits: 'attempt') =>
  ({
    ...failing('http_response_timeout', 'attempt_timeout'),
    idempotent: '504 ×3',
    post: '504 ×1',
    waits,
  }) as const;
/** The head was sent, so a fault can be shown only by the end of the connection. */
const CUT = {
  idempotent: '200 ×1 cut',
  post: '200 ×1 cut',
  proxyStatus: '',
  result: 'ok',
  outcome: 'failed',
};
const FINE = { idempotent: '200 ×1', post: '200 ×1', proxyStatus: '', result: 'ok', outcome: 'ok' };
const TERMINATED = failing('connection_terminated', 'connection_terminated');
const PROTOCOL = failing('http_protocol_error', 'protocol_error');

/** A TLS server with a self-signed certificate. */
async function selfSignedUpstream(): Promise<FaultyUpstream> {
  const server = createTlsServer(selfSigned(), (socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** A server without TLS, where TLS is expected. */
function tlsOver(onConnection: 'answers' | 'closes' | 'hangs') {
  return async (): Promise<FaultyUpstream> => {
    const sockets = new Set<{ destroy(): void }>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      if (onConnection === 'hangs') return;
      socket.once('data', () =>
        onConnection === 'closes' ? socket.destroy() : socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` };
  };
}

const CONNECT: readonly Fault[] = [
  {
    moment: 'connect',
    fault: 'refused',
    upstream: refusingOrigin,
    ...notSent('connection_refused', 'connection_refused'),
  },
  {
    moment: 'connect',
    fault: 'its name does not resolve',
    upstream: () => {
      stubDns('ENOTFOUND');
      return Promise.resolve({ url: 'http://name.example' });
    },
    ...notSent('dns_error', 'dns_error'),
  },
  { moment: 'connect', fault: 'accepted, then reset', upstream: raw(resetOnAccept()), ...TERMINATED },
  { moment: 'connect', fault: 'accepted, then closed', upstream: raw(closeOnAccept()), ...TERMINATED },
  {
    moment: 'TLS',
    fault: 'a certificate of an unknown authority',
    upstream: selfSignedUpstream,
    ...notSent('tls_certificate_error', 'tls_certificate_error'),
  },
  {
    moment: 'TLS',
    fault: 'plain HTTP instead',
    upstream: tlsOver('answers'),
    ...notSent('tls_protocol_error', 'tls_protocol_error'),
  },
  {
    moment: 'TLS',
    fault: 'closed in the handshake',
    upstream: tlsOver('closes'),
    ...notSent('connection_terminated', 'connection_terminated'),
  },
  {
    moment: 'TLS',
    fault: 'silence (connect timeout)',
    upstream: tlsOver('hangs'),
    ...notSent('connection_timeout', 'connect_timeout'),
    idempotent: '504 ×3',
    post: '504 ×3',
  },
];

const REQUEST_BODY: readonly Fault[] = [
  {
    moment: 'request body',
    fault: 'reset at its first byte',
    upstream: raw({ at: 'first_byte', run: (peer) => peer.reset() }),
    ...TERMINATED,
  },
  {
    moment: 'request body',
    fault: 'reset after its head',
    upstream: raw({ at: 'head', run: (peer) => peer.reset() }),
    ...TERMINATED,
  },
  {
    moment: 'request body',
    fault: 'closed after its head',
    upstream: raw({ at: 'head', run: (peer) => void peer.socket.destroy() }),
    ...TERMINATED,
  },
  {
    moment: 'request body',
    fault: 'never read (attempt timeout)',
    upstream: raw(neverRead()),
    ...late('attempt'),
  },
  {
    moment: 'request body',
    fault: 'answered with 413 before its end, then closed',
    upstream: raw(answerThenHalfClose(replyBytes(413, ['connection: close'], 'too large'), 'head')),
    ...FINE,
    idempotent: '413 ×1',
    post: '413 ×1',
    result: '4xx',
  },
  {
    moment: 'request body',
    fault: 'answered with 503 before its end, then closed',
    upstream: raw(answerThenHalfClose(replyBytes(503, ['connection: close'], 'busy'), 'head')),
    idempotent: '503 ×3',
    post: '503 ×1',
    proxyStatus: '',
    result: '5xx',
    outcome: 'upstream_error',
  },
];

const HEADS: readonly Fault[] = [
  { moment: 'before the head', fault: 'reset', upstream: raw(resetAfterRequest()), ...TERMINATED },
  { moment: 'before the head', fault: 'closed', upstream: raw(closeAfterRequest()), ...TERMINATED },
  {
    moment: 'before the head',
    fault: 'silence (attempt timeout)',
    upstream: raw(hangBeforeHead()),
    ...late('attempt'),
  },
  { moment: 'before the head', fault: 'bytes that are not HTTP', upstream: raw(garbage()), ...PROTOCOL },
  {
    moment: 'before the head',
    fault: 'hints, then silence (attempt timeout)',
    upstream: raw(stallAfter('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')),
    ...late('attempt'),
  },
  {
    moment: 'before the head',
    fault: 'a 101 without an Upgrade in the request',
    upstream: raw(answer('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n')),
    ...PROTOCOL,
  },
  {
    moment: 'before the head',
    fault: 'answered with 503',
    upstream: raw(answer(replyBytes(503, [], 'busy'))),
    idempotent: '503 ×3',
    post: '503 ×1',
    proxyStatus: '',
    result: '5xx',
    outcome: 'upstream_error',
  },
  {
    moment: 'before the head',
    fault: 'answered with 429',
    upstream: raw(answer(replyBytes(429, [], 'slow down'))),
    idempotent: '429 ×3',
    post: '429 ×1',
    proxyStatus: '',
    result: '429',
    outcome: 'upstream_error',
  },
  {
    moment: 'in the head',
    fault: 'reset',
    upstream: raw(breakAfter('HTTP/1.1 200 O', 'reset')),
    ...TERMINATED,
  },
  {
    moment: 'in the head',
    fault: 'closed',
    upstream: raw(breakAfter('HTTP/1.1 200 O', 'fin')),
    ...TERMINATED,
  },
  {
    moment: 'in the head',
    fault: 'silence (attempt timeout)',
    upstream: raw(stallAfter('HTTP/1.1 200 OK\r\ncontent-le')),
    ...late('attempt'),
  },
  {
    moment: 'in the head',
    fault: 'larger than 16 KiB',
    upstream: raw(oversizedHeaders(64 * 1024)),
    ...PROTOCOL,
  },
  {
    moment: 'in the head',
    fault: 'two lengths',
    upstream: raw(answer('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab')),
    ...PROTOCOL,
  },
  {
    moment: 'in the head',
    fault: 'a line without a colon',
    upstream: raw(answer('HTTP/1.1 200 OK\r\nnonsense\r\n\r\n')),
    ...PROTOCOL,
  },
];

const BODIES: readonly Fault[] = [
  { moment: 'after the head', fault: 'closed', upstream: raw(breakAfter(HEAD, 'fin')), ...CUT },
  {
    moment: 'after the head',
    fault: 'silence (idle timeout)',
    upstream: raw(stallAfter(HEAD)),
    ...CUT,
    waits: 'idle',
  },
  { moment: 'in the body', fault: 'closed', upstream: raw(breakAfter(`${HEAD}part`, 'fin')), ...CUT },
  {
    moment: 'in the body',
    fault: 'closed within a chunk',
    upstream: raw(breakAfter(`${CHUNKED}8\r\npart`, 'fin')),
    ...CUT,
  },
  {
    moment: 'in the body',
    fault: 'silence (idle timeout)',
    upstream: raw(stallAfter(`${HEAD}part`)),
    ...CUT,
    waits: 'idle',
  },
  {
    moment: 'in the body',
    fault: 'a malformed chunk',
    upstream: raw(answer(`${CHUNKED}4\r\npart\r\nzz\r\n`)),
    ...CUT,
  },
  {
    moment: 'at the end',
    fault: 'no last chunk',
    upstream: raw(breakAfter(`${CHUNKED}4\r\npart\r\n`, 'fin')),
    ...CUT,
  },
  {
    moment: 'at the end',
    fault: 'no last chunk, silence (idle timeout)',
    upstream: raw(stallAfter(`${CHUNKED}4\r\npart\r\n`)),
    ...CUT,
    waits: 'idle',
  },
  {
    moment: 'at the end',
    fault: 'bytes beyond it',
    upstream: raw(answer(`${replyBytes(200, [], 'whole').toString()}stray`)),
    ...FINE,
  },
  {
    moment: 'at the end',
    fault: 'closed behind a whole reply',
    upstream: raw(answerThenHalfClose(replyBytes(200, [], 'whole'))),
    ...FINE,
  },
  { moment: 'at the end', fault: 'none, byte by byte', upstream: raw(drip()), ...FINE },
];

/** Every distinct fault of an upstream, by the time at which it occurs. */
export const FAULTS: readonly Fault[] = [...CONNECT, ...REQUEST_BODY, ...HEADS, ...BODIES];
