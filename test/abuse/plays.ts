import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { pause } from '../soak/proxy.ts';
import { FLAG, frame, get, PREFACE } from '../support/http2-frames.ts';
import type { Fault } from './faults.ts';
import { uploadByFrames } from './http2-upload.ts';
import { ONE_BYTE_CHUNKS } from './upstream.ts';

export interface World {
  readonly url: string;
  /** Factor for all amounts: 1 in the short form. */
  readonly scale: number;
  /** A connection that has sent `bytes`; cut off after the play. */
  readonly open: (bytes?: string | Buffer) => Socket;
  /** Resolves once another configuration is active. Rejects if it is not, or if a call was lost meanwhile. */
  readonly reload: () => Promise<void>;
  readonly fault: (fault: Fault) => Promise<unknown>;
  /** The number of requests for `/slow/ID` at the upstream. */
  readonly asked: (id: string) => number;
}

/** In the long form, as much as a durable reply may have: 8 MiB. */
const MOST_BLOCKS = 838;

const post = (path: string) => `POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`;

const times = <T>(count: number, act: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => act(i));

/** Resolves when the proxy stops reading. */
async function untilHeldBack(sockets: readonly Socket[]): Promise<void> {
  const sent = () =>
    sockets.reduce((sum, { bytesWritten, writableLength }) => sum + bytesWritten - writableLength, 0);
  for (let before = -1; sent() > before; ) {
    before = sent();
    await pause(1_000);
  }
}

let latest = 0;

/** The id of a durable request that was accepted; undefined if it was refused because the store is full. */
async function submit({ url }: World): Promise<string | undefined> {
  const id = String(++latest);
  const reply = await fetch(`${url}/api/later/slow/${id}`, {
    method: 'POST',
    headers: { prefer: 'respond-async', connection: 'close' },
    body: 'x'.repeat(20_000),
  });
  const text = await reply.text();
  if (reply.status === 503) return undefined;
  if (reply.status !== 202) throw new Error(`a durable request was answered ${reply.status}: ${text}`);
  monitors.set(id, new URL(reply.headers.get('location') ?? '/none', url));
  return id;
}

/** The path of each result. */
const monitors = new Map<string, URL>();

/** Rejects if one is refused. */
async function accept(world: World, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const id = await submit(world);
    if (id === undefined) throw new Error('a durable request was refused');
    ids.push(id);
  }
  return ids;
}

/** Rejects if one did not succeed in time, or was not sent exactly once. */
async function untilDone({ asked }: World, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    let said = '';
    for (let tries = 0; !said.includes('"done":true'); tries++) {
      if (tries === PATIENCE_S * 10) throw new Error(`durable request ${id} has not ended: ${said}`);
      await pause(100);
      const reply = await fetch(monitors.get(id) as URL, { headers: { connection: 'close' } });
      said = (await reply.text()).replaceAll(' ', '');
    }
    const times = asked(id);
    if (times !== 1 || !said.includes('"status":200'))
      throw new Error(`durable request ${id} was sent ${times} times and ended as ${said}`);
  }
}

const HOUR_MS = 3_600_000;
const PATIENCE_S = 120;

