import type { IncomingMessage, ServerResponse } from 'node:http';
import type { World } from './state.ts';

/** Sends `fields` as JSON on one line, ready for a terminal. */
export function sendJson(
  response: ServerResponse,
  status: number,
  fields: unknown,
  {
    retryAfter,
    type = 'application/json',
  }: { readonly retryAfter?: number | undefined; readonly type?: string } = {},
): void {
  if (response.destroyed) return;
  const body = Buffer.from(`${JSON.stringify(fields)}\n`);
  const bodiless = status === 204 || status === 304;
  const headers: Record<string, string | number> = {};
  if (retryAfter !== undefined) headers['retry-after'] = retryAfter;
  if (!bodiless) Object.assign(headers, { 'content-type': type, 'content-length': body.length });
  response.writeHead(status, headers);
  response.end(bodiless ? undefined : body);
}

/** Resolves once the kernel has accepted the bytes, with back-pressure. False: the client has disconnected. */
export function written(response: ServerResponse, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const gone = () => resolve(false);
    if (response.destroyed) return gone();
    response.once('close', gone);
    response.write(bytes, (error) => {
      response.off('close', gone);
      resolve(error === undefined || error === null);
    });
  });
}

/** Resolves with true after `ms`, or with false as soon as the client disconnects. */
export function pause(ms: number, response: ServerResponse, world: World): Promise<boolean> {
  if (ms <= 0 || response.destroyed) return Promise.resolve(!response.destroyed);
  return new Promise((resolve) => {
    const gone = () => {
      cancel();
      resolve(false);
    };
    const cancel = world.after(ms, () => {
      response.off('close', gone);
      resolve(true);
    });
    response.once('close', gone);
  });
}

const MAX_BODY_BYTES = 64 * 1024;

/** The first 64 KiB of the request body, after all of it has arrived; undefined if the client disconnected before. */
export async function bodyOfRequest(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      if (length < MAX_BODY_BYTES) chunks.push(chunk);
      length += chunk.length;
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES);
}
