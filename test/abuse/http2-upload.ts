import type { Socket } from 'node:net';
import { FLAG, field, frame, framesIn, PREFACE, TYPE } from '../support/http2-frames.ts';

const FIRST_WINDOW = 65_535;

const head = Buffer.concat([
  field(':method', 'POST'),
  field(':scheme', 'http'),
  field(':authority', 'x'),
  field(':path', '/silent/upload'),
]);

/** Sends bodies in frames of one byte, as fast as the windows of the streams and of the connection allow. Never ends one. */
export function uploadByFrames(socket: Socket, streams: number, bytes: number): void {
  const ids = Array.from({ length: streams }, (_, i) => 2 * i + 1);
  const windows = new Map<number, number>([0, ...ids].map((id) => [id, FIRST_WINDOW]));
  const left = new Map<number, number>(ids.map((id) => [id, bytes]));
  const send = () => {
    for (const id of ids) {
      const count = Math.min(left.get(id) ?? 0, windows.get(id) ?? 0, windows.get(0) ?? 0);
      if (count === 0) continue;
      const one = frame('data', { stream: id, payload: Buffer.from('x') });
      socket.write(Buffer.concat(Array.from({ length: count }, () => one)));
      left.set(id, (left.get(id) ?? 0) - count);
      for (const window of [0, id]) windows.set(window, (windows.get(window) ?? 0) - count);
    }
  };
  let unread = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    for (const { type, stream, payload } of framesIn(unread)) {
      unread = unread.subarray(9 + payload.length);
      if (type === TYPE.windowUpdate)
        windows.set(stream, (windows.get(stream) ?? 0) + payload.readUInt32BE(0));
    }
    send();
  });
  socket.write(Buffer.concat([PREFACE, frame('settings', {})]));
  for (const id of ids) socket.write(frame('headers', { flags: FLAG.endHeaders, stream: id, payload: head }));
  send();
}
