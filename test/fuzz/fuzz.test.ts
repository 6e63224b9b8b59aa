import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { expectOnly, FINE, fuzz, HANG_MS, type Round, settled, tokenIn } from './fuzz.ts';
import { mutate } from './mutate.ts';
import { strictMessage } from './strict-http.ts';
import { validReply, validRequest } from './traffic.ts';

/** Ends every connection, however its bytes were read: as a request's start, as a chunk, as bytes of an unfinished body. */
const TAIL = `GET /api/last HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n${'\0'.repeat(64)}`;

/** Sends `sent` on its own connection. Returns the received bytes until its end. */
function exchange(port: number, sent: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received = '';
    const hang = setTimeout(() => {
      socket.destroy();
      reject(new Error('the connection hangs'));
    }, HANG_MS);
    socket.setEncoding('latin1').on('data', (piece: string) => {
      received += piece;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(hang);
      resolve(received);
    });
    socket.write(sent, 'latin1');
  });
}

/** Checks that all received bytes are HTTP, except for a truncated end, and mention no other client. */
function check(received: string, round: Round, tokens: ReadonlySet<string>): void {
  for (let at = 0; at < received.length; ) {
    const message = strictMessage(received, at, 'reply');
    if (message === undefined) break;
    at = message.end;
  }
  expectOnly(round, received, tokens);
}

const HTTP1 = { exchange, check };

test('clients that send nearly HTTP', { timeout: 600_000 }, async () => {
  const done = await fuzz({
    ...HTTP1,
    reply: (request, random) => validReply(tokenIn(request), random),
    payload: ({ token, random }) => {
      const requests = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
        validRequest(token, random),
      );
      const wounded = Math.floor(random() * requests.length);
      return requests.map((text, i) => (i === wounded ? mutate(text, random) : text)).join('') + TAIL;
    },
  });
  expect(await settled(done)).toEqual(FINE);
});

test('upstreams that answer nearly HTTP', { timeout: 600_000 }, async () => {
  const done = await fuzz({
    ...HTTP1,
    reply: (request, random) => {
      const whole = validReply(tokenIn(request), random);
      if (random() < 0.1) return whole + validReply(tokenIn(request), random);
      return random() < 0.5 ? mutate(whole, random) : whole;
    },
    payload: ({ token, random }) => validRequest(token, random) + validRequest(token, random) + TAIL,
  });
  expect(await settled(done)).toEqual(FINE);
});
