import type { Dispatcher } from 'undici';
import { headerOf } from '../http/headers.ts';

/** Fields of HTTP/1.1 connections that were not removed before (RFC 9113 §8.2.2). */
const NOT_IN_HTTP2: ReadonlySet<string> = new Set(['http2-settings', 'host']);

/** A request head for HTTP/2: pseudo-fields first, names in lower case (RFC 9113 §8.2, §8.3.1). */
export function fieldsOf({ method, path, headers }: Dispatcher.DispatchOptions, origin: URL): string[] {
  const fields = [
    ':method',
    method,
    ':scheme',
    origin.protocol.slice(0, -1),
    ':authority',
    origin.host,
    ':path',
    path,
  ];
  const raw = headers as readonly string[];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (!NOT_IN_HTTP2.has(name)) fields.push(name, raw[i + 1] as string);
  }
  return fields;
}

/** Status and fields of a reply head without pseudo-fields. Trailers have status 0. */
export function replyFields(raw: readonly string[]): { status: number; fields: string[] } {
  let status = 0;
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const [name, value] = [raw[i] as string, raw[i + 1] as string];
    if (name === ':status') status = Number(value);
    else if (!name.startsWith(':')) fields.push(name, value);
  }
  return { status, fields };
}

/** The declared length of a body in bytes; undefined if there is none, or if the reply has no body. */
export function lengthOf(raw: readonly string[], method: string): number | undefined {
  const { status, fields } = replyFields(raw);
  if (method === 'HEAD' || status === 204 || status === 304) return undefined;
  const length = headerOf(fields, 'content-length');
  return length === undefined ? undefined : Number(length);
}

/** Names of error codes (RFC 9113 §7) by number. */
const RESETS = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

export const resetName = (code: number | undefined): string => RESETS[code ?? 0] ?? `code ${code}`;
