import { fieldPairs, interimHeaders } from '../http/headers.ts';
import type { Interim } from '../http/reply.ts';
import type { Call } from '../proxy/call.ts';
import { STATUS_CODES } from '../runtime/node-http.ts';
import type { ClientRequest, ClientResponse } from './client.ts';

/**
 * Whether a client is sent interim replies: HTTP/1.0 has none (RFC 9110 §15.2), and what waits for a WebSocket takes the
 * first answer for the last.
 */
export function takesInterim(req: ClientRequest, upgrade: Call['upgrade']): boolean {
  return req.httpVersion !== '1.0' && upgrade === undefined;
}

/** A byte that a header cannot hold; node:http would refuse it, and is not asked here. */
const NOT_A_HEADER = /[^\t\x20-\x7e\x80-\xff]/;

/** Sends them in their order. */
export function writeInterims(res: ClientResponse, interims: readonly Interim[] = []): void {
  for (const interim of interims) write(res, interim);
}

/**
 * Sends an interim reply, unless the head of the final one is out. (Not by `writeEarlyHints`, which knows only 103 and
 * throws where it finds no `Link` to its taste.)
 */
function write(res: ClientResponse, { status, headers }: Interim): void {
  if (res.headersSent || res.socket === null || !res.socket.writable) return;
  const fields = interimHeaders(headers);
  if (fields.some((text) => NOT_A_HEADER.test(text))) return;
  if (res.writeInterim !== undefined) return res.writeInterim(status, fields);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (const [name, value] of fieldPairs(fields)) head += `${name}: ${value}\r\n`;
  res.socket.write(`${head}\r\n`, 'latin1');
}
