import type { Socket } from 'node:net';
import { headerOf, type RawHeaders, withoutFields } from '../http/headers.ts';
import type { Reply, ReplyBody } from '../http/reply.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Send } from '../proxy/pipeline.ts';

/**
 * The upstream's 101 and its connection, which speaks `protocol` from here on. Throws where it speaks another
 * (RFC 9110 §7.8 lets a server choose only from what it was asked for).
 */
export function tunnelReply(protocol: string, headers: RawHeaders, socket: Socket): Reply {
  // Nobody else listens between here and whoever takes the connection.
  socket.on('error', () => undefined);
  const chosen = headerOf(headers, 'upgrade');
  if (chosen?.trim().toLowerCase() !== protocol) {
    socket.destroy();
    const message = `the upstream switched to ${chosen ?? 'no protocol'}, but ${protocol} was requested`;
    throw new ProxyError('protocol_error', message, { sent: 'sent_unknown' });
  }
  return {
    status: 101,
    statusText: '',
    // A 101 has no length (RFC 9110 §8.6); with one, its reader would take bytes of the tunnel for a body.
    headers: withoutFields(headers, (name) => name === 'content-length'),
    body: new NoBody(socket),
    tunnel: socket,
  };
}

/** Sends handshakes by `handshakes`, all else by `requests`. */
export function sendEither(requests: Send, handshakes: Send): Send {
  return (call, attempt) =>
    call.upgrade === undefined ? requests(call, attempt) : handshakes(call, attempt);
}

/**
 * A 101 has no body, so for every policy the exchange is over with its head: permits go back, timers stop. The
 * connection belongs to whoever takes the reply.
 */
class NoBody implements ReplyBody {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  pipeTo(): never {
    throw new Error('a tunnel has no body');
  }

  discard(): void {
    this.#socket.destroy();
  }

  onEnd(listener: (end: 'complete') => void): void {
    listener('complete');
  }
}
