import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Origin, startOrigin, type Step } from '../support/origin.ts';
import { passTime } from '../support/quota-origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

const LIMIT = 1_000;

/** 1000 tokens per 1000 s, so that a second gives back one. */
const quota = (reply: string) =>
  `    quota:\n      windows: { limit: ${LIMIT}/1000s, counts: cost }\n      cost: { body: /max_tokens, reply: ${reply} }\n`;

const OPENAI = '/usage/total_tokens';
const ANTHROPIC = '[[/usage/input_tokens, /message/usage/input_tokens], /usage/output_tokens]';

const json =
  (body: string | Buffer, headers: Record<string, string> = {}): Step =>
  async (exchange) => {
    await exchange.body();
    exchange.response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(body);
  };

const events =
  (text: string | Buffer, headers: Record<string, string> = {}): Step =>
  async (exchange) => {
    await exchange.body();
    exchange.response.writeHead(200, { 'content-type': 'text/event-stream', ...headers }).end(text);
  };

interface World {
  readonly proxy: Breakwater;
  readonly origin: Origin;
  readonly clock: FakeClock;
}

async function setUp(reply: string, ...steps: readonly Step[]): Promise<World> {
  const clock = new FakeClock();
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(`${apiConfig(origin, quota(reply))}\nlog: { requests: all }\n`, { clock });
  return { proxy, origin, clock };
}

