import { once } from 'node:events';
import { constants } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { FLAG, field, frame, framesIn, get, PREFACE, setting, TYPE } from '../support/http2-frames.ts';
import { type Origin, ok, type Step, startOrigin } from '../support/origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { startTidy, untilState } from '../support/tidy.ts';

async function start(...steps: Step[]) {
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(`clients: { http2: true }\n${apiConfig(origin)}`);
  const client = await connectRaw(proxy.port);
  await client.send(Buffer.concat([PREFACE, frame('settings', {})]));
  return { origin, proxy, client };
}

/** The connection is served as before. */
async function expectServed(proxy: Breakwater, origin: Origin): Promise<void> {
  const before = origin.requests.length;
  expect(await ask(connectHttp2(proxy.url), { ':path': '/api/after' })).toMatchObject({
    status: 200,
    reset: 0,
  });
  expect(origin.requests.length).toBe(before + 1);
}

/** Sends pieces until the proxy closes. Returns their number. */
async function flood(client: RawClient, piece: (n: number) => Buffer, most: number): Promise<number> {
  let closed = false;
  client.socket.on('close', () => {
    closed = true;
  });
  for (let n = 0; n < most; n++) {
    if (closed) return n;
    if (!client.socket.write(piece(n)))
      await new Promise<void>((resolve) => {
        client.socket.once('drain', resolve);
        client.socket.once('close', () => resolve());
      });
    if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await client.untilClosed();
  return most;
}

const goaways = (client: RawClient) =>
  framesIn(client.received)
    .filter(({ type }) => type === TYPE.goaway)
    .map(({ payload }) => payload.readUInt32BE(4));

test('a flood of stream resets closes the connection and aborts its calls', async () => {
  const { client, origin, proxy } = await start(({ body }) => void body());
  const reset = frame('rst', { payload: Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL]) });
  const rapid = (n: number) => {
    const stream = 2 * n + 1;
    reset.writeUInt32BE(stream, 5);
    const head = frame('headers', { flags: FLAG.endHeaders | FLAG.endStream, stream, payload: get('/api/') });
    return Buffer.concat([head, Buffer.from(reset)]);
  };
  await flood(client, rapid, 20_000);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
  // 1000 at once, and 33 a second from then on.
  expect(proxy.ended.length).toBeLessThan(2_000);
  expect(proxy.ended.every(({ outcome }) => outcome === 'client_gone')).toBe(true);
  await origin.until(({ requests }) => requests.every(({ closed }) => closed));
});

test.each([
  ['CANCEL', '10'],
  ['NO_ERROR', '10'],
  ['CANCEL', undefined],
  ['NO_ERROR', undefined],
] as const)('half a body and %s (length %s) is no whole one', async (code, length) => {
  const { client, origin } = await start(async ({ body, response }) => void response.end(await body()));
  const head = Buffer.concat([
    Buffer.from([0x83, 0x86]),
    field(':path', '/api/'),
    field(':authority', 'x'),
    ...(length === undefined ? [] : [field('content-length', length)]),
  ]);
  const half = (stream: number) => [
    frame('headers', { flags: FLAG.endHeaders, stream, payload: head }),
    frame('data', { stream, payload: Buffer.from('half') }),
  ];
  const cut = Buffer.from([0, 0, 0, constants[`NGHTTP2_${code}`]]);
  const reset = (stream: number) => frame('rst', { stream, payload: cut });
  await client.send(Buffer.concat([...half(1), reset(1), ...half(3)]));
  if (length === undefined) await origin.until(({ requests }) => requests.at(-1)?.body.toString() === 'half');
  const after = { flags: FLAG.endHeaders | FLAG.endStream, stream: 5, payload: get('/api/ok') };
  await client.send(Buffer.concat([reset(3), frame('headers', after)]));
  while (!framesIn(client.received).some(({ stream }) => stream === 5)) await once(client.socket, 'data');
  await origin.until(({ requests }) => requests.every(({ closed }) => closed));
  expect(origin.requests.filter(({ complete }) => complete).map(({ url }) => url)).toEqual(['/ok']);
  client.abort();
});

