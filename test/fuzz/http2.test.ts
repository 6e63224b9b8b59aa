import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { framesIn, TYPE } from '../support/http2-frames.ts';
import { expectOnly, FINE, fuzz, HANG_MS, type Round, settled, tokenIn } from './fuzz.ts';
import { hostileSession, mutateFrames, validSession } from './http2-traffic.ts';
import { strictMessage } from './strict-http.ts';
import { validReply } from './traffic.ts';

/** After this time without bytes, a client closes its side. It bounds the duration; no assertion depends on it. */
const QUIET_MS = 150;

/** Memory growth that is allowed for a thousand sessions, in bytes: compiled code and filled pools. */
const MOST_GROWTH_BYTES = 24 * 2 ** 20;

/** Sends `sent`. Returns the received bytes until the proxy closes the connection, which it must after its client. */
function exchange(port: number, sent: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received = '';
    const hang = setTimeout(() => {
      socket.destroy();
      reject(new Error('the connection hangs'));
    }, HANG_MS);
    const quiet = setTimeout(() => socket.end(), QUIET_MS);
    socket.setEncoding('latin1').on('data', (piece: string) => {
      received += piece;
      quiet.refresh();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(quiet);
      clearTimeout(hang);
      resolve(received);
    });
    socket.write(sent, 'latin1');
  });
}

/** Frames of RFC 9113 on streams that the client has opened, or HTTP/1.1 if the preface was mutated. */
function check(received: string, round: Round, tokens: ReadonlySet<string>): void {
  if (received.startsWith('HTTP/1.1')) {
    strictMessage(received, 0, 'reply');
    return expectOnly(round, received, tokens);
  }
  const bodies = new Map<number, string>();
  for (const { type, stream, payload } of framesIn(Buffer.from(received, 'latin1'))) {
    if (type > TYPE.continuation) throw new Error(`a frame of type ${type}`);
    if (stream > 0 && stream % 2 === 0) throw new Error(`a frame on stream ${stream}`);
    if (type === TYPE.data) bodies.set(stream, (bodies.get(stream) ?? '') + payload.toString('latin1'));
  }
  for (const body of bodies.values()) expectOnly(round, body, tokens);
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

test('clients that send nearly HTTP/2', { timeout: 600_000 }, async () => {
  const before = heapBytes();
  const done = await fuzz({
    http2: true,
    reply: (request, random) => validReply(tokenIn(request), random),
    payload: ({ token, random }) => {
      const frames = validSession(token, random);
      // Most mutations end a connection early. The valid sessions are the calls that they could affect.
      return (random() < 0.4 ? Buffer.concat(frames) : mutateFrames(frames, random)).toString('latin1');
    },
    exchange,
    check,
  });
  expect(await settled(done)).toEqual(FINE);
  expect(heapBytes() - before).toBeLessThan(MOST_GROWTH_BYTES);
});

test('hostile HTTP/2 clients', { timeout: 600_000 }, async () => {
  const done = await fuzz({
    http2: true,
    reply: (request, random) => validReply(tokenIn(request), random),
    payload: ({ token, random }) => {
      const frames = hostileSession(token, random);
      return (random() < 0.8 ? Buffer.concat(frames) : mutateFrames(frames, random)).toString('latin1');
    },
    exchange,
    check,
  });
  const { played: _, ...rest } = FINE;
  expect(await settled(done)).toMatchObject(rest);
});
