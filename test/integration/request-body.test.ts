import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { early, hang, type OriginExchange, ok, startOrigin, status } from '../support/origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer } from '../support/raw-steps.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

const MIB = 1024 * 1024;
const head = (method: string, framing: string, target = '/api/x') =>
  `${method} ${target} HTTP/1.1\r\nhost: x\r\n${framing}\r\n\r\n`;
const length = (bytes: number) => `content-length: ${bytes}`;
const CHUNKED = 'transfer-encoding: chunked';
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const END = '0\r\n\r\n';

async function connected(config: string) {
  const proxy = await startTidy(config);
  return { proxy, client: await connectRaw(proxy.port) };
}

describe('bodies of every framing arrive unchanged', () => {
  test.each([
    ['POST', `${head('POST', length(5))}hello`, 'hello', '5'],
    ['POST', `${head('POST', CHUNKED)}${chunk('hel')}${chunk('lo')}${END}`, 'hello', undefined],
    ['POST', `${head('POST', CHUNKED)}${END}`, '', undefined],
    ['POST', head('POST', length(0)), '', '0'],
    ['POST', head('POST', 'x-none: 1'), '', '0'],
    ['GET', `${head('GET', length(5))}hello`, 'hello', '5'],
    ['GET', `${head('GET', CHUNKED)}${chunk('hello')}${END}`, 'hello', undefined],
    ['DELETE', `${head('DELETE', length(5))}hello`, 'hello', '5'],
    ['GET', head('GET', 'x-none: 1'), '', undefined],
    ['PROPFIND', `${head('PROPFIND', length(5))}hello`, 'hello', '5'],
  ])('%s: %j', async (method, request, body, declared) => {
    const origin = await startOrigin(ok());
    const { client } = await connected(apiConfig(origin));
    for (const nth of [0, 1]) {
      await client.send(request);
      expect((await client.readReply()).status).toBe(200);
      const seen = origin.requests[nth];
      expect(seen).toMatchObject({ method, complete: true });
      expect(seen?.body.toString()).toBe(body);
      expect(declared ?? seen?.headers['content-length']).toBe(seen?.headers['content-length']);
      expect([
        seen?.headers['content-length'] !== undefined,
        seen?.headers['transfer-encoding'] !== undefined,
      ]).not.toEqual([true, true]);
    }
  });
});

describe('a body over the cap is forwarded, and not repeated', () => {
  const config = (origin: { url: string }) => apiConfig(origin, '    request: { max_replay: 1KiB }\n');
  const body = 'x'.repeat(2_000);

  test.each([
    ['declared', `${head('PUT', length(2_000))}${body}`],
    ['chunked', `${head('PUT', CHUNKED)}${chunk(body)}${END}`],
  ])('%s', async (_name, request) => {
    const origin = await startOrigin(status(503, {}, 'no'));
    const { proxy, client } = await connected(config(origin));
    await client.send(request);
    const reply = await client.readReply();
    expect(reply).toMatchObject({ status: 503 });
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('body_not_replayable');
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('1');
    expect(origin.requests.length).toBe(1);
    expect(origin.requests[0]?.body.toString()).toBe(body);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ notes: { body_not_buffered: 'cap', gave_up: 'body_not_replayable' } });
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/breakwater_\w*not_buffered\w*\{[^}]*reason="cap"[^}]*\} 1/);
  });

  test('exactly the cap is buffered', async () => {
    const origin = await startOrigin(status(503), ok());
    const { client } = await connected(config(origin));
    await client.send(`${head('PUT', length(1_024))}${'x'.repeat(1_024)}`);
    expect(rawHeader(await client.readReply(), 'breakwater-attempts')).toBe('2');
    expect(origin.requests[1]?.body.length).toBe(1_024);
  });

  test('unless none of its bytes has been sent', async () => {
    const clock = new FakeClock();
    const origin = await startRawOrigin(answer());
    origin.refuse();
    const proxy = await startTidy(`${config(origin)}    retry: { backoff: { base: 1s, jitter: none } }\n`, {
      clock,
    });
    const client = await connectRaw(proxy.port);
    await client.send(`${head('PUT', length(100_000))}${'x'.repeat(100_000)}`);
    await clock.untilAsleep();
    await origin.accept();
    await clock.advance(1_000);
    const reply = await client.readReply();
    expect([reply.status, rawHeader(reply, 'breakwater-attempts')]).toEqual([200, '2']);
    expect(origin.requests[0]?.body.length).toBe(100_000);
  });

  test('there is no wait for an impossible retry', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503));
    const proxy = await startTidy(`${config(origin)}    retry: { backoff: { overloaded_base: 1s } }\n`, {
      clock,
    });
    const client = await connectRaw(proxy.port);
    await client.send(`${head('PUT', length(2_000))}${body}`);
    expect(rawHeader(await client.readReply(), 'breakwater-gave-up')).toBe('body_not_replayable');
    expect(proxy.ended[0]?.pending).toBeUndefined();
  });

  test('that exceeds the cap during the backoff ends with the last reply', async () => {
    // The head of a 503 is here before the body; the rest of the 503 lets the old attempt go on reading.
    let more: OriginExchange | undefined;
    const origin = await startOrigin((exchange) => {
      more = exchange;
      void exchange.body();
      exchange.response.writeHead(503, { 'content-length': 4, 'retry-after-ms': '50' });
      exchange.response.write('no');
    });
    const { proxy, client } = await connected(config(origin));
    await client.send(`${head('PUT', CHUNKED)}${chunk('start')}`);
    await proxy.until(() => proxy.ended.length > 0 || more !== undefined);
    await client.send(`${chunk(body)}${chunk(body)}`);
    await origin.until(({ requests }) => (requests[0]?.body.length ?? 0) > 4_000);
    more?.response.end('no');
    await client.send(END);
    const reply = await client.readReply();
    expect(reply.status).toBe(503);
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('body_not_replayable');
    expect(origin.requests.length).toBe(1);
  });
});

