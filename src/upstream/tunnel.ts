import type { Socket } from 'node:net';
import { headerOf, type RawHeaders, withoutFields } from '../http/headers.ts';
import { type EndListener, type Reply, type ReplyBody, tellEnd } from '../http/reply.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Dispatch } from '../proxy/pipeline.ts';

/**
 * The reply for an upstream's 101, with its connection. Throws `protocol_error` if the upstream chose another protocol: it
 * may choose only from those requested (RFC 9110 §7.8).
 */
export function tunnelReply(protocol: string, headers: RawHeaders, socket: Socket): Reply {
  // Until the reply is used, the socket has no other listener, and an error would end the process.
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
    // A 101 has no length (RFC 9110 §8.6). With one, a client would read bytes of the tunnel as a body.
    headers: withoutFields(headers, (name) => name === 'content-length'),
    body: new TunnelBody(socket),
    tunnel: socket,
  };
}

/** Sends WebSocket handshakes with `handshakes` and other calls with `requests`. */
export function dispatchEither(requests: Dispatch, handshakes: Dispatch): Dispatch {
  return (call, attempt, receiver) =>
    (call.upgrade === undefined ? requests : handshakes)(call, attempt, receiver);
}

/**
 * The body of a 101. It ends with the head, so that policies release permits and stop timers. The consumer of the reply owns
 * the connection.
 */
class TunnelBody implements ReplyBody {
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

  onEnd(listener: EndListener): void {
    tellEnd(listener, 'complete');
  }
}
