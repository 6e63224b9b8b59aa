import type { IncomingMessage, ServerResponse as Response } from 'node:http';
import type { Socket } from 'node:net';
import { ServerResponse } from '../runtime/node-http.ts';
import { Tunnel, type TunnelOptions } from './tunnel.ts';

/** The only supported protocol. Others, such as h2c, would bypass the rules of the proxy. */
const PROTOCOL = 'websocket';

/**
 * Whether a request is a WebSocket handshake (RFC 6455 §4.1) on a connection without an unfinished response. Every other
 * `Upgrade` is ignored, as RFC 9110 §7.8 allows, and the request is treated as an ordinary one.
 */
export function wantsTunnel({ method, headers, httpVersion, socket }: IncomingMessage): boolean {
  if (method !== 'GET' || httpVersion !== '1.1') return false;
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') return false;
  // Responses are sent in order (RFC 9112 §9.3.2), so the protocol cannot change before the earlier ones are sent.
  const busy = (socket as Socket & { _httpMessage?: object | null })._httpMessage;
  if (busy !== undefined && busy !== null) return false;
  const asked = headers.upgrade?.toLowerCase().split(',') ?? [];
  return asked.some((protocol) => protocol.trim() === PROTOCOL);
}

/** A request for a tunnel, whose connection node:http has handed over. */
export interface Handshake {
  readonly req: IncomingMessage;
  /** For replies other than the tunnel. Its end closes the connection, and it closes with the connection. */
  readonly res: Response;
  readonly upgrade: { readonly protocol: typeof PROTOCOL; readonly socket: Socket };
}

/** `head`: bytes that the client sent after its request. */
export function handshake(req: IncomingMessage, socket: Socket, head: Buffer): Handshake {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  // node:http does this for connections that it has not handed over.
  res.assignSocket(socket);
  socket.on('drain', () => res.emit('drain'));
  socket.on('error', () => undefined);
  res.on('finish', () => socket.destroySoon());
  socket.on('end', () => {
    // A client that ends its side before the switch has disconnected.
    if (!res.headersSent) socket.destroy();
  });
  if (head.length > 0) socket.unshift(head);
  return { req, res, upgrade: { protocol: PROTOCOL, socket } };
}

/** Sends the 101 to the client and joins its connection to `upstream`. */
export function switchProtocols(
  { res, upgrade: { protocol, socket } }: Handshake,
  upstream: Socket,
  headers: readonly string[],
  options: TunnelOptions,
): Tunnel {
  res.writeHead(101, [...headers, 'connection', 'upgrade', 'upgrade', protocol]);
  res.flushHeaders();
  return new Tunnel(socket, upstream, options);
}