test('a connection error in the same packet as a request ends only that connection', async () => {
  const { client, origin, proxy } = await start();
  const asked = { flags: FLAG.endHeaders | FLAG.endStream, stream: 1, payload: get('/api/') };
  // DATA on stream 0 (RFC 9113 §6.1).
  await client.send(
    Buffer.concat([frame('headers', asked), frame('data', { payload: Buffer.from('nobody’s') })]),
  );
  await client.untilClosed();
  expect(goaways(client)).toEqual([constants.NGHTTP2_PROTOCOL_ERROR]);
  await expectServed(proxy, origin);
});

describe('a stream reset by its client affects no other stream', () => {
  const reset = (code: keyof typeof CODES) =>
    frame('rst', { stream: 1, payload: Buffer.from([0, 0, 0, CODES[code]]) });
  const CODES = { noError: 0, cancel: 8 };
  const whole = FLAG.endHeaders | FLAG.endStream;
  const expecting = (value: string) => Buffer.concat([get('/api/'), field('expect', value)]);

  test.each([
    ['a path without a route', get('/none'), whole],
    ['a path without a route, its body not here', get('/none'), FLAG.endHeaders],
    ['an expectation that is met', expecting('100-continue'), FLAG.endHeaders],
    ['an expectation that is not', expecting('200-ok'), whole],
    ['CONNECT', Buffer.concat([field(':method', 'CONNECT'), field(':authority', 'x')]), FLAG.endHeaders],
    ['a route', get('/api/'), whole],
  ] as const)('%s, in the first packet of a connection', async (_what, payload, flags) => {
    const origin = await startOrigin();
    const proxy = await startTidy(`clients: { http2: true }\n${apiConfig(origin)}`);
    for (const code of ['noError', 'cancel'] as const) {
      const client = await connectRaw(proxy.port);
      const head = frame('headers', { flags, stream: 1, payload });
      await client.send(Buffer.concat([PREFACE, frame('settings', {}), head, reset(code)]));
      await expectServed(proxy, origin);
      expect([goaways(client), client.end]).toEqual([[], undefined]);
      client.abort();
    }
  });

  test('while its body is paused', async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const { client, origin, proxy } = await start(async ({ response }) => {
      asked.resolve();
      await answer.promise;
      response.end('late');
    });
    const head = Buffer.concat([
      Buffer.from([0x83, 0x86]),
      field(':path', '/api/'),
      field(':authority', 'x'),
    ]);
    const piece = frame('data', { stream: 1, payload: Buffer.alloc(16_000) });
    await client.send(frame('headers', { flags: FLAG.endHeaders, stream: 1, payload: head }));
    await client.send(Buffer.concat([piece, piece, piece]));
    await asked.promise;
    await client.send(reset('noError'));
    answer.resolve();
    await proxy.untilEnded(1);
    await expectServed(proxy, origin);
    expect([goaways(client), client.end]).toEqual([[], undefined]);
  });
});

test('a path with bytes that must be percent-encoded is refused', async () => {
  const { client, origin, proxy } = await start();
  const asked = { flags: FLAG.endHeaders | FLAG.endStream, stream: 1, payload: get('/api/\xa6') };
  await client.send(frame('headers', asked));
  await proxy.untilEnded(1);
  expect(proxy.ended[0]).toMatchObject({ status: 400, error: 'bad_request' });
  await expectServed(proxy, origin);
});

test('a head that never ends, in CONTINUATION frames, ends the connection', async () => {
  const { client, origin, proxy } = await start();
  await client.send(frame('headers', { stream: 1, payload: get('/api/') }));
  const more = frame('continuation', { stream: 1, payload: field('x-a', 'b') });
  await flood(client, () => more, 1_000);
  expect(goaways(client)).not.toEqual([]);
  await expectServed(proxy, origin);
});

const pairs = (count: number, length: number) =>
  Array.from({ length: count }, (_, i) => field(`x-${i}`, 'y'.repeat(length)));

