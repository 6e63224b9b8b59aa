import type { Http2Session } from 'node:http2';

/** Major garbage collections that a session outlives. One may have begun to mark before the session's end; so two are enough. */
const COLLECTIONS = 2;

/** Calls back after a major garbage collection that found the key dead. It holds the session's handle until then. */
const later = new FinalizationRegistry<{ readonly handle: object; readonly left: number }>(
  ({ handle, left }) => outlive(handle, left - 1),
);

function outlive(handle: object, collections: number): void {
  if (collections > 0) later.register({}, { handle, left: collections });
}

/**
 * Keeps node's own part of an HTTP/2 session in memory until those of its streams are gone. A stream whose head was cut, or had
 * too many fields, owns memory of its session. Node (26.10) aborts the process where garbage collection takes both at
 * once, and the session first: "Assertion failed: (current_nghttp2_memory_) == (0)". Call it as soon as the session is there.
 */
export function outliveStreams(session: Http2Session): void {
  const handle = handleOf(session);
  // With TLS that has not ended its handshake there is none yet.
  if (handle === undefined) session.once('connect', () => outliveStreams(session));
  else session.once('close', () => outlive(handle, COLLECTIONS));
}

/** Undefined also after the session's end. */
function handleOf(session: Http2Session): object | undefined {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'kHandle');
  return symbol === undefined
    ? undefined
    : (session as unknown as Record<symbol, object | undefined>)[symbol];
}
