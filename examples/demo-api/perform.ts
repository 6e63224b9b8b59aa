import type { ServerResponse } from 'node:http';
import type { Resource } from './resources.ts';
import type { World } from './state.ts';
import { pause, sendJson, written } from './wire.ts';
import type { Action, Wish } from './wish.ts';

/** A body in pieces, so that it can be slowed down and truncated. */
interface Body {
  readonly type: string;
  /** Undefined: not known in advance, so the body is chunked. */
  readonly length: number | undefined;
  readonly pieces: number;
  piece(index: number): Buffer;
  readonly intervalMs: number;
}

interface Answer {
  readonly action: Action;
  readonly wish: Wish;
  readonly resource: Resource;
  /** The status of the head, if one is sent. */
  readonly status: number;
  readonly seen: number;
}

/** Carries out the decision. Resolves when nothing more will be sent. */
export async function perform(answer: Answer, response: ServerResponse, world: World): Promise<void> {
  const { action, wish, resource, status, seen } = answer;
  const { fromMs, toMs } = wish.delay;
  if (!(await pause(fromMs + (toMs - fromMs) * world.random(), response, world))) return;
  switch (action.kind) {
    case 'hang':
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'close':
      response.socket?.destroy();
      return;
    case 'cut':
      return sendPieces(bodyOf(wish, resource, seen), status, response, { world, cut: true });
    case 'reply':
      return status >= 300
        ? sendJson(response, status, failureFields(status, seen), action)
        : sendPieces(bodyOf(wish, resource, seen), status, response, { world, cut: false });
  }
}

function failureFields(status: number, seen: number): Readonly<Record<string, unknown>> {
  return { error: `the demo API was asked to answer ${status}`, requests_seen: seen };
}

function bodyOf(wish: Wish, resource: Resource, seen: number): Body {
  if (wish.events !== undefined) return eventStream(wish.events.count, wish.events.intervalMs);
  if (wish.sizeBytes !== undefined) {
    return inPieces(
      'application/octet-stream',
      Math.max(2, Math.ceil(wish.sizeBytes / PIECE_BYTES)),
      wish.sizeBytes,
    );
  }
  const json = Buffer.from(`${JSON.stringify({ ...resource, requests_seen: seen })}\n`);
  return { ...inPieces('application/json', 2, json.length), piece: (i) => slice(json, i, 2) };
}

const PIECE_BYTES = 16 * 1024;
const FILLER = Buffer.alloc(PIECE_BYTES, 'breakwater demo\n');

function inPieces(type: string, pieces: number, length: number): Body {
  const startOf = (i: number) => Math.floor((length * i) / pieces);
  return {
    type,
    length,
    pieces,
    intervalMs: 0,
    piece: (i) => FILLER.subarray(0, startOf(i + 1) - startOf(i)),
  };
}

function slice(whole: Buffer, index: number, pieces: number): Buffer {
  const startOf = (i: number) => Math.floor((whole.length * i) / pieces);
  return whole.subarray(startOf(index), startOf(index + 1));
}

function eventStream(count: number, intervalMs: number): Body {
  const piece = (i: number) => Buffer.from(`id: ${i + 1}\ndata: {"n":${i + 1},"of":${count}}\n\n`);
  return { type: 'text/event-stream', length: undefined, pieces: count, intervalMs, piece };
}

/** A truncated body ends with a reset after half its pieces. */
async function sendPieces(
  body: Body,
  status: number,
  response: ServerResponse,
  { world, cut }: { readonly world: World; readonly cut: boolean },
): Promise<void> {
  if (status === 204) return sendJson(response, status, undefined);
  response.writeHead(status, {
    'content-type': body.type,
    ...(body.length === undefined ? { 'cache-control': 'no-store' } : { 'content-length': body.length }),
  });
  response.flushHeaders();
  const count = cut ? Math.floor(body.pieces / 2) : body.pieces;
  for (let i = 0; i < count; i++) {
    if (i > 0 && !(await pause(body.intervalMs, response, world))) return;
    if (!(await written(response, body.piece(i)))) return;
  }
  if (!cut) response.end();
  else response.socket?.resetAndDestroy();
}
