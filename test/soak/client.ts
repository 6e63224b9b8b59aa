import { connect, type Socket } from 'node:net';
import type { Random } from '../../src/runtime/random.ts';
import { mutate } from '../fuzz/mutate.ts';
import { strictMessage } from '../fuzz/strict-http.ts';
import { validRequest } from '../fuzz/traffic.ts';
import type { Play } from './lanes.ts';

/** A connection that has not ended by then hangs. Every timeout of the proxy is far shorter. */
const HANG_MS = 30_000;

/** Ends every connection, however its bytes were read. */
const TAIL = `GET /api/last HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n${'\0'.repeat(64)}`;

const UPLOAD = `PUT /api/upload HTTP/1.1\r\nHost: app\r\nContent-Length: 300000\r\n\r\n${'u'.repeat(300_000)}`;
const HALF = UPLOAD.slice(0, 100_000);

export interface Tally {
  /** The number of plays, by name. */
  plays: Record<string, number>;
  replies: Record<string, number>;
  /** The server that answered proper requests whose client waited; `refused` if the proxy asked no upstream. */
  answeredBy: Record<string, number>;
  problems: string[];
}

/** The amount that is added to the count of a tally. */
export function count(counts: Record<string, number>, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

type Act = (socket: Socket, sent: string, random: Random) => void;

/** The ways in which clients behave on a connection, and their shares of a hundred. */
const MANNERS: readonly (readonly [share: number, name: string, act: Act])[] = [
  [60, 'proper', (socket, sent) => socket.write(sent + TAIL, 'latin1')],
  [15, 'garbled', (socket, sent, random) => socket.write(mutate(sent, random) + TAIL, 'latin1')],
  [5, 'uploads', (socket) => socket.write(UPLOAD + TAIL, 'latin1')],
  [5, 'reads slowly', readSlowly],
  [3, 'resets an upload', (socket) => socket.write(HALF, 'latin1', () => socket.resetAndDestroy())],
  [2, 'stops in an upload', (socket) => socket.write(HALF, 'latin1')],
  [4, 'closes its side', (socket, sent) => socket.end(sent, 'latin1')],
  [4, 'leaves', leave],
  [2, 'stops in a head', (socket, sent) => socket.write(sent.slice(0, 20), 'latin1')],
];

/** Plays whose clients expect the upstream's reply. */
const WAIT_FOR_REPLIES: ReadonlySet<string> = new Set(['proper', 'uploads', 'reads slowly']);

/** One connection with one of these plays, from its first byte to its end. */
export async function playClient(
  { port, random, token }: Play,
  tokens: ReadonlySet<string>,
  tally: Tally,
): Promise<void> {
  const requests = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
    validRequest(token, random),
  ).join('');
  let roll = random() * 100;
  const [, name, act] = MANNERS.find(([share]) => (roll -= share) < 0) as (typeof MANNERS)[number];
  count(tally.plays, name);
  const received = await exchange(port, (socket) => act(socket, requests, random));
  if (received === undefined) {
    tally.problems.push(`${token}: hung (${name}): ${JSON.stringify(requests)}`);
    return;
  }
  const heads = checkReplies(received, token, tokens, tally);
  if (!WAIT_FOR_REPLIES.has(name)) return;
  for (const head of heads) {
    const [, origin] = /\r\nbreakwater-origin: (\w+)/.exec(head) ?? [];
    if (origin === undefined) continue;
    count(tally.answeredBy, head.includes('\r\nbreakwater-attempts: 0\r\n') ? 'refused' : origin);
  }
}

function leave(socket: Socket, sent: string, random: Random): void {
  socket.write(sent, 'latin1', () => setTimeout(() => socket.resetAndDestroy(), random() * 50));
}

/** Reads nothing for a while, so that the sender is paused. */
function readSlowly(socket: Socket, sent: string): void {
  socket.pause();
  socket.write(sent + TAIL, 'latin1');
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

/** The heads of all replies. They must be HTTP, and mention no other client. */
function checkReplies(received: string, token: string, tokens: ReadonlySet<string>, tally: Tally): string[] {
  const heads: string[] = [];
  try {
    for (let at = 0; at < received.length; ) {
      const message = strictMessage(received, at, 'reply');
      if (message === undefined) break;
      count(tally.replies, message.startLine.split(' ')[1] ?? '');
      heads.push(message.head);
      at = message.end;
    }
  } catch (error) {
    tally.problems.push(`${token}: ${String(error)}`);
  }
  for (const [other] of received.matchAll(/T[\da-f]{12}T/g)) {
    if (other !== token && tokens.has(other)) tally.problems.push(`${token} got the reply of ${other}`);
  }
  return heads;
}
