import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { pause } from '../soak/proxy.ts';
import { FLAG, frame, get, PREFACE } from '../support/http2-frames.ts';
import { uploadByFrames } from './http2-upload.ts';
import { ONE_BYTE_CHUNKS } from './upstream.ts';

export interface World {
  readonly url: string;
  /** How much of everything: 1 in the short form. */
  readonly scale: number;
  /** A connection that has sent `bytes`; cut off after the play. */
  readonly open: (bytes?: string | Buffer) => Socket;
  readonly reload: () => void;
}

const post = (path: string) => `POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`;

const times = <T>(count: number, act: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => act(i));

/** Until the proxy takes nothing more of what was sent. */
async function untilHeldBack(sockets: readonly Socket[]): Promise<void> {
  const sent = () =>
    sockets.reduce((sum, { bytesWritten, writableLength }) => sum + bytesWritten - writableLength, 0);
  for (let before = -1; sent() > before; ) {
    before = sent();
    await pause(1_000);
  }
}

/** What hostile peers do. Each settles once it has done its worst; it throws where a proper answer did not come. */
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
    const blocks = Math.min(40 * scale, 800);
    const options = { method: 'POST', headers: { prefer: 'respond-async', connection: 'close' } };
    const accepted = await fetch(`${url}/api/later/bytes/${blocks}`, options);
    const monitor = new URL(accepted.headers.get('location') ?? '/none', url);
    for (;;) {
      const reply = await fetch(monitor, { headers: { connection: 'close' } });
      const told = (await reply.json()) as { done?: boolean; response?: { bytes: number } };
      if (told.response?.bytes === blocks * 10_000) return;
      if (told.done !== false) throw new Error(`the durable request: ${JSON.stringify(told)}`);
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
      reload();
      await pause(50);
    }
  },
};
