import { describe, expect, onTestFinished, test } from 'vitest';
import { startDemoApi } from '../../examples/demo-api/server.ts';
import { Cycles, RequestLog } from '../../examples/demo-api/state.ts';
import { FORMS } from '../../examples/demo-api/streams/frames.ts';
import { readWish } from '../../examples/demo-api/wish.ts';
import { Changes } from '../support/changes.ts';
import { connectRaw } from '../support/raw-client.ts';

/** Time that moves only when the test moves it. Records every requested wait. */
class HeldTime {
  current = 0;
  readonly waits: number[] = [];
  readonly #sleepers = new Set<() => void>();

  now(): number {
    return this.current;
  }

  after(ms: number, callback: () => void): () => void {
    this.waits.push(ms);
    this.#sleepers.add(callback);
    this.#changes.notify();
    return () => {
      this.#sleepers.delete(callback);
      this.#changes.notify();
    };
  }
  readonly #changes = new Changes();

  untilAsleep(count: number): Promise<void> {
    return this.#changes.until(() => this.#sleepers.size === count);
  }

  wakeAll(): void {
    for (const wake of this.#sleepers) {
      this.#sleepers.delete(wake);
      wake();
    }
  }
}

async function start(seed = 1) {
  const time = new HeldTime();
  const api = await startDemoApi({ port: 0, host: '127.0.0.1', seed, time });
  onTestFinished(() => api.close());
  const port = Number(new URL(api.url).port);
  const call = async (target: string, { method = 'GET', body = '', headers = '' } = {}) => {
    const client = await connectRaw(port);
    const length = body === '' ? '' : `content-length: ${body.length}\r\n`;
    await client.send(`${method} ${target} HTTP/1.1\r\nhost: demo\r\n${length}${headers}\r\n${body}`);
    return client;
  };
  const reply = async (target: string, options = {}) => {
    const { status, rawHeaders, body } = await (await call(target, options)).readReply();
    const text = body.toString();
    return {
      status,
      rawHeaders,
      text,
      json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : undefined,
    };
  };
  return { time, api, call, reply };
}

