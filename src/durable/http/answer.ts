import { hash } from 'node:crypto';
import { MemoryBody } from '../../http/bodies/memory-body.ts';
import { type RawHeaders, withoutFields } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import { STATUS_CODES } from '../../runtime/node-http.ts';
import type { StoredResponse } from '../job.ts';

/** A JSON reply of this proxy. Undefined members are omitted. */
export function json(status: number, value: unknown, headers: RawHeaders = []): Reply {
  return reply(status, 'application/json; charset=utf-8', `${JSON.stringify(value, null, 2)}\n`, headers);
}

/** A problem reply (RFC 9457). */
export function problem(
  status: number,
  detail: string,
  { code, headers = [], members = {} }: { code?: string; headers?: RawHeaders; members?: object } = {},
): Reply {
  const body = { type: 'about:blank', title: STATUS_CODES[status], status, detail, code, ...members };
  return reply(status, 'application/problem+json', `${JSON.stringify(body)}\n`, headers);
}

export function empty(status: number, headers: RawHeaders = []): Reply {
  return { status, statusText: '', origin: 'proxy', headers: [...headers], body: new MemoryBody([]) };
}

function reply(status: number, type: string, text: string, headers: RawHeaders): Reply {
  const body = Buffer.from(text);
  const own = ['content-type', type, 'content-length', String(body.length), 'cache-control', 'no-store'];
  return {
    status,
    statusText: '',
    origin: 'proxy',
    headers: [...own, ...headers],
    body: new MemoryBody([body]),
  };
}

/** A strong ETag of the JSON of `value`. */
export function etagOf(value: unknown): string {
  return `"${hash('sha256', JSON.stringify(value), 'base64url').slice(0, 22)}"`;
}

/** Weak comparison with If-None-Match (RFC 9110 §13.1.2). */
export function matchesEtag(given: string | undefined, etag: string): boolean {
  return (given ?? '')
    .split(',')
    .some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag);
}

/**
 * The stored reply as it came. Only its Content-Length is replaced, because the stored body may be truncated, and a
 * reply to HEAD has none.
 */
export function replay(
  { status, statusText, headers, body, truncated }: StoredResponse,
  more: RawHeaders,
): Reply {
  const fields = withoutFields(headers, (name) => name === 'content-length');
  if (!BODILESS.has(status)) fields.push('content-length', String(body.length));
  if (truncated) fields.push('breakwater-truncated', 'true');
  return { status, statusText, headers: [...fields, ...more], body: new MemoryBody([body]) };
}

const BODILESS: ReadonlySet<number> = new Set([204, 304]);
