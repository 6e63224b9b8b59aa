import { once } from 'node:events';
import { request } from 'node:http';
import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { Random } from '../../src/runtime/random.ts';
import { CACHE_TTL_MS } from './config.ts';

/** One way in which an app uses the proxy. Throws if the proxy does not behave as specified. */
export type Lane = (play: Play) => Promise<void>;

export interface Play {
  readonly port: number;
  readonly token: string;
  /** All that are under way: an upstream that garbles makes tokens of no call. */
  readonly tokens: ReadonlySet<string>;
  readonly random: Random;
}

interface Sent {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

async function call(port: number, path: string, sent: Sent = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = sent;
  const req = request({ port, path, method, headers, agent: false });
  req.end(body);
  const [res] = await once(req, 'response');
  const chunks: Buffer[] = await res.toArray();
  return { status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() };
}

function expectAnswer(got: Pick<Answer, 'status' | 'body'>, status: number, body: string): void {
  if (got.status === status && got.body === body) return;
  throw new Error(`got ${got.status} ${got.body.slice(0, 200)} in place of ${status} ${body.slice(0, 50)}`);
}

/** From the upstream, from the cache, and from the cache again after revalidation. */
const cached: Lane = async ({ port, random }) => {
  const page = String(Math.floor(random() * 100));
  const ask = async () => expectAnswer(await call(port, `/well/cached/${page}`), 200, page.padEnd(1_000));
  await ask();
  await ask();
  await pause(CACHE_TTL_MS + 100);
  await ask();
};

/** Two at the same time and one after them: one request. */
const deduped: Lane = async ({ port, token }) => {
  const send = () =>
    call(port, `/well/once/${token}`, {
      method: 'POST',
      body: token,
      headers: { 'idempotency-key': token },
    });
  const [first, second] = await Promise.all([send(), send()]);
  const third = await send();
  if (!first.body.startsWith(token)) throw new Error(`got ${first.status} ${first.body}`);
  for (const repeat of [second, third]) expectAnswer(repeat, 200, first.body);
};

const hedged: Lane = async ({ port, token }) =>
  expectAnswer(await call(port, `/well/hedged/${token}`), 200, token);

const fallen: Lane = async ({ port, token }) =>
  expectAnswer(await call(port, `/well/broken/${token}`), 203, 'instead');

/** The wait was, or would be, longer than the deadline. */
const WAITED_TOO_LONG: ReadonlySet<number> = new Set([429, 504]);

/** More calls at once than a window allows, so that they wait. */
const limited: Lane = async ({ port, token }) => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => call(port, `/limited/${token}`)));
  for (const answer of answers) if (!WAITED_TOO_LONG.has(answer.status)) expectAnswer(answer, 200, token);
};

const durable: Lane = async ({ port, token }) => {
  const submitted = await call(port, `/well/later/${token}`, {
    method: 'PUT',
    body: token.repeat(50),
    headers: { prefer: 'respond-async' },
  });
  if (submitted.status !== 202) throw new Error(`got ${submitted.status} ${submitted.body}`);
  const at = String(submitted.headers['location']);
  const monitor = await call(port, at, { headers: { prefer: 'wait=20' } });
  if (!monitor.body.includes('"succeeded"')) throw new Error(`ended as ${monitor.body}`);
  expectAnswer(await call(port, `${at}/response`), 200, `${token} done`);
};

/** A third of them disconnects without a close frame. */
const webSocket: Lane = async ({ port, token, random }) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/well/socket`);
  await once(socket, 'open');
  for (let i = 0; i < 20; i++) {
    socket.send(`${token} ${i}`);
    const [message] = await once(socket, 'message');
    if (String(message) !== `${token} ${i}`) throw new Error(`got ${String(message)} by a tunnel`);
  }
  const closed = once(socket, 'close');
  if (random() < 0.3) socket.terminate();
  else socket.close();
  await closed;
};

async function overHttp2<T>(port: number, act: (session: ClientHttp2Session) => Promise<T>): Promise<T> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  try {
    return await act(session);
  } finally {
    if (!session.destroyed) await new Promise<void>((resolve) => session.close(resolve));
  }
}

interface Http2Answer {
  readonly status: number;
  readonly body: string;
  readonly trailers: Readonly<Record<string, unknown>>;
}

/** One stream from its first frame to its end, also one that is cut. */
function askHttp2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: string,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === '' });
  let status = 0;
  let trailers = {};
  const chunks: Buffer[] = [];
  stream.on('response', (head) => {
    status = Number(head[':status']);
  });
  stream.on('trailers', (fields) => {
    trailers = fields;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => undefined);
  if (body !== '') stream.end(body);
  return new Promise((resolve) =>
    stream.on('close', () => resolve({ status, body: Buffer.concat(chunks).toString(), trailers })),
  );
}

/** Concurrent streams on one connection, to upstreams with and without faults. One is reset. */
const http2: Lane = ({ port, token, tokens, random }) =>
  overHttp2(port, async (session) => {
    const given = session.request({ ':path': `/api/${token}` });
    // Unread, it would hold the window that all streams share.
    given.on('error', () => undefined).resume();
    const closed = new Promise((resolve) => given.on('close', resolve));
    setTimeout(() => given.close(constants.NGHTTP2_CANCEL), random() * 50);
    const body = token.repeat(1 + Math.floor(random() * 5_000));
    const post = { ':method': 'POST', ':path': '/well/echo' };
    const faulty = await Promise.all([
      askHttp2(session, { ':path': `/api/${token}` }, ''),
      askHttp2(session, { ':method': 'PUT', ':path': `/api/${token}` }, body),
      askHttp2(session, post, body).then((answer) => expectAnswer(answer, 200, body)),
    ]);
    await closed;
    for (const answer of faulty) {
      const [other] =
        (answer?.body ?? '')
          .match(/T[\da-f]{12}T/g)
          ?.filter((found) => found !== token && tokens.has(found)) ?? [];
      if (other !== undefined) throw new Error(`${token} got the reply of ${other} by HTTP/2`);
    }
  });

const grpc: Lane = ({ port, token }) =>
  overHttp2(port, async (session) => {
    const headers = {
      ':method': 'POST',
      ':path': '/grpc/soak.Echo/Unary',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const answer = await askHttp2(session, headers, token);
    expectAnswer(answer, 200, token);
    if (answer.trailers['grpc-status'] !== '0') throw new Error('no grpc-status behind the message');
  });

export const LANES: Readonly<Record<string, Lane>> = {
  cached,
  deduped,
  hedged,
  fallen,
  limited,
  durable,
  webSocket,
  http2,
  grpc,
};
