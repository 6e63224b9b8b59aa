import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { connectRaw } from '../support/raw-client.ts';
import { type Peer, startRawOrigin } from '../support/raw-origin.ts';
import { startTidy, untilState } from '../support/tidy.ts';

/*
 * As same-turn.test.ts, with the policies that read, buffer or repeat a reply, and with an upstream that also leaves. `startTidy` fails
 * if a case leaves a call, a permit, a wait, a timer or buffered bytes behind.
 */

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}transfer-encoding: chunked\r\n`;
const EVENTS = `${CHUNKED}content-type: text/event-stream\r\n\r\n10\r\ndata: {"a":1}\n\n\r\n\r\n`;

const REPLIES = [
  '',
  `${OK}content-length: 0\r\n\r\n`,
  `${OK}content-type: application/json\r\ncontent-length: 12\r\n\r\n{"tokens":5}`,
  `${OK}content-length: 4\r\n\r\nok`,
  `${OK}connection: close\r\n\r\nuntil the end`,
  `${CHUNKED}\r\n4\r\nok`,
  `${CHUNKED}\r\n2\r\nok\r\n0\r\n`,
  `${CHUNKED}\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n`,
  EVENTS,
  `${EVENTS}0\r\n\r\n`,
  `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n`,
  `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}content-length: 0\r\n\r\n`,
  'HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok',
  'HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok',
  'HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\nno',
  'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello',
  `${OK}content-length: 2\r\n\r\nok${OK}content-length: 2\r\n\r\nok`,
];

const REQUESTS: readonly ((path: string) => string)[] = [
  (path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`,
  (path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\nGET ${path}/2 HTTP/1.1\r\nhost: x\r\n\r\n`,
  (path) => `POST ${path} HTTP/1.1\r\nhost: x\r\nidempotency-key: ${path}\r\ncontent-length: 2\r\n\r\n{}`,
  (path) => `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`,
];

const CLIENT_ENDS: readonly ((socket: Socket) => void)[] = [
  (socket) => void socket.destroy(),
  (socket) => void socket.end(),
  (socket) => void socket.resetAndDestroy(),
];

const UPSTREAM_ENDS: readonly ((upstream: Peer) => void)[] = [
  () => undefined,
  (upstream) => upstream.fin(),
  (upstream) => upstream.reset(),
];

const CASES = REQUESTS.flatMap((request) =>
  REPLIES.flatMap((reply) =>
    CLIENT_ENDS.flatMap((leave) => UPSTREAM_ENDS.map((end) => ({ request, reply, leave, end }))),
  ),
);

const RETRY = 'retry: { attempts: 2, safe: true, backoff: { kind: constant, base: 0ms, jitter: none } }';

test.each([
  ['a retry', RETRY],
  ['a cache', 'retry: off, cache: { ttl: 10m }'],
  ['dedupe', 'retry: off, dedupe: { window: 10m }'],
  ['rules for events', `${RETRY}, stream: { first_event: 1s, done: [{ event: end }] }`],
  ['a stated cost', 'retry: off, quota: { windows: 1000000/m, cost: { body: /a, reply: /tokens } }'],
  [
    'rules for bodies',
    `${RETRY}, errors: { inspect: all, rules: [{ status: 200, body: { "/tokens": "*" }, means: retry }] }`,
  ],
])('both sides leave in one turn, with %s', { timeout: 120_000 }, async (_policy, settings) => {
  let answering = Promise.withResolvers<Peer>();
  const origin = await startRawOrigin({ at: 'head', run: (upstream) => answering.resolve(upstream) });
  const proxy = await startTidy(
    `upstreams:\n  api: { url: "${origin.url}", allow_private: true, breaker: off, timeouts: { attempt: 2s, total: 4s }, ${settings} }\n`,
  );
  for (const [index, { request, reply, leave, end }] of CASES.entries()) {
    answering = Promise.withResolvers<Peer>();
    const client = await connectRaw(proxy.port);
    await client.send(request(`/api/${index}`));
    const upstream = await answering.promise;
    const written = upstream.write(reply);
    leave(client.socket);
    end(upstream);
    await written;
    client.abort();
  }
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
  expect(proxy.logs.filter(({ level }) => level === 'error')).toEqual([]);
});
