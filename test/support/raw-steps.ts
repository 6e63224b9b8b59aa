import type { Moment, RawStep } from './raw-origin.ts';

const CRLF = '\r\n';

/** A whole reply as bytes; `content-length` is added unless the headers frame the body themselves. */
export function replyBytes(
  status: number,
  headers: readonly string[] = [],
  body: string | Buffer = '',
): Buffer {
  const framed = headers.some((line) => /^(content-length|transfer-encoding):/i.test(line));
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const lines = framed ? headers : [...headers, `content-length: ${bytes.length}`];
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${status} Raw${CRLF}${lines.join(CRLF)}${CRLF}${CRLF}`, 'latin1'),
    bytes,
  ]);
}

/** A reply to each whole request; or, at `head`, while the request's body is still on its way. */
export function answer(bytes: string | Buffer = replyBytes(200), at: Moment = 'request'): RawStep {
  return { at, run: async (peer) => void (await peer.write(bytes)) };
}

/** Resets each connection as soon as both sides have it open: a client in this process has seen its connect succeed. */
export function resetOnAccept(): RawStep {
  return {
    at: 'accept',
    run: async (peer) => {
      // The client's own event is in the batch that brought this one; a reset before it would fail the connect.
      await new Promise((resolve) => setImmediate(resolve));
      peer.reset();
    },
  };
}

/** Closes each connection normally as soon as it is open. */
export function closeOnAccept(): RawStep {
  return { at: 'accept', run: (peer) => peer.fin() };
}

/** Never reads: the client's writes fill the socket and stop. */
export function neverRead(): RawStep {
  return { at: 'accept', run: (peer) => void peer.socket.pause() };
}

/** A server whose idle timeout ends while the next request is on its way: the connection dies at the first byte. */
export function closeOnReuse(how: 'fin' | 'reset'): RawStep {
  return { at: 'first_byte', run: (peer) => (how === 'fin' ? void peer.socket.destroy() : peer.reset()) };
}

/** Reads the request and never answers. */
export function hangBeforeHead(): RawStep {
  return { at: 'request', run: () => undefined };
}

/** Resets once the request was read, before any byte of a reply. */
export function resetAfterRequest(): RawStep {
  return { at: 'request', run: (peer) => peer.reset() };
}

/** Closes once the request was read, before any byte of a reply. */
export function closeAfterRequest(): RawStep {
  return { at: 'request', run: (peer) => peer.fin() };
}

/** Sends `bytes` and ends the connection there: a partial head, a head alone, half a body. */
export function breakAfter(bytes: string | Buffer, how: 'fin' | 'reset'): RawStep {
  return {
    at: 'request',
    run: async (peer) => {
      await peer.write(bytes);
      if (how === 'fin') peer.fin();
      else peer.reset();
    },
  };
}

export function resetAfterPartialHead(): RawStep {
  return breakAfter('HTTP/1.1 200 O', 'reset');
}

export function resetAfterHead(): RawStep {
  return breakAfter(`HTTP/1.1 200 OK${CRLF}content-length: 100${CRLF}${CRLF}`, 'reset');
}

/** Declares `declared` bytes, sends `body` and ends. */
export function truncate(declared: number, body: string, how: 'fin' | 'reset'): RawStep {
  return breakAfter(replyBytes(200, [`content-length: ${declared}`], body), how);
}

/** A chunked body without its last chunk. */
export function truncateChunked(body: string, how: 'fin' | 'reset'): RawStep {
  const chunk = `${Buffer.byteLength(body).toString(16)}${CRLF}${body}${CRLF}`;
  return breakAfter(replyBytes(200, ['transfer-encoding: chunked'], chunk), how);
}

/** Sends `bytes` and then nothing more, with the connection open: a stall in head or body. */
export function stallAfter(bytes: string | Buffer): RawStep {
  return answer(bytes);
}

/** One write per byte, each with the kernel before the next and a turn of the event loop between. */
export function drip(bytes: Buffer = replyBytes(200, [], 'dripped')): RawStep {
  return {
    at: 'request',
    run: async (peer) => {
      for (const byte of bytes) {
        if (!(await peer.write(Buffer.of(byte)))) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** Informational replies first, then the final one. */
export function informational(statuses: readonly number[], final: Buffer = replyBytes(200)): RawStep {
  const heads = statuses.map(
    (status) => `HTTP/1.1 ${status} Info${CRLF}link: </a>; rel=preload${CRLF}${CRLF}`,
  );
  return answer(Buffer.concat([Buffer.from(heads.join('')), final]));
}

/** Bytes that are not HTTP. */
export function garbage(bytes: string | Buffer = '\x16\x03\x01 this is not HTTP\r\n\r\n'): RawStep {
  return answer(bytes);
}

/** One header of `size` bytes. */
export function oversizedHeaders(size: number): RawStep {
  return answer(replyBytes(200, [`x-large: ${'a'.repeat(size)}`]));
}

/** A complete reply, then an unannounced FIN. The origin continues to read. */
export function answerThenHalfClose(bytes: Buffer = replyBytes(200), at: Moment = 'request'): RawStep {
  return {
    at,
    run: async (peer) => {
      await peer.write(bytes);
      peer.fin();
    },
  };
}
