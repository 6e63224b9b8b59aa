import type { ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import type { World } from '../state.ts';
import { pause, written } from '../wire.ts';
import type { StreamAction, Wish } from '../wish.ts';
import type { Asked } from './apis.ts';
import { comment, type Forms, framed, packer, prefix } from './frames.ts';

/** A part of a stream that is written at once. */
interface Part {
  readonly text: string;
  /** An event that the stream holds, and not something between two of them. */
  readonly counts: boolean;
}

interface Plan {
  readonly parts: Iterable<Part>;
  /** `hang`: nothing more is sent, and the connection stays open. */
  readonly end: 'end' | 'reset' | 'hang';
}

export interface StreamAnswer {
  readonly asked: Asked;
  readonly action: StreamAction;
  readonly wish: Wish;
  readonly status: number;
  /** Called after each event that the kernel has accepted. */
  readonly onEvent: () => void;
}

/** Events without content would otherwise be sent as fast as the machine can. */
const MIN_FILLER_INTERVAL_MS = 10;
/** Comments or pings in one stream; after them, it is silent. */
const MAX_FILLERS = 10_000;

/** Sends the head and the stream. Resolves when nothing more will be sent. */
export async function sendStream(
  answer: StreamAnswer,
  response: ServerResponse,
  world: World,
): Promise<void> {
  const { asked, action, wish, status } = answer;
  const { forms } = wish;
  response.writeHead(status, {
    'content-type': asked.api.lines === true ? 'application/x-ndjson' : 'text/event-stream',
    'cache-control': 'no-store',
    ...(forms.has('gzip') ? { 'content-encoding': 'gzip' } : {}),
  });
  response.flushHeaders();
  const plan = planOf(asked, action, forms);
  const filler = action.kind === 'comments' || action.kind === 'pings';
  const intervalMs = filler ? Math.max(wish.intervalMs, MIN_FILLER_INTERVAL_MS) : wish.intervalMs;
  const pack = packer(forms);
  const write = async (text: string | undefined) => writeIn(response, await pack(text), forms);
  let wait = wish.firstEventMs;
  let before = prefix(forms);
  for (const { text, counts } of plan.parts) {
    if (!(await pause(wait, response, world)) || !(await write(before + text))) return;
    if (counts) answer.onEvent();
    wait = intervalMs;
    before = '';
  }
  if (plan.end === 'hang') return;
  if (plan.end === 'end') {
    if (await write(undefined)) response.end();
    // A reset may take back bytes that the client has not read, so it is as late as an event would be.
  } else if (await pause(wish.intervalMs, response, world)) response.socket?.resetAndDestroy();
}

async function writeIn(response: ServerResponse, bytes: Buffer, forms: Forms): Promise<boolean> {
  if (bytes.length === 0) return !response.destroyed;
  if (!forms.has('bytes')) return written(response, bytes);
  for (const byte of bytes) {
    if (!(await written(response, Buffer.of(byte)))) return false;
    await turn();
  }
  return true;
}

/** The parts of the stream until the fault, and its end. */
function planOf({ api, question }: Asked, action: StreamAction, forms: Forms): Plan {
  const ping = { text: framed(api, api.ping, forms), counts: false };
  const note = { text: comment(api, forms), counts: false };
  if (action.kind === 'comments') return { parts: repeated(note), end: 'hang' };
  if (action.kind === 'pings') return { parts: repeated(ping), end: 'hang' };
  const all = api
    .events(question)
    .flatMap((event) => [
      ...(forms.has('comments') ? [note] : []),
      ...(forms.has('pings') ? [ping] : []),
      { text: framed(api, event, forms), counts: true },
    ]);
  if (!('at' in action)) return { parts: all, end: 'end' };
  const before = untilEvent(all, action.at);
  switch (action.kind) {
    case 'stall':
      return { parts: before, end: 'hang' };
    case 'end':
      return { parts: before, end: 'end' };
    case 'cut':
      return { parts: before, end: 'reset' };
    case 'error':
    case 'failed': {
      const error = action.kind === 'failed' ? (api.failed ?? api.error) : api.error;
      const text = typeof error === 'string' ? error : framed(api, error, forms);
      return { parts: [...before, { text, counts: true }], end: 'end' };
    }
  }
}

/** All parts before event `at`, which counts from 1. */
function untilEvent(parts: readonly Part[], at: number | 'last' | 'middle'): readonly Part[] {
  const events = parts.filter(({ counts }) => counts).length;
  const left = at === 'last' ? events - 1 : at === 'middle' ? Math.floor(events / 2) : at - 1;
  let seen = 0;
  return parts.filter(({ counts }) => (counts ? seen++ < left : seen < left));
}

function* repeated(part: Part): Iterable<Part> {
  for (let i = 0; i < MAX_FILLERS; i++) yield part;
}
