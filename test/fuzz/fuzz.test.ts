import { connect } from 'node:net';
import { expect, test } from 'vitest';
import type { Random } from '../../src/runtime/random.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { startTidy, untilState } from '../support/tidy.ts';
import { type EchoOrigin, startEchoOrigin } from './echo-origin.ts';
import { mutate } from './mutate.ts';
import { strictMessage } from './strict-http.ts';
import { validReply, validRequest } from './traffic.ts';

/** FUZZ_ROUNDS for more, FUZZ_SEED for others; FUZZ_ROUND plays one round of a seed alone. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 400);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_122);
const ONLY = process.env['FUZZ_ROUND'];

/** Connections at the same time, so that a reply has others to go wrong to. */
const WORKERS = 24;

/** A connection that has not ended by then hangs: every timeout of the configuration is a tenth of it at most. */
const HANG_MS = 10_000;

/** Ends every connection, however its bytes were read: as a request's start, as a chunk, as bytes of an unfinished body. */
const TAIL = `GET /api/last HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n${'\0'.repeat(64)}`;

const CONFIG = (origin: EchoOrigin) => `
clients: { head_timeout: 200ms, body_timeout: 100ms }
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    retry: off
    breaker: off
    concurrency: { mode: fixed, initial: 100, queue: 100, wait: 10s }
    timeouts: { attempt: 1s, total: 1s, idle: 1s }
`;

interface Round {
  readonly number: number;
  readonly token: string;
  readonly random: Random;
}

/** Plays `sent` on a connection of its own; gives what came back until its end. */
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

/** Everything that came back is HTTP, but for an end that may be cut, and speaks of nobody else. */
function check(received: string, round: Round, tokens: ReadonlySet<string>): void {
  for (let at = 0; at < received.length; ) {
    const message = strictMessage(received, at, 'reply');
    if (message === undefined) break;
    at = message.end;
  }
  for (const [token] of received.matchAll(/T[\da-f]{12}T/g)) {
    if (token !== round.token && tokens.has(token)) throw new Error(`got the reply of ${token}`);
  }
}

async function fuzz(
  reply: (request: string, random: Random) => string,
  payload: (round: Round) => string,
): Promise<{ readonly origin: EchoOrigin; readonly proxy: Breakwater; readonly failures: string[] }> {
  const replies = seededRandom(SEED ^ 0x5eed);
  const origin = await startEchoOrigin((request) => reply(request, replies));
  const proxy = await startTidy(CONFIG(origin));
  const tokens = new Set<string>();
  const failures: string[] = [];
  let next = 0;
  const worker = async () => {
    for (let number = next++; number < ROUNDS && failures.length === 0; number = next++) {
      const random = seededRandom(SEED + number);
      const token = `T${Math.floor(random() * 2 ** 48)
        .toString(16)
        .padStart(12, '0')}T`;
      tokens.add(token);
      const round = { number, token, random };
      const sent = payload(round);
      if (ONLY !== undefined && Number(ONLY) !== number) continue;
      try {
        check(await exchange(proxy.port, sent), round, tokens);
      } catch (error) {
        failures.push(
          `FUZZ_SEED=${SEED} FUZZ_ROUND=${number}: ${String(error)}\nsent ${JSON.stringify(sent)}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return { origin, proxy, failures };
}

/** What went wrong, the proxy at rest again; the upstream has to get no more than what the proxy says it sent. */
async function settled({ origin, proxy, failures }: Awaited<ReturnType<typeof fuzz>>) {
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
  const attempts = proxy.ended.reduce((sum, record) => sum + record.attempts, 0);
  const enough = ONLY === undefined ? ROUNDS / 2 : 0;
  return {
    failures,
    flaws: origin.flaws,
    smuggled: Math.max(0, origin.requests - attempts),
    played: origin.requests >= enough,
  };
}

const FINE = { failures: [], flaws: [], smuggled: 0, played: true };

const tokenIn = (request: string) => /T[\da-f]{12}T/.exec(request)?.[0] ?? 'none';

test('clients that send nearly HTTP', { timeout: 600_000 }, async () => {
  const done = await fuzz(
    (request, random) => validReply(tokenIn(request), random),
    ({ token, random }) => {
      const requests = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
        validRequest(token, random),
      );
      const wounded = Math.floor(random() * requests.length);
      return requests.map((text, i) => (i === wounded ? mutate(text, random) : text)).join('') + TAIL;
    },
  );
  expect(await settled(done)).toEqual(FINE);
});

test('upstreams that answer nearly HTTP', { timeout: 600_000 }, async () => {
  const done = await fuzz(
    (request, random) => {
      const whole = validReply(tokenIn(request), random);
      if (random() < 0.1) return whole + validReply(tokenIn(request), random);
      return random() < 0.5 ? mutate(whole, random) : whole;
    },
    ({ token, random }) => validRequest(token, random) + validRequest(token, random) + TAIL,
  );
  expect(await settled(done)).toEqual(FINE);
});