describe('options of a path', () => {
  test('a script is played one step per request to that path and query, and again', async () => {
    const { reply, call } = await start();
    const target = '/orders/42?script=503,429:2,200';
    const played = [];
    for (let i = 0; i < 4; i++) played.push(await reply(target));
    expect(played.map(({ status, json }) => [status, json.requests_seen])).toEqual([
      [503, 1],
      [429, 2],
      [200, 3],
      [503, 1],
    ]);
    expect(played[1]?.rawHeaders).toContain('retry-after');
    expect(played[0]?.rawHeaders).not.toContain('retry-after');
    expect(played[2]?.json).toEqual({
      id: '42',
      status: 'paid',
      total: 4200,
      currency: 'eur',
      requests_seen: 3,
    });
    expect((await reply('/orders/42?script=503,429:2,200&own')).status).toBe(503);
    expect(await (await call('/x?script=reset,200')).untilClosed()).toBe('reset');
    expect((await reply('/x?script=reset,200')).status).toBe(200);
  });

  test.each([
    ['reset', 'reset', 0],
    ['close', 'fin', 0],
    ['cut', 'reset', 1],
  ])('script step %s ends by %s', async (step, end, heads) => {
    const { call } = await start();
    const client = await call(`/orders/1?script=${step}`);
    expect(await client.untilClosed()).toBe(end);
    expect(client.received.toString().match(/HTTP\/1.1 200/g) ?? []).toHaveLength(heads);
    await expect(client.readReply()).rejects.toThrow('no whole reply');
  });

  test('/flaky and /slow need no query, and give way to one', async () => {
    const { reply, call, time } = await start();
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await reply('/flaky')).status);
    expect(statuses).toEqual([503, 503, 200]);
    expect((await reply('/flaky?script=204')).status).toBe(204);
    const slow = await call('/slow');
    await call('/slow?delay=5s');
    await time.untilAsleep(2);
    const [drawn = 0, given] = time.waits.sort((a, b) => a - b);
    expect(given).toBe(5000);
    expect(drawn).toBeGreaterThanOrEqual(1000);
    expect(drawn).toBeLessThanOrEqual(3000);
    time.wakeAll();
    expect((await slow.readReply()).status).toBe(200);
  });

  test('a share of requests fails: near that share, and the same ones for the same seed', async () => {
    const statuses = async (seed: number) => {
      const { reply } = await start(seed);
      const seen = [];
      for (let i = 0; i < 200; i++) seen.push((await reply('/x?fail=30%&status=500')).status);
      return seen;
    };
    const first = await statuses(5);
    expect(await statuses(5)).toEqual(first);
    expect(await statuses(6)).not.toEqual(first);
    const failed = first.filter((status) => status === 500).length;
    expect(failed).toBeGreaterThan(30);
    expect(failed).toBeLessThan(90);
    expect(first.every((status) => status === 200 || status === 500)).toBe(true);
  });

  test('requests_seen counts to the success that ends it', async () => {
    const { reply } = await start();
    let before = 0;
    for (let i = 0; i < 50; i++) {
      const { status, json } = await reply('/x?fail=0.5');
      expect(json.requests_seen).toBe(before + 1);
      before = status === 200 ? 0 : json.requests_seen;
    }
  });

  test('status, retry_after and reset without a share mean always', async () => {
    const { reply, call } = await start();
    expect((await reply('/x?status=404')).status).toBe(404);
    const overloaded = await reply('/x?retry_after=7');
    expect(overloaded.status).toBe(503);
    expect(overloaded.rawHeaders[overloaded.rawHeaders.indexOf('retry-after') + 1]).toBe('7');
    const scripted = [
      await reply('/x?script=503,429:2,200&retry_after=7'),
      await reply('/x?script=503,429:2,200&retry_after=7'),
    ];
    expect(scripted.map(({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('retry-after') + 1])).toEqual([
      '7',
      '2',
    ]);
    expect((await reply('/x?script=503,429:2,200&retry_after=7')).rawHeaders).not.toContain('retry-after');
    expect(await (await call('/x?reset=before')).untilClosed()).toBe('reset');
    const cut = await call('/x?reset=body&size=100000');
    await cut.untilClosed();
    expect(cut.received.length).toBeGreaterThan(40_000);
    expect(cut.received.length).toBeLessThan(60_000);
  });

  test('size is the body to the byte, HEAD has none', async () => {
    const { reply } = await start();
    for (const size of [1, 2, 16_384, 100_001])
      expect((await reply(`/f?size=${size}`)).text).toHaveLength(size);
    expect(await reply('/f?size=9', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });

  test('events come one by one; half of them before a cut', async () => {
    const { call, time } = await start();
    const whole = await call('/e?sse=3&interval=700ms');
    expect((await whole.untilHead()).rawHeaders).toContain('text/event-stream');
    for (let i = 1; i < 3; i++) {
      await time.untilAsleep(1);
      await whole.untilText(`data: {"n":${i},"of":3}`);
      expect(whole.received.toString()).not.toContain(`data: {"n":${i + 1},"of":3}`);
      time.wakeAll();
    }
    expect((await whole.readReply()).body.toString().split('\n\n')).toHaveLength(4);
    expect(time.waits).toEqual([700, 700]);
    const cut = await call('/e?sse=2&reset=body&interval=0ms');
    expect(await cut.untilClosed()).toBe('reset');
    expect(cut.received.toString().match(/data:/g)).toHaveLength(1);
  });

  test('a delay is drawn from its range, and a client that leaves ends it', async () => {
    const { call, time } = await start();
    const client = await call('/x?delay=100ms-2s');
    await time.untilAsleep(1);
    expect(time.waits[0]).toBeGreaterThanOrEqual(100);
    expect(time.waits[0]).toBeLessThanOrEqual(2000);
    client.abort();
    await time.untilAsleep(0);
  });

  test('POST /charges echoes and gives the same id to the same key', async () => {
    const { reply } = await start();
    const post = (headers = '') => reply('/charges', { method: 'POST', body: '{"amount":100}', headers });
    const keyed = await post('idempotency-key: k1\r\n');
    expect(keyed).toMatchObject({ status: 201, json: { status: 'succeeded', received: { amount: 100 } } });
    expect((await post('idempotency-key: k1\r\n')).json.id).toBe(keyed.json.id);
    expect((await post('idempotency-key: k2\r\n')).json.id).not.toBe(keyed.json.id);
    expect((await post()).json.id).not.toBe((await post()).json.id);
  });
});

describe('outage', () => {
  test('takes everything down at once, for as long as said', async () => {
    const { reply, time } = await start();
    expect((await reply('/_outage?on=true&for=30s', { method: 'PUT' })).json).toEqual({
      on: true,
      kind: '503',
      left_ms: 30_000,
    });
    expect((await reply('/orders/1')).status).toBe(503);
    time.current = 29_999;
    expect((await reply('/orders/1')).status).toBe(503);
    time.current = 30_000;
    expect((await reply('/orders/1')).status).toBe(200);
  });

  test('ends by DELETE or on=false, and can be a black hole', async () => {
    const { reply, call } = await start();
    await reply('/_outage', { method: 'PUT' });
    expect((await reply('/x')).status).toBe(503);
    await reply('/_outage', { method: 'DELETE' });
    expect((await reply('/x')).status).toBe(200);
    await reply('/_outage?on=true&kind=blackhole', { method: 'PUT' });
    const lost = await call('/x');
    expect((await reply('/_log?last=1')).json).toMatchObject([{ path: '/x', outcome: 'outage blackhole' }]);
    expect((await reply('/_outage?on=false', { method: 'PUT' })).json).toEqual({ on: false });
    expect((await reply('/x')).status).toBe(200);
    expect(lost.received).toHaveLength(0);
    expect((await reply('/_outage', { method: 'POST' })).status).toBe(405);
  });
});

test('the log tells the requests as the API saw them, oldest first', async () => {
  const { reply } = await start();
  await reply('/flaky');
  await reply('/charges', { method: 'POST', headers: 'idempotency-key: k1\r\n' });
  expect((await reply('/_log')).json).toEqual([
    {
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      method: 'GET',
      path: '/flaky',
      outcome: '503',
      requests_seen: 1,
    },
    {
      at: expect.any(String),
      method: 'POST',
      path: '/charges',
      idempotency_key: 'k1',
      outcome: '201',
      requests_seen: 1,
    },
  ]);
  for (let i = 0; i < 505; i++) await reply(`/n/${i}`);
  // The log has a bounded number of entries, and no request can ask for more, so its bound shows in the class alone.
  const log = new RequestLog();
  const entry = {
    at: '',
    method: 'GET',
    path: '/',
    idempotency_key: undefined,
    outcome: '200',
    requests_seen: 1,
  };
  for (let i = 0; i < 505; i++) log.add(entry);
  expect(log.last(1000)).toHaveLength(500);
  const logged = (await reply('/_log?last=500')).json;
  expect(logged).toHaveLength(500);
  expect(logged.at(-1).path).toBe('/n/504');
});

test('the help page names every parameter', async () => {
  const { reply, api } = await start();
  const { text } = await reply('/');
  expect(text).toContain(api.url);
  for (const name of [
    'fail=',
    'status=',
    'reset=',
    'retry_after=',
    'script=',
    'delay=',
    'size=',
    'sse=',
    'interval=',
    'first=',
    'form=',
    'fault=',
    'demo-api:',
    ...FORMS,
    '_outage',
    '_log',
  ]) {
    expect(text).toContain(name);
  }
});

test.each([
  ['fail', '/x?fail=3'],
  ['fault', '/x?sse=1&fault=error@0'],
  ['fault', '/x?sse=1&fault=pings@2'],
  ['reset', '/x?reset=body&fault=stall'],
  ['script', '/x?script=stall'],
  ['form', '/x?sse=1&form=crlf,utf16'],
  ['first', '/x?sse=1&first=2'],
  ['fail', '/x?fail=lots'],
  ['status', '/x?status=99'],
  ['status', '/x?status=503&reset=body'],
  ['status', '/x?script=200&status=500'],
  ['reset', '/x?reset=maybe'],
  ['script', '/x?script=503,,200'],
  ['script', '/x?script=refuse'],
  ['script', '/x?script=100'],
  ['script', `/x?script=${'200,'.repeat(100)}200`],
  ['delay', '/x?delay=200'],
  ['delay', '/x?delay=10-0s'],
  ['delay', '/x?delay=2h'],
  ['delay', '/x?delay=90m'],
  ['size', '/x?size=0'],
  ['size', '/x?size=1e9'],
  ['sse', '/x?sse=-1'],
  ['interval', '/x?sse=1&interval=1-2s'],
  ['retry_after', '/x?retry_after=soon'],
  ['last', '/_log?last=0'],
  ['on', '/_outage?on=yes'],
  ['kind', '/_outage?kind=fire'],
  ['for', '/_outage?for=30'],
])('a bad %s is refused by name: %s', async (parameter, target) => {
  const { reply } = await start();
  const { status, json, rawHeaders } = await reply(target, {
    method: target.startsWith('/_outage') ? 'PUT' : 'GET',
  });
  expect(status).toBe(400);
  expect(rawHeaders).toContain('application/problem+json');
  expect(json).toMatchObject({ status: 400, parameter, detail: expect.stringContaining(parameter) });
});

test('the places in scripts of a bounded number of URLs are stored; the least recently used one is dropped first', () => {
  const cycles = new Cycles();
  const wish = readWish('/x', new URLSearchParams('script=503,503,200'));
  const arrive = (url: string) => cycles.arrive(url, wish, () => 0).seen;
  expect([arrive('/kept'), arrive('/forgotten')]).toEqual([1, 1]);
  for (let i = 0; i < 998; i++) arrive(`/${i}`);
  expect(arrive('/kept')).toBe(2);
  arrive('/one-more');
  expect(cycles.size).toBe(1000);
  expect(arrive('/kept')).toBe(3);
  expect(arrive('/forgotten')).toBe(1);
});

test('a port that is taken is an error, not a crash', async () => {
  const { api } = await start();
  const port = Number(new URL(api.url).port);
  await expect(startDemoApi({ port, host: '127.0.0.1' })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('close cuts what hangs', async () => {
  const { api, call, reply } = await start();
  const hanging = await call('/x?script=hang');
  expect((await reply('/_log')).json).toMatchObject([{ outcome: 'hang' }]);
  await api.close();
  expect(await hanging.untilClosed()).toBeDefined();
});
