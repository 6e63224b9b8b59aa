import { fieldPairs, lengthlessHeaders } from '../http/headers.ts';
import type { Interim } from '../http/reply.ts';
import type { Call } from '../proxy/call.ts';
import { STATUS_CODES } from '../runtime/node-http.ts';
import type { ClientRequest, ClientResponse } from './client.ts';

/**
 * Whether interim replies are sent to a client. HTTP/1.0 has none (RFC 9110 §15.2), and WebSocket clients take the first
 * reply for the final one.
 */
export function takesInterim(req: ClientRequest, upgrade: Call['upgrade']): boolean {
  return req.httpVersion !== '1.0' && upgrade === undefined;
}

/** A byte that is not valid in a header. node:http does not check interim heads written as text. */
const NOT_A_HEADER = /[^\t\x20-\x7e\x80-\xff]/;

/** Sends interim replies in order. */
export function writeInterims(res: ClientResponse, interims: readonly Interim[]): void {
  for (const interim of interims) write(res, interim);
}

/**
 * Sends an interim reply, unless the final head has been sent. Node's `writeEarlyHints` is not used: it supports only 103
 * and throws on some values of `Link`.
 */
function write(res: ClientResponse, { status, headers }: Interim): void {
  if (res.headersSent || res.socket === null || !res.socket.writable) return;
  const fields = lengthlessHeaders(headers);
  if (fields.some((text) => NOT_A_HEADER.test(text))) return;
  if (res.writeInterim !== undefined) return res.writeInterim(status, fields);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (const [name, value] of fieldPairs(fields)) head += `${name}: ${value}\r\n`;
  res.socket.write(`${head}\r\n`, 'latin1');
}
