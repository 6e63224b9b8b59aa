import { connect, type Socket } from 'node:net';
import type { Random } from '../../src/runtime/random.ts';
import { mutate } from '../fuzz/mutate.ts';
import { strictMessage } from '../fuzz/strict-http.ts';
import { validRequest } from '../fuzz/traffic.ts';

/** A connection that has not ended by then hangs; every timeout of the soaked proxy is far below. */
const HANG_MS = 30_000;

/** Ends every connection, however its bytes were read. */
const TAIL = `GET /api/last HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n${'\0'.repeat(64)}`;

export interface Tally {
  connections: number;
  replies: Record<string, number>;
  problems: string[];
}

/** One connection with one of the ways in which clients behave, from its first byte to its end. */
export async function playClient(
  port: number,
  random: Random,
  tokens: Set<string>,
  tally: Tally,
): Promise<void> {
  const token = `T${Math.floor(random() * 2 ** 48)
    .toString(16)
    .padStart(12, '0')}T`;
  tokens.add(token);
  const requests = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
    validRequest(token, random),
  ).join('');
  const upload = `PUT /api/${token} HTTP/1.1\r\nHost: app\r\nContent-Length: 300000\r\n\r\n${'u'.repeat(300_000)}`;
  const roll = random();
  const received = await exchange(port, (socket) => {
    if (roll < 0.5) socket.write(requests + TAIL, 'latin1');
    else if (roll < 0.7) socket.write(mutate(requests, random) + TAIL, 'latin1');
    else if (roll < 0.75) socket.write(upload + TAIL, 'latin1');
    else if (roll < 0.8) socket.write(upload.slice(0, 100_000), 'latin1', () => socket.resetAndDestroy());
    else if (roll < 0.84) socket.write(upload.slice(0, 100_000), 'latin1');
    else if (roll < 0.88) socket.end(requests, 'latin1');
    else if (roll < 0.92)
      socket.write(requests, 'latin1', () => setTimeout(() => socket.resetAndDestroy(), random() * 50));
    else if (roll < 0.96) readSlowly(socket, requests);
    else socket.write(requests.slice(0, 20), 'latin1');
  });
  tally.connections++;
  if (received === undefined)
    tally.problems.push(`${token}: hung with roll ${roll}: ${JSON.stringify(requests)}`);
  else judge(received, token, tokens, tally);
  tokens.delete(token);
}

/** Takes nothing for a while, so that whoever sends is held back. */
function readSlowly(socket: Socket, requests: string): void {
  socket.pause();
  socket.write(requests + TAIL, 'latin1');
  setTimeout(() => socket.resume(), 500);
}

function exchange(port: number, act: (socket: Socket) => void): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received = '';
    const hang = setTimeout(() => {
      socket.destroy();
      resolve(undefined);
    }, HANG_MS);
    socket.setEncoding('latin1').on('data', (piece: string) => {
      received += piece;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(hang);
      resolve(received);
    });
    act(socket);
  });
}

function judge(received: string, token: string, tokens: ReadonlySet<string>, tally: Tally): void {
  try {
    for (let at = 0; at < received.length; ) {
      const message = strictMessage(received, at, 'reply');
      if (message === undefined) break;
      const status = message.startLine.split(' ')[1] ?? '';
      tally.replies[status] = (tally.replies[status] ?? 0) + 1;
      at = message.end;
    }
  } catch (error) {
    tally.problems.push(`${token}: ${String(error)}`);
  }
  for (const [other] of received.matchAll(/T[\da-f]{12}T/g)) {
    if (other !== token && tokens.has(other)) tally.problems.push(`${token} got the reply of ${other}`);
  }
}
