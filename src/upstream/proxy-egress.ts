import type { Socket } from 'node:net';
import type { buildConnector } from 'undici';
import connectorOf from 'undici/lib/core/connect.js';
import type { EgressProxy } from '../proxy/connection-options.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { toProxyError } from './failure.ts';
import { createLookup } from './lookup.ts';
import type { Resolve } from './shared-lookups.ts';
import { VERIFIED } from './verified.ts';

interface Options {
  /** For everything: the connection to the proxy, its tunnel, and the TLS handshake through it. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly resolve?: Resolve | undefined;
}

type Connector = buildConnector.connector;

/**
 * Connects through a CONNECT tunnel (RFC 9110 §9.3.6), for `http:` upstreams too. `secure` does the TLS handshake in the
 * tunnel. The proxy resolves the upstream's name, so it also decides which addresses are reached.
 */
export function throughProxy(proxy: EgressProxy, secure: Connector, options: Options): Connector {
  const { clock, timeoutMs, resolve } = options;
  // The operator has configured the proxy, which is usually in the private network.
  const lookup = createLookup({ allowPrivate: true, timeoutMs, clock, resolve });
  const toProxy = connectorOf({ ...VERIFIED, timeout: timeoutMs, allowH2: false, lookup });
  const address = { protocol: proxy.protocol, hostname: proxy.hostname, port: String(proxy.port) };
  const where = `egress proxy ${proxy.hostname}:${proxy.port}`;
  return (target, callback) => {
    let open: Socket | undefined;
    let settled = false;
    const settle = (error: Error | null, socket: Socket | null) => {
      if (settled) return void socket?.destroy();
      settled = true;
      late.cancel();
      if (error !== null || socket === null) {
        open?.destroy();
        callback(error ?? new Error('no socket'), null);
      } else callback(null, socket);
    };
    const late = clock.timer(timeoutMs, () =>
      settle(new ProxyError('connect_timeout', `${where}: no tunnel within ${timeoutMs} ms`), null),
    );
    toProxy({ ...address, host: `${proxy.hostname}:${proxy.port}` }, (error, socket) => {
      if (error !== null) return settle(named(error, where), null);
      if (settled) return void socket.destroy();
      open = socket;
      openTunnel(socket, authorityOf(target), proxy.authorization, (refusal) => {
        if (refusal !== undefined) return settle(named(refusal, where), null);
        if (target.protocol !== 'https:') return settle(null, socket);
        secure({ ...target, httpSocket: socket }, settle);
      });
    });
  };
}

/** Maximum size of the head of an answer to CONNECT, which normally has a few lines. */
const MAX_HEAD_BYTES = 16 * 1024;
const HEAD_END = '\r\n\r\n';

/**
 * Sends CONNECT and reads the head of the answer. node:http is not used, because it takes an interim reply (1xx, RFC 9110
 * §15.2) for the final one.
 */
function openTunnel(
  socket: Socket,
  authority: string,
  authorization: string | undefined,
  done: (refusal?: Error) => void,
): void {
  let received = Buffer.alloc(0);
  socket.on('data', onData).on('error', finish).on('close', onClose);
  socket.write(connectRequest(authority, authorization));

  function onData(chunk: Buffer): void {
    received = Buffer.concat([received, chunk]);
    for (;;) {
      const end = received.indexOf(HEAD_END);
      if (end < 0) {
        if (received.length > MAX_HEAD_BYTES) finish(notHttp(authority));
        return;
      }
      const status = STATUS_LINE.exec(received.toString('latin1', 0, end).split('\r\n', 1)[0] ?? '');
      received = received.subarray(end + HEAD_END.length);
      if (status === null || status[1] === '101') return finish(notHttp(authority));
      if (!status[1]?.startsWith('1')) return answered(status);
    }
  }
  function answered([, code = '', reason = '']: RegExpExecArray): void {
    if (!code.startsWith('2')) {
      const said = `${code} ${reason.slice(0, 200)}`.trim();
      return finish(new ProxyError('egress_proxy_refused', `answered ${said} to CONNECT ${authority}`));
    }
    finish();
  }
  function onClose(): void {
    finish(
      new ProxyError(
        'connection_terminated',
        `closed the connection before it answered CONNECT ${authority}`,
      ),
    );
  }
  function finish(refusal?: Error): void {
    socket.off('data', onData).off('error', finish).off('close', onClose);
    socket.pause();
    // Bytes after the head come from the other end of the tunnel.
    if (refusal === undefined && received.length > 0) socket.unshift(received);
    done(refusal);
  }
}

/** RFC 9112 §4. */
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: (.*))?$/;

const notHttp = (authority: string): ProxyError =>
  new ProxyError('protocol_error', `answered CONNECT ${authority} with something that is not HTTP/1.1`);

function connectRequest(authority: string, authorization: string | undefined): string {
  const credentials = authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`;
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`;
}

function authorityOf({ hostname, protocol, port }: buildConnector.Options): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname;
  return `${host}:${port || (protocol === 'https:' ? 443 : 80)}`;
}

/** Adds the proxy to the message, because the cause does not say which connection failed. */
function named(cause: Error, where: string): ProxyError {
  const { code, message } = toProxyError(cause, 'not_sent');
  return new ProxyError(code, `${where}: ${message}`, { cause });
}
