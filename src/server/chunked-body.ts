import type { Socket } from 'node:net';
import type { BodySink, Trailers } from '../http/reply.ts';
import type { ClientResponse } from './client.ts';

/** A larger chunk is not copied. */
const MAX_COPIED_BYTES = 16 * 1024;

const CR = 13;
const LF = 10;
const CRLF = Buffer.from('\r\n');

/** The sink of a response whose head has been written. node:http drops the body of a response to HEAD. */
export const bodySink = (res: ClientResponse): BodySink =>
  res.chunkedEncoding === true && res.req?.method !== 'HEAD' ? new ChunkedBody(res) : res;

/**
 * Writes the chunked coding of HTTP/1.1 (RFC 9112 §7.1). node:http would make four writes of each chunk and join them in the next
 * tick, which costs an event of a paced stream a tenth of its CPU time. The last chunk is left to it.
 */
class ChunkedBody implements BodySink {
  readonly #res: ClientResponse;
  /** node:http sends the head with the first chunk. */
  #begun = false;

  constructor(res: ClientResponse) {
    this.#res = res;
    res.chunkedEncoding = false;
  }

  get destroyed(): boolean {
    return this.#res.destroyed;
  }

  write(chunk: Uint8Array): boolean {
    const res = this.#res;
    if (chunk.length === 0) return res.write(chunk);
    this.#begun = true;
    if (chunk.length <= MAX_COPIED_BYTES) return res.write(coded(chunk));
    res.write(Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1'));
    res.write(chunk);
    return res.write(CRLF);
  }

  /** An idle connection gets the chunk without the queue of node:http. One small chunk does not fill it. */
  writeNow(chunk: Uint8Array): boolean {
    const res = this.#res;
    const isSmall = chunk.length > 0 && chunk.length <= MAX_COPIED_BYTES;
    const socket = isSmall ? this.#idleSocket : undefined;
    if (socket !== undefined) {
      socket.write(coded(chunk));
      return true;
    }
    res.cork?.();
    const ready = this.write(chunk);
    res.uncork?.();
    return ready;
  }

  /** The socket of an open response, if all bytes so far have left the process. */
  get #idleSocket(): Socket | undefined {
    const { socket, writableEnded, writableLength } = this.#res;
    const isIdle = this.#begun && !writableEnded && writableLength === 0;
    return isIdle && socket?.writable ? socket : undefined;
  }

  addTrailers(trailers: Trailers): void {
    this.#res.addTrailers?.(trailers);
  }

  end(): void {
    this.#res.chunkedEncoding = true;
    this.#res.end();
  }

  destroy(reason?: Error): void {
    this.#res.destroy(reason);
  }

  on(event: 'drain', listener: () => void): void {
    this.#res.on(event, listener);
  }
}

function coded(chunk: Uint8Array): Buffer {
  const size = chunk.length.toString(16);
  const bytes = Buffer.allocUnsafe(size.length + chunk.length + 4);
  let at = 0;
  for (; at < size.length; at++) bytes[at] = size.charCodeAt(at);
  bytes[at++] = CR;
  bytes[at++] = LF;
  bytes.set(chunk, at);
  at += chunk.length;
  bytes[at++] = CR;
  bytes[at] = LF;
  return bytes;
}