/** Plays of hostile peers. Each resolves at its end, and throws if a correct reply is missing. */
export const PLAYS: Readonly<Record<string, (world: World) => Promise<void>>> = {
  'uploads in chunks of one byte that are held back': async ({ open, scale }) => {
    const sockets = times(6 * scale, () => open(post('/silent/upload')));
    for (const socket of sockets) times(34, () => socket.write(ONE_BYTE_CHUNKS));
    await untilHeldBack(sockets);
  },

  'uploads in HTTP/2 frames of one byte that are held back': async ({ open, scale }) => {
    const sockets = times(scale, () => open());
    for (const socket of sockets) uploadByFrames(socket, 6, 340_000);
    await untilHeldBack(sockets);
  },

  'uploads in chunks of one byte that wait behind another request': async ({ open, scale }) => {
    const sockets = times(24 * scale, () =>
      open(`GET /silent/ HTTP/1.1\r\nhost: x\r\n\r\n${post('/api/ok')}`),
    );
    for (const socket of sockets) times(8, () => socket.write(ONE_BYTE_CHUNKS));
    await untilHeldBack(sockets);
  },

  'whole uploads in chunks of one byte': async ({ open, scale }) => {
    const answers = times(2 * scale, () => {
      const socket = open(post('/api/ok').replace('host', 'connection: close\r\nhost'));
      times(10, () => socket.write(ONE_BYTE_CHUNKS));
      socket.write('0\r\n\r\n');
      return text(socket);
    });
    for (const answer of await Promise.all(answers))
      if (!answer.startsWith('HTTP/1.1 200'))
        throw new Error(`an upload was answered by ${answer.slice(0, 300)}`);
  },

  'replies in chunks of one byte, read and unread': async ({ url, open, scale }) => {
    times(4 * scale, () => open('GET /api/bytes/50 HTTP/1.1\r\nhost: x\r\n\r\n').pause());
    const reply = await fetch(`${url}/api/bytes/30`, { headers: { connection: 'close' } });
    const { byteLength } = await reply.arrayBuffer();
    if (byteLength !== 300_000) throw new Error(`${byteLength} bytes of a reply came`);
  },

  'a durable reply in chunks of one byte': async ({ url, scale }) => {
    const blocks = scale === 1 ? 40 : MOST_BLOCKS;
    const options = { method: 'POST', headers: { prefer: 'respond-async', connection: 'close' } };
    const accepted = await fetch(`${url}/api/later/bytes/${blocks}`, options);
    const monitor = new URL(accepted.headers.get('location') ?? '/none', url);
    for (;;) {
      const reply = await fetch(monitor, { headers: { connection: 'close' } });
      const state = (await reply.json()) as { done?: boolean; response?: { bytes: number } };
      if (state.response?.bytes === blocks * 10_000) return;
      if (state.done !== false) throw new Error(`the durable request: ${JSON.stringify(state)}`);
      await pause(200);
    }
  },

  'heads that match slowly, are huge, or never end': async ({ open, scale }) => {
    times(10 * scale, () => {
      open(`GET /api/v1/${'-'.repeat(12_000)}/ HTTP/1.1\r\nhost: x\r\n\r\n`).resume();
      open(`GET /api/ok HTTP/1.1\r\nhost: x\r\nprefer: ${'"'.repeat(12_000)}\r\n\r\n`).resume();
      open(`GET /api/ok HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(200_000)}\r\n\r\n`).resume();
    });
    times(300, () => open('GET /api/ok HTTP/1.1\r\nhost: x\r\nx-half: '));
    await pause(300);
  },

  'HTTP/2 requests that are reset at once': async ({ open, scale }) => {
    for (const socket of times(4 * scale, () => open(PREFACE))) {
      socket.write(frame('settings', {}));
      for (let stream = 1; stream < 400; stream += 2) {
        socket.write(frame('headers', { flags: FLAG.endHeaders, stream, payload: get('/api/ok') }));
        socket.write(frame('rst', { stream, payload: Buffer.from([0, 0, 0, 8]) }));
      }
      socket.resume();
    }
    await pause(300);
  },

  reloads: async ({ reload, scale }) => {
    for (let n = 0; n < 3 * scale; n++) {
      await reload();
    }
  },

  'a full disk': async (world) => {
    const before = await accept(world, 5);
    await world.fault({ disk: 'full' });
    const during: string[] = [];
    for (let refused = false; !refused && during.length < 500; ) {
      const id = await submit(world);
      if (id === undefined) refused = true;
      else during.push(id);
    }
    if (during.length === 500) throw new Error('the disk was never full');
    await pause(1_000);
    await world.fault({ disk: 'free' });
    await untilDone(world, [...before, ...during]);
  },

  'jumps of the clock': async (world) => {
    const ids = await accept(world, 10 * world.scale);
    // Less than a result is retained (24 h), or the last jump would erase those that ended before it.
    for (const clockOffMs of [2 * HOUR_MS, -12 * HOUR_MS, 0]) {
      await world.fault({ clockOffMs });
      ids.push(...(await accept(world, 1)));
      await pause(500);
    }
    await untilDone(world, ids);
  },
};