test('all bodies together buffer at most body_memory, and free it', async () => {
  const origin = await startOrigin(hang(), status(503), ok());
  const { proxy, client } = await connected(`body_memory: 1KiB\n${apiConfig(origin)}`);
  await client.send(`${head('PUT', length(1_000))}${'a'.repeat(1_000)}`);
  await origin.untilRequests(1);
  expect((await stateOf(proxy)).buffered_body_bytes).toBe(1_000);
  const second = await connectRaw(proxy.port);
  await second.send(`${head('PUT', length(100))}${'b'.repeat(100)}`);
  expect((await second.readReply()).status).toBe(503);
  expect((await proxy.untilEnded(1))[0]).toMatchObject({
    notes: { body_not_buffered: 'memory' },
    attempts: 1,
  });
  client.abort();
  await untilState(proxy, ({ buffered_body_bytes }) => buffered_body_bytes === 0);
  await second.send(`${head('PUT', length(100))}${'b'.repeat(100)}`);
  expect((await second.readReply()).status).toBe(200);
  expect(proxy.ended.at(-1)?.notes.body_not_buffered).toBeUndefined();
});

test('a reply before the end of the body reaches the client, and its connection stays usable', async () => {
  const origin = await startOrigin(early(413, {}, 'too large'), ok('next'));
  const { proxy, client } = await connected(apiConfig(origin));
  const bytes = 8 * MIB;
  await client.send(head('POST', length(bytes)));
  await client.send(Buffer.alloc(MIB));
  const reply = await client.readReply();
  expect([reply.status, reply.body.toString()]).toEqual([413, 'too large']);
  await client.send(Buffer.alloc(bytes - MIB));
  await client.send(`${head('POST', length(2))}hi`);
  expect((await client.readReply()).body.toString()).toBe('next');
  expect((await proxy.untilEnded(2)).map(({ attempts }) => attempts)).toEqual([1, 1]);
});

test('a truncated upload never looks complete to the upstream, however the upstream answers', async () => {
  const origin = await startOrigin(({ request, response }) => {
    request.on('data', () => response.writeHead(200, { 'content-length': 2 }).end('ok'));
    request.on('error', () => undefined);
  });
  const { client } = await connected(apiConfig(origin));
  await client.send(`${head('POST', CHUNKED)}${chunk('half')}`);
  expect((await client.readReply()).status).toBe(200);
  await origin.until(
    ({ requests, openConnections }) => requests[0]?.closed === true && openConnections === 0,
  );
  expect(origin.requests[0]?.complete).toBe(false);
});

describe('a large upload', () => {
  /** Sends `bytes` as fast as they are taken; `stuck` is their number when no more were taken. */
  async function upload(client: RawClient, bytes: number, held: () => boolean) {
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024, 'u');
    while (sent < bytes) {
      let taken = false;
      const write = client.send(piece).then(() => {
        taken = true;
      });
      write.catch(() => undefined);
      let turns = 0;
      while (!taken && !(held() && ++turns > 2_000)) await new Promise((resolve) => setImmediate(resolve));
      if (!taken) return sent;
      await write;
      sent += piece.length;
    }
    return sent;
  }

  test('is streamed, and at most the cap is buffered', async () => {
    let received = 0;
    const origin = await startOrigin(({ request, response }) => {
      request.on('data', (data: Buffer) => {
        received += data.length;
      });
      request.on('end', () => response.end('taken'));
    });
    const { proxy, client } = await connected(apiConfig(origin, '    request: { max_replay: 256KiB }\n'));
    await client.send(head('PUT', CHUNKED));
    const piece = 'z'.repeat(256 * 1024);
    for (let sent = 0; sent < 64 * MIB; sent += piece.length) await client.send(chunk(piece));
    expect((await stateOf(proxy)).buffered_body_bytes).toBe(0);
    await client.send(END);
    expect((await client.readReply()).body.toString()).toBe('taken');
    expect(received).toBe(64 * MIB);
  });

  test('is paused by an upstream that does not read', async () => {
    const origin = await startOrigin(() => undefined);
    const { proxy, client } = await connected(apiConfig(origin));
    await client.send(head('PUT', length(64 * MIB)));
    const sent = await upload(client, 64 * MIB, () => origin.requests.length > 0);
    expect(sent).toBeLessThan(32 * MIB);
    expect((await stateOf(proxy)).buffered_body_bytes).toBeLessThanOrEqual(MIB);
    await origin.close();
    await proxy.untilEnded(1);
    client.abort();
  });
});