test.each([
  ['1 200 fields', pairs(1_200, 0), 'rst'],
  ['20 KiB of fields', pairs(160, 120), 'headers'],
  ['40 KiB of fields', pairs(330, 120), 'headers'],
  ['80 KiB of fields', pairs(660, 120), 'headers'],
] as const)('a head of %s is refused (%#), and its connection stays', async (_what, fields, answer) => {
  const { client, origin } = await start();
  const block = Buffer.concat([get('/api/'), ...fields]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < block.length; at += 16_000) {
    const last = at + 16_000 >= block.length;
    pieces.push(
      frame(at === 0 ? 'headers' : 'continuation', {
        flags: (last ? FLAG.endHeaders : 0) | (at === 0 ? FLAG.endStream : 0),
        stream: 1,
        payload: block.subarray(at, at + 16_000),
      }),
    );
  }
  const whole = { flags: FLAG.endHeaders | FLAG.endStream, stream: 3, payload: get('/api/ok') };
  await client.send(Buffer.concat([...pieces, frame('headers', whole)]));
  const first = (of: number) => framesIn(client.received).find(({ stream }) => stream === of)?.type;
  while (first(3) === undefined) await once(client.socket, 'data');
  expect(origin.requests.map(({ url }) => url)).toEqual(['/ok']);
  expect([first(1), first(3)]).toEqual([TYPE[answer], TYPE.headers]);
  client.abort();
});

test('a client that respects the settings gets 431', async () => {
  const { origin, proxy } = await start();
  const client = connectHttp2(proxy.url);
  const long = await ask(client, { ':path': '/api/', 'x-long': 'y'.repeat(17_000) });
  expect(long).toMatchObject({ status: 431, headers: { 'content-type': 'application/problem+json' } });
  // By the settings, which count 32 bytes more for each field.
  const many = Object.fromEntries(Array.from({ length: 999 }, (_, i) => [`x-${i}`, '']));
  expect((await ask(client, { ':path': '/api/', ...many })).reset).not.toBe(0);
  expect(origin.requests).toHaveLength(0);
});

describe('a client that floods and does not read replies loses the connection', () => {
  test.each([
    ['SETTINGS', frame('settings', { payload: setting(4, 65_535) })],
    ['PING', frame('ping', { payload: Buffer.alloc(8) })],
  ])('%s', async (_what, piece) => {
    const { client, origin, proxy } = await start();
    client.socket.pause();
    const many = Buffer.concat(Array.from({ length: 100 }, () => piece));
    const before = process.memoryUsage().rss;
    // Closed by a reset, which a paused socket notices by its writes.
    client.socket.on('error', () => client.socket.destroy());
    await flood(client, () => many, 100_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
    await expectServed(proxy, origin);
  });
});

test('a client without flow-control window delays only its own upstream', async () => {
  let sent = 0;
  const held = Promise.withResolvers<void>();
  const { client, origin, proxy } = await start(async ({ response }) => {
    const piece = Buffer.alloc(64 * 1024);
    const closed = once(response, 'close');
    while (!response.destroyed && sent < 64 * 2 ** 20) {
      sent += piece.length;
      if (response.write(piece)) continue;
      held.resolve();
      await Promise.race([once(response, 'drain'), closed]);
    }
  }, ok());
  const none = frame('settings', { payload: setting(4, 0) });
  const asked = { flags: FLAG.endHeaders | FLAG.endStream, stream: 1, payload: get('/api/') };
  await client.send(Buffer.concat([none, frame('headers', asked)]));
  await held.promise;
  await expectServed(proxy, origin);
  // Bytes that the kernel holds on both connections, and a few of the proxy.
  expect(sent).toBeLessThan(16 * 2 ** 20);
  client.abort();
  await origin.until(({ requests }) => requests[0]?.closed === true);
  expect((await proxy.untilEnded(2)).map(({ outcome }) => outcome)).toEqual(['ok', 'client_gone']);
});
