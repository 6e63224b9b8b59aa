import type { ServerResponse } from 'node:http';
import { BadParameter } from './parameters.ts';
import type { Resource } from './resources.ts';
import type { World } from './state.ts';
import type { Asked } from './streams/apis.ts';
import { sendStream } from './streams/send.ts';
import { pause, sendJson, written } from './wire.ts';
import type { Action, StreamAction, Wish } from './wish.ts';

/** A body in pieces, so that it can be truncated. */
interface Body {
  readonly type: string;
  readonly length: number;
  readonly pieces: number;
  piece(index: number): Buffer;
}

export interface Answer {
  readonly action: Action;
  readonly wish: Wish;
  readonly resource: Resource;
  /** The request, if it is one to an API that streams. */
  readonly asked: Asked | undefined;
  /** The status of the head, if one is sent. */
  readonly status: number;
  readonly seen: number;
  /** Called after each event of a stream. */
  readonly onEvent: () => void;
}

/** Carries out the decision. Resolves when nothing more will be sent. */
export async function perform(answer: Answer, response: ServerResponse, world: World): Promise<void> {
  const { action, wish } = answer;
  const { fromMs, toMs } = wish.delay;
  if (!(await pause(fromMs + (toMs - fromMs) * world.random(), response, world))) return;
  if (action.kind === 'hang') return;
  if (action.kind === 'reset') response.socket?.resetAndDestroy();
  else if (action.kind === 'close') response.socket?.destroy();
  else if (action.kind === 'reply') await sendReply(answer, action, response, world);
  else await sendFault(answer, action, response, world);
}

async function sendReply(
  { asked, wish, resource, status, seen, onEvent }: Answer,
  action: { readonly retryAfter: number | undefined },
  response: ServerResponse,
  world: World,
): Promise<void> {
  if (status >= 300) {
    const failure = asked?.api.failure?.(status) ?? failureFields(status, seen);
    return sendJson(response, status, failure, action);
  }
  if (status === 204) return sendJson(response, status, undefined);
  if (asked?.streamed === true)
    return sendStream({ asked, action: { kind: 'whole' }, wish, status, onEvent }, response, world);
  return sendPieces(bodyOf(wish, resource, seen), status, response, false);
}

async function sendFault(
  { asked, wish, resource, status, seen, onEvent }: Answer,
  action: Exclude<StreamAction, { kind: 'whole' }>,
  response: ServerResponse,
  world: World,
): Promise<void> {
  if (asked?.streamed === true) return sendStream({ asked, action, wish, status, onEvent }, response, world);
  if (action.kind === 'cut' && action.at === 'middle')
    return sendPieces(bodyOf(wish, resource, seen), status, response, true);
  // Some APIs report an error in a reply with status 200.
  if (action.kind === 'error' && asked !== undefined)
    return sendJson(response, 200, asked.api.failedReply ?? JSON.parse(asked.api.error.data));
  throw new BadParameter(
    'script',
    `step ${action.kind} needs a stream: add sse=5, or ask an LLM for a stream`,
  );
}

function failureFields(status: number, seen: number): Readonly<Record<string, unknown>> {
  return { error: `the demo API was asked to answer ${status}`, requests_seen: seen };
}

function bodyOf(wish: Wish, resource: Resource, seen: number): Body {
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
    piece: (i) => FILLER.subarray(0, startOf(i + 1) - startOf(i)),
  };
}

function slice(whole: Buffer, index: number, pieces: number): Buffer {
  const startOf = (i: number) => Math.floor((whole.length * i) / pieces);
  return whole.subarray(startOf(index), startOf(index + 1));
}

/** A truncated body ends with a reset after half its pieces. */
async function sendPieces(body: Body, status: number, response: ServerResponse, cut: boolean): Promise<void> {
  response.writeHead(status, { 'content-type': body.type, 'content-length': body.length });
  response.flushHeaders();
  const count = cut ? Math.floor(body.pieces / 2) : body.pieces;
  for (let i = 0; i < count; i++) {
    if (!(await written(response, body.piece(i)))) return;
  }
  if (!cut) response.end();
  else response.socket?.resetAndDestroy();
}
