import type { IncomingMessage, ServerResponse as Response } from 'node:http';
import type { Socket } from 'node:net';
import { ServerResponse } from '../runtime/node-http.ts';
import { Tunnel, type TunnelOptions } from './tunnel.ts';

/** What a connection can become. Others, h2c first of all, would be spoken past every rule of the proxy. */
const PROTOCOL = 'websocket';

/**
 * Whether a request with `Upgrade` asks for a tunnel that we give: a WebSocket handshake (RFC 6455 §4.1) on a connection
 * with no earlier response under way. Every other `Upgrade` is ignored, as RFC 9110 §7.8 lets a server do: the
 * request is an ordinary one.
 */
export function wantsTunnel({ method, headers, httpVersion, socket }: IncomingMessage): boolean {
  if (method !== 'GET' || httpVersion !== '1.1') return false;
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') return false;
  // Responses go out in the order of their requests (RFC 9112 §9.3.2), so until the last is out nothing can be switched.
  const busy = (socket as Socket & { _httpMessage?: object | null })._httpMessage;
  if (busy !== undefined && busy !== null) return false;
  const asked = headers.upgrade?.toLowerCase().split(',') ?? [];
  return asked.some((protocol) => protocol.trim() === PROTOCOL);
}

/** A request whose connection node:http has handed over, with the protocol it asks for. */
export interface Handshake {
  readonly req: IncomingMessage;
  /** For every answer but the tunnel; its end closes the connection. It closes when the connection does. */
  readonly res: Response;
  readonly upgrade: { readonly protocol: typeof PROTOCOL; readonly socket: Socket };
}

/** `head`: what the client sent after its request. */
export function handshake(req: IncomingMessage, socket: Socket, head: Buffer): Handshake {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  // What node:http's server does for a connection that it keeps.
  res.assignSocket(socket);
  socket.on('drain', () => res.emit('drain'));
  socket.on('error', () => undefined);
  res.on('finish', () => socket.destroySoon());
  socket.on('end', () => {
    // Before the switch, a client that closes its side has gone.
    if (!res.headersSent) socket.destroy();
  });
  if (head.length > 0) socket.unshift(head);
  return { req, res, upgrade: { protocol: PROTOCOL, socket } };
}

/** Both ends have agreed: tells the client, and joins its connection to `upstream`. */
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
