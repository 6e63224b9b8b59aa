import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { eventReader } from '../../src/http/event-stream/reader.ts';
import type { Random } from '../../src/runtime/random.ts';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { startTidy } from '../support/tidy.ts';
import { cut, eventsIn, linesIn, nearlyEvents, nearlyMessages } from './event-streams.ts';

/** FUZZ_ROUNDS for more, FUZZ_SEED for others; FUZZ_ROUND plays one round of a seed alone. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 400);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_130);
const ONLY = process.env['FUZZ_ROUND'];
const WORKERS = 16;

const CONFIG = `    retry: off
    breaker: off
    concurrency: off
    timeouts: { total: 20s, idle: 20s }
    stream:
      first_event: 20s
      ignore: [ping]
      error: [{ event: error, status: 503 }]
      done: [{ event: end }]
      hold: 1MiB
`;

const SSE = 'text/event-stream';
const NDJSON = 'application/x-ndjson';
const AWS = 'application/vnd.amazon.eventstream';
const TYPES = [SSE, SSE, SSE, SSE, NDJSON, AWS] as const;

interface Round {
  readonly number: number;
  readonly type: (typeof TYPES)[number];
  readonly body: Buffer;
  readonly coding: 'gzip' | 'damaged' | undefined;
  readonly pieces: readonly Buffer[];
}

function roundOf(number: number): Round {
  const random = seededRandom(SEED + number);
  const type = TYPES[Math.floor(random() * TYPES.length)] ?? SSE;
  const plain = type === AWS ? nearlyMessages(random) : nearlyEvents(random);
  const coding = random() < 0.8 ? undefined : random() < 0.5 ? 'gzip' : 'damaged';
  const body = coding === undefined ? plain : coding === 'gzip' ? gzipSync(plain) : damagedZip(plain, random);
  return { number, type, body, coding, pieces: cut(body, random) };
}

function damagedZip(plain: Buffer, random: Random): Buffer {
  const packed = gzipSync(plain);
  packed[Math.floor(random() * packed.length)]! ^= 1 + Math.floor(random() * 255);
  return packed;
}

const NOTHING = { status: 502, stream: 'broken', events: 0 };

/** The result of a round without a proxy in between: by a reader that is as simple as the specification. */
function expected({ type, body, coding }: Round) {
  if (coding !== undefined || type === AWS) return undefined;
  if (type === NDJSON) {
    const events = linesIn(body).length;
    return events === 0 ? NOTHING : { status: 200, stream: 'incomplete', events };
  }
  const names = eventsIn(body).flatMap(({ name, empty }) =>
    name === 'error' || name === 'end' || !(empty || name === 'ping') ? [name] : [],
  );
  if (names.length === 0) return NOTHING;
  const stream = names.includes('error') ? 'error_event' : names.includes('end') ? 'complete' : 'incomplete';
  // A stream that begins with an error has its result at once.
  return { status: 200, stream, events: names[0] === 'error' ? 1 : names.length };
}

/** Sends each round as it is cut: each piece is with the kernel before the next. */
async function startOrigin(): Promise<{ readonly url: string }> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { type, coding, pieces } = roundOf(Number(request.url?.slice(1)));
    response.writeHead(200, {
      'content-type': type,
      ...(coding === undefined ? {} : { 'content-encoding': 'gzip' }),
    });
    for (const piece of pieces) await new Promise((resolve) => response.write(piece, resolve));
    response.end();
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function received(url: string): Promise<{ status: number; id: string; body: Buffer }> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () =>
        resolve({
          status: reply.statusCode ?? 0,
          id: String(reply.headers['breakwater-request-id']),
          body: Buffer.concat(chunks),
        }),
      );
    }).on('error', reject);
  });
}

/** Throws if the client has received other bytes, or if the proxy has seen other events. */
async function play(proxy: Breakwater, round: Round): Promise<void> {
  const { status, id, body } = await received(`${proxy.url}/api/${round.number}`);
  const recordOf = () => proxy.ended.find(({ info }) => info.id === id);
  await proxy.until(() => recordOf() !== undefined);
  if (status === 200 && !body.equals(round.body)) throw new Error('the bytes are not the same');
  if (status !== 200 && status !== 502) throw new Error(`status ${status}`);
  const notes = recordOf()?.notes;
  const seen = JSON.stringify({ status, stream: notes?.stream, events: notes?.events ?? 0 });
  const wanted = JSON.stringify(expected(round));
  if (wanted !== undefined && seen !== wanted) throw new Error(`${seen} instead of ${wanted}`);
}

test('any bytes as an event stream, cut anywhere, pass unchanged', { timeout: 600_000 }, async () => {
  const origin = await startOrigin();
  const proxy = await startTidy(apiConfig(origin, CONFIG));
  const failures: string[] = [];
  let next = 0;
  const worker = async () => {
    for (let number = next++; number < ROUNDS && failures.length === 0; number = next++) {
      if (ONLY !== undefined && Number(ONLY) !== number) continue;
      await play(proxy, roundOf(number)).catch((error: unknown) => {
        failures.push(`FUZZ_SEED=${SEED} FUZZ_ROUND=${number}: ${String(error)}`);
      });
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  expect(failures).toEqual([]);
  const results = new Set(proxy.ended.map(({ notes }) => notes.stream));
  expect(results).toEqual(new Set(['broken', 'error_event', 'complete', 'incomplete']));
});

test('the events of any bytes are the same, wherever they are cut', () => {
  const namesIn = (pieces: readonly Buffer[]) => {
    const names: string[] = [];
    const reader = eventReader(['content-type', SSE], 64 * 1024, {
      onEvent: ({ name }) => names.push(name),
      onAllRead: () => names.push('(end)'),
      onUnreadable: () => names.push('(unreadable)'),
      onReady: () => undefined,
    });
    for (const piece of pieces) reader?.read(piece);
    reader?.end();
    return names;
  };
  for (let number = 0; number < 5 * ROUNDS; number++) {
    const random = seededRandom(SEED + number);
    const bytes = nearlyEvents(random);
    const names = namesIn(cut(bytes, random));
    expect(names, `FUZZ_SEED=${SEED}, bytes ${number}`).toEqual([
      ...eventsIn(bytes).map(({ name }) => name),
      '(end)',
    ]);
  }
});