async function ask({ proxy }: Pick<World, 'proxy'>, maxTokens: number): Promise<RawClient> {
  const client = await connectRaw(proxy.port);
  const body = JSON.stringify({ max_tokens: maxTokens });
  await client.send(
    `POST /api/chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  return client;
}

async function left(proxy: Breakwater): Promise<number | undefined> {
  const { upstreams } = await stateOf(proxy);
  return upstreams[0]?.scopes[0]?.quota?.credentials[0]?.buckets[0]?.remaining;
}

const metrics = async ({ adminUrl }: Breakwater) => (await fetch(`${adminUrl}/metrics`)).text();

const delta = (text: string) => `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;
const USAGE = 'data: {"choices":[],"usage":{"total_tokens":30}}\n\n';
const MESSAGE_START =
  'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}\n\n';
const MESSAGE_DELTA = 'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":15}}\n\n';

describe('the real cost replaces the estimate', () => {
  const padding = 'x'.repeat(300_000);
  const cases: readonly (readonly [string, string, Step, number, string])[] = [
    ['JSON, less', OPENAI, json('{"usage":{"total_tokens":42}}'), 42, 'read'],
    ['JSON, more', OPENAI, json('{"usage":{"total_tokens":700}}'), 700, 'read'],
    ['JSON, the same', OPENAI, json('{"usage":{"total_tokens":100}}'), 100, 'read'],
    ['JSON, more than the window', OPENAI, json('{"usage":{"total_tokens":1e9}}'), LIMIT, 'read'],
    ['JSON in two parts', ANTHROPIC, json('{"usage":{"input_tokens":20,"output_tokens":5}}'), 25, 'read'],
    [
      'JSON in gzip',
      OPENAI,
      json(gzipSync('{"usage":{"total_tokens":42}}'), { 'content-encoding': 'gzip' }),
      42,
      'read',
    ],
    ['a list of JSON, the last one', '/*/u', json('[{"u":1},{"u":7},{}]'), 7, 'read'],
    ['a stream of OpenAI', OPENAI, events(`${delta('a')}${delta('b')}${USAGE}data: [DONE]\n\n`), 30, 'read'],
    [
      'a stream of OpenAI in gzip',
      OPENAI,
      events(gzipSync(`${delta('a')}${USAGE}`), { 'content-encoding': 'gzip' }),
      30,
      'read',
    ],
    [
      'a stream of Anthropic',
      ANTHROPIC,
      events(`${MESSAGE_START}${delta('a')}${MESSAGE_DELTA}${MESSAGE_DELTA}`),
      40,
      'read',
    ],
    [
      'JSON lines',
      '/eval_count',
      events('{"a":1}\n{"eval_count":9}', { 'content-type': 'application/x-ndjson' }),
      9,
      'read',
    ],
    ['JSON without it', OPENAI, json('{"usage":null}'), 100, 'missing'],
    ['a negative cost', OPENAI, json('{"usage":{"total_tokens":-5}}'), 100, 'missing'],
    ['no JSON', OPENAI, json('{"usage"'), 100, 'missing'],
    ['an unknown coding', OPENAI, json('{}', { 'content-encoding': 'x' }), 100, 'missing'],
    ['a stream that says only a part, below the estimate', ANTHROPIC, events(MESSAGE_START), 100, 'missing'],
    [
      'a body that is too large',
      OPENAI,
      json(`{"p":"${padding}","usage":{"total_tokens":1}}`),
      100,
      'too_large',
    ],
    [
      'an event that is too large',
      OPENAI,
      events(`data: {"p":"${padding}","usage":{"total_tokens":1}}\n\n`),
      100,
      'too_large',
    ],
    ['after an event that is too large', OPENAI, events(`data: ${padding}\n\n${USAGE}`), 30, 'read'],
  ];

  test.each(cases)('%s', async (...[, reply, step, cost, reading]) => {
    const world = await setUp(reply, step);
    const client = await ask(world, 100);
    expect((await client.readReply()).status).toBe(200);
    const [record] = await world.proxy.untilEnded(1);
    expect(record?.notes).toMatchObject({ estimated_cost: 100, cost_reading: reading });
    expect(await left(world.proxy)).toBe(LIMIT - cost);
    const { cost: stated } = record?.notes ?? {};
    expect(Math.min(stated ?? 0, LIMIT)).toBe(cost);
    const text = await metrics(world.proxy);
    const base = 'upstream="api",route="default"';
    expect(text).toContain(`breakwater_quota_cost_readings_total{${base},result="${reading}"} 1`);
    expect(text).toContain(`breakwater_quota_estimated_cost_total{${base}} 100`);
    expect(text).toContain(`breakwater_quota_cost_total{${base}} ${stated}`);
    expect(world.proxy.logs.at(-1)?.fields).toMatchObject({
      cost: stated,
      estimated_cost: 100,
      cost_reading: reading,
    });
  });
});

test('the bytes pass unchanged, and as they arrive', async () => {
  const text = `${MESSAGE_START}: comment\r\n\r\n${MESSAGE_DELTA}data: rest`;
  const chunks = Array.from(Buffer.from(text), (byte) => Buffer.from([byte]));
  const world = await setUp(ANTHROPIC, async ({ response, body }) => {
    await body();
    response.writeHead(200, { 'content-type': 'text/event-stream', 'content-length': text.length });
    for (const chunk of chunks) await new Promise((resolve) => response.write(chunk, resolve));
    response.end();
  });
  const client = await ask(world, 100);
  expect((await client.readReply()).body.toString()).toBe(text);
  await world.proxy.untilEnded(1);
  expect(await left(world.proxy)).toBe(LIMIT - 40);
});

test('a call that waits leaves as soon as a reply has cost less than estimated', async () => {
  const world = await setUp(OPENAI, json('{"usage":{"total_tokens":10}}'));
  const first = await ask(world, 1_000);
  expect((await first.readReply()).status).toBe(200);
  const second = await ask(world, 990);
  expect((await second.readReply()).status).toBe(200);
  expect(world.clock.now()).toBe(0);
});

test('a call waits for what a reply has cost beyond its estimate', async () => {
  const world = await setUp(OPENAI, json('{"usage":{"total_tokens":995}}'));
  await (await ask(world, 1)).readReply();
  const second = await ask(world, 15);
  let done = false;
  void second.readReply().then(() => (done = true));
  await passTime(world.clock, () => done);
  expect(world.clock.now()).toBe(10_000);
});

test('a client that leaves: what has arrived counts, and the upstream is not read further', async () => {
  const gone = Promise.withResolvers<void>();
  const world = await setUp(ANTHROPIC, async ({ request, response, body }) => {
    await body();
    request.socket.once('close', () => gone.resolve());
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(MESSAGE_START.replace('25', '250') + MESSAGE_DELTA);
  });
  const client = await ask(world, 100);
  await client.untilText('message_delta');
  client.abort();
  await gone.promise;
  await world.proxy.untilEnded(1);
  expect(await left(world.proxy)).toBe(LIMIT - 265);
});

test('a client that leaves before the cost is stated: the estimate stays, or what is known if it is more', async () => {
  const step =
    (text: string): Step =>
    async ({ response, body }) => {
      await body();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(text);
    };
  const world = await setUp(ANTHROPIC, step(MESSAGE_START), step(MESSAGE_START.replace('25', '250')));
  for (const [at, remaining] of [LIMIT - 100, LIMIT - 100 - 250].entries()) {
    const client = await ask(world, 100);
    await client.untilText('message_start');
    client.abort();
    await world.proxy.untilEnded(at + 1);
    expect(await left(world.proxy)).toBe(remaining);
  }
  expect(await metrics(world.proxy)).toContain('result="incomplete"} 2');
});

test('a stream that breaks counts what it has stated', async () => {
  const world = await setUp(OPENAI, async ({ response, body }) => {
    await body();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(USAGE, () => response.destroy());
  });
  const client = await ask(world, 100);
  await client.untilClosed();
  await world.proxy.untilEnded(1);
  expect(await left(world.proxy)).toBe(LIMIT - 30);
});

test('an error states no cost', async () => {
  const world = await setUp(OPENAI, async ({ response, body }) => {
    await body();
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"usage":{"total_tokens":0}}');
  });
  await (await ask(world, 100)).readReply();
  await world.proxy.untilEnded(1);
  expect(await left(world.proxy)).toBe(LIMIT - 100);
  expect(await metrics(world.proxy)).not.toContain('breakwater_quota_cost_readings_total{');
});
