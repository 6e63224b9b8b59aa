import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants, createGzip, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { DurableClient, durableConfig } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { type Http2Step, reply as http2Reply, startHttp2Origin } from '../support/http2-origin.ts';
import { ok, startOrigin, type Step } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { echo, startSocketOrigin } from '../support/socket-origin.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

const SSE = { 'Content-Type': 'text/event-stream' };
const FIRST = 'data: 1\n\n';
const GOOD = `${FIRST}event: end\ndata: {}\n\n`;
const ERROR = 'event: error\ndata: {}\n\n';
const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';

const stream = (rule = 'status: 503') =>
  `    stream: { first_event: 5s, event_gap: 8s, error: [{ event: error, ${rule} }], done: [{ event: end }] }\n`;

const good = ok(GOOD, SSE);

/** Writes the head and `text`, and leaves the stream open. */
const open =
  (text = '', headers: Record<string, string> = SSE): Step =>
  ({ response }) => {
    response.writeHead(200, headers).flushHeaders();
    if (text !== '') response.write(text);
  };

describe('a stream that failed with its first event and stays open', () => {
  test('holds no permit that its retry needs', async () => {
    const origin = await startOrigin(open(ERROR), good);
    const proxy = await startTidy(apiConfig(origin, `${stream()}    concurrency: 1\n    breaker: off\n`));
    const reply = await fetch(`${proxy.url}/api/`);
    expect(await reply.text()).toBe(GOOD);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
  });

  test('is ended before the retry', async () => {
    const origin = await startOrigin(open(ERROR), good);
    const proxy = await startTidy(apiConfig(origin, stream()));
    expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe(GOOD);
    await origin.until(({ requests }) => requests[0]?.closed === true);
  });

  test('is ended if its hedge wins', async () => {
    const clock = new FakeClock();
    let fail: (() => void) | undefined;
    let win: (() => void) | undefined;
    const origin = await startOrigin(
      ({ response }) => {
        response.writeHead(200, SSE).flushHeaders();
        fail = () => void response.write(ERROR);
      },
      ({ response }) => {
        response.writeHead(200, SSE).flushHeaders();
        win = () => void response.end(GOOD);
      },
    );
    const more = `${stream()}    hedge: { after: 300ms, max_extra: 100% }\n`;
    const proxy = await startTidy(apiConfig(origin, more), { clock });
    const replying = fetch(`${proxy.url}/api/`);
    await origin.untilRequests(1);
    await clock.untilWaiting('stream-body.ts', 5_000);
    await clock.advance(300);
    await origin.untilRequests(2);
    fail?.();
    await proxy.until(() => proxy.ended.length === 0);
    win?.();
    expect(await (await replying).text()).toBe(GOOD);
    await origin.until(({ requests }) => requests[0]?.closed === true);
  });

  test('is ended if the fallback answers', async () => {
    const origin = await startOrigin(open(ERROR));
    const spare = await startOrigin(ok('spare'));
    const more = `${stream()}    retry: off\n    fallback: { upstream: spare }\n`;
    const proxy = await startTidy(
      `${apiConfig(origin, more)}  spare:\n    url: ${spare.url}\n    allow_private: true\n`,
    );
    expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe('spare');
    await origin.until(({ requests }) => requests[0]?.closed === true);
  });
});

test('a stream without its end is not stored for repeats of its request', async () => {
  const origin = await startOrigin(ok(FIRST, SSE), good);
  const more = `${stream()}    retry: { idempotency_key: pass }\n    dedupe: 1h\n`;
  const proxy = await startTidy(apiConfig(origin, more));
  const init = { method: 'POST', body: '{}', headers: { 'idempotency-key': 'k' } };
  expect(await (await fetch(`${proxy.url}/api/`, init)).text()).toBe(FIRST);
  for (let i = 0; i < 2; i++) expect(await (await fetch(`${proxy.url}/api/`, init)).text()).toBe(GOOD);
  expect(origin.requests).toHaveLength(2);
  const records = await proxy.untilEnded(3);
  expect(records[0]).toMatchObject({ outcome: 'ok', notes: { stream: 'incomplete' } });
});

describe('a stream that is refused by a rate limit after its first event', () => {
  const limited = 'status: 429, throttled: true';

  test('is not stored for repeats of its request', async () => {
    const origin = await startOrigin(ok(FIRST + ERROR, SSE), good);
    const more = `${stream(limited)}    retry: { idempotency_key: pass }\n    dedupe: 1h\n`;
    const proxy = await startTidy(apiConfig(origin, more));
    const init = { method: 'POST', body: '{}', headers: { 'idempotency-key': 'k' } };
    expect(await (await fetch(`${proxy.url}/api/`, init)).text()).toBe(FIRST + ERROR);
    expect(await (await fetch(`${proxy.url}/api/`, init)).text()).toBe(GOOD);
  });

  test('is not cached', async () => {
    const headers = { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'max-age=60' };
    const origin = await startOrigin(ok('{"n":1}\n{"error":1}\n', headers), ok('{"n":1}\n', headers));
    const rule = '    stream: { error: [{ body: { /error: "*" }, status: 429, throttled: true }] }\n';
    const proxy = await startTidy(apiConfig(origin, `${rule}    cache: 1m\n`));
    expect(await (await fetch(`${proxy.url}/api/`)).text()).toContain('error');
    expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe('{"n":1}\n');
    expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe('{"n":1}\n');
    expect(origin.requests).toHaveLength(2);
  });

  test('makes a durable request try again, and is no failure of the upstream', async () => {
    const origin = await startOrigin(ok(FIRST + ERROR, SSE), good);
    const proxy = await startTidy(durableConfig(origin, { more: stream(limited) }));
    const client = new DurableClient(proxy);
    const monitor = await client.done(await client.accepted());
    expect(monitor).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
  });

  test('counts as a failed call', async () => {
    const origin = await startOrigin(ok(FIRST + ERROR, SSE));
    const proxy = await startTidy(apiConfig(origin, `${stream(limited)}    breaker: { min_requests: 5 }\n`));
    for (let i = 0; i < 6; i++) await (await fetch(`${proxy.url}/api/`)).text();
    const records = await proxy.untilEnded(6);
    expect(new Set(records.map(({ outcome }) => outcome))).toEqual(new Set(['upstream_error']));
    expect(proxy.states).toEqual([]);
  });
});

test('a permit is held while the events of a compressed stream are read', async () => {
  const noise = `data: ${randomBytes(120_000).toString('base64')}\n\n`;
  const origin = await startOrigin(({ response }) => {
    response.writeHead(200, { ...SSE, 'Content-Encoding': 'gzip' });
    const gzip = createGzip();
    gzip.pipe(response, { end: false });
    gzip.write(FIRST);
    gzip.flush(constants.Z_SYNC_FLUSH, () => {
      gzip.write(noise);
      gzip.flush(
        constants.Z_SYNC_FLUSH,
        () => void gzip.write('event: end\ndata: {}\n\n', () => gzip.flush()),
      );
    });
  });
  const proxy = await startTidy(apiConfig(origin, `${stream()}    concurrency: 5\n    breaker: off\n`));
  const leave = new AbortController();
  const reply = await fetch(`${proxy.url}/api/`, { signal: leave.signal });
  const reader = reply.body?.getReader();
  for (let text = ''; !text.includes('event: end'); ) {
    const { value } = (await reader?.read()) ?? {};
    text = text.slice(-100) + Buffer.from(value ?? []).toString();
  }
  const state = await stateOf(proxy);
  expect(state.upstreams[0]?.scopes[0]?.concurrency?.in_flight).toBe(1);
  leave.abort();
  await proxy.untilEnded(1);
});

test('the rest of a resumed stream need not begin with an event', async () => {
  const head = (status: string, more: string) =>
    `HTTP/1.1 ${status}\r\nContent-Type: text/event-stream\r\nETag: "v"\r\n${more}\r\n`;
  const cut = GOOD.length - 5;
  const origin = await startRawOrigin(
    {
      at: 'request',
      run: async (peer) => {
        await peer.write(`${head('200 OK', `Content-Length: ${GOOD.length}\r\n`)}${GOOD.slice(0, cut)}`);
        peer.reset();
      },
    },
    {
      at: 'request',
      run: async (peer) => {
        const range = `Content-Length: 5\r\nContent-Range: bytes ${cut}-${GOOD.length - 1}/${GOOD.length}\r\n`;
        await peer.write(`${head('206 Partial Content', range)}${GOOD.slice(cut)}`);
      },
    },
  );
  const proxy = await startTidy(apiConfig(origin, `${stream()}    resume: true\n`));
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  expect((await client.readReply()).body.toString()).toBe(GOOD);
});

test.each([
  ['empty', gzipSync('')],
  ['cut after its head', gzipSync(GOOD).subarray(0, 10)],
  ['without any byte', Buffer.alloc(0)],
])('a compressed stream that is %s is a failed attempt', async (_, bytes) => {
  const packed = { ...SSE, 'Content-Encoding': 'gzip' };
  const origin = await startOrigin(ok(bytes, packed), ok(gzipSync(GOOD), packed));
  const proxy = await startTidy(apiConfig(origin, stream()));
  const reply = await fetch(`${proxy.url}/api/`);
  expect(await reply.text()).toBe(GOOD);
  expect(reply.headers.get('breakwater-attempts')).toBe('2');
});

describe('while the head is held back', () => {
  async function held() {
    let more: ((text: string) => void) | undefined;
    const origin = await startOrigin(({ response }) => {
      response.writeHead(200, SSE).write(': a\n\n');
      more = (text) => void response.end(text);
    });
    const proxy = await startBreakwater(apiConfig(origin, stream()));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await origin.untilRequests(1);
    return { origin, proxy, client, end: (text: string) => more?.(text) };
  }

  test('a reload leaves the stream its rules', async () => {
    const { origin, proxy, client, end } = await held();
    proxy.rewrite(apiConfig(origin));
    expect(await proxy.app.reload()).toMatchObject({ ok: true });
    end(GOOD);
    expect((await client.readReply()).body.toString()).toBe(`: a\n\n${GOOD}`);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ notes: { stream: 'complete', events: 2 } });
  });

  test('a drain waits for the stream', async () => {
    const { proxy, client, end } = await held();
    const stopped = proxy.app.stop(10_000);
    end(GOOD);
    expect((await client.readReply()).body.toString()).toBe(`: a\n\n${GOOD}`);
    client.halfClose();
    await stopped;
  });

  test('the end of a drain answers with an error', async () => {
    const { origin, proxy, client } = await held();
    await proxy.app.stop(1);
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString()]).toEqual([503, expect.stringContaining('draining')]);
    await origin.until(({ requests }) => requests[0]?.closed === true);
  });
});

test('little memory for buffered bodies releases the streams', async () => {
  const origin = await startOrigin(open(`: ${'x'.repeat(900)}\n\n`));
  const proxy = await startTidy(
    `body_memory: 64KiB\n${apiConfig(origin, `${stream()}    breaker: off\n    concurrency: off\n`)}`,
  );
  const clients = await Promise.all(Array.from({ length: 100 }, () => connectRaw(proxy.port)));
  for (const client of clients) await client.send(GET);
  await origin.untilRequests(100);
  await Promise.any(clients.map((client) => client.untilText('xxx')));
  expect((await stateOf(proxy)).buffered_body_bytes).toBeLessThanOrEqual(66 * 1024);
  for (const client of clients) client.abort();
  await proxy.untilEnded(100);
});

test('a stream with a length that breaks before its first event is a failed attempt', async () => {
  const origin = await startRawOrigin(
    {
      at: 'request',
      run: async (peer) => {
        await peer.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100\r\n\r\n');
        peer.fin();
      },
    },
    {
      at: 'request',
      run: async (peer) => {
        const head = `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: ${GOOD.length}\r\n\r\n`;
        await peer.write(head + GOOD);
      },
    },
  );
  const proxy = await startTidy(apiConfig(origin, stream()));
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  const reply = await client.readReply();
  expect([reply.body.toString(), reply.rawHeaders.includes('Content-Length')]).toEqual([GOOD, true]);
});

test('trailers pass after a held stream, to HTTP/1.1 and to HTTP/2', async () => {
  const step: Step = ({ response }) => {
    response.writeHead(200, { ...SSE, Trailer: 'x-sum' });
    response.write(GOOD);
    response.addTrailers({ 'x-sum': '7' });
    response.end();
  };
  const origin = await startOrigin(ok(ERROR, SSE), step);
  const proxy = await startTidy(`clients: { http2: true }\n${apiConfig(origin, stream())}`);
  const session = connectHttp2(proxy.url);
  const answer = await ask(session, { ':path': '/api/' });
  expect(answer).toMatchObject({ status: 200, body: GOOD, trailers: ['x-sum', '7'] });
  expect(answer.headers['breakwater-attempts']).toBe('2');
  const client = await connectRaw(proxy.port);
  await client.send(GET.replace('host: x', 'host: x\r\nTE: trailers'));
  await client.untilText('x-sum: 7');
});

test('trailers pass after the last error event', async () => {
  const origin = await startOrigin(({ response }) => {
    response.writeHead(200, { ...SSE, Trailer: 'x-sum' }).write(ERROR);
    response.addTrailers({ 'x-sum': '7' });
    response.end();
  });
  const spare = await startOrigin(ok(ERROR, SSE));
  const other = `  spare:\n    url: ${spare.url}\n    allow_private: true\n    retry: off\n${stream()}`;
  const fallback = `${stream()}    retry: off\n    fallback: { upstream: spare }\n`;
  const proxy = await startTidy(apiConfig(origin, fallback) + other);
  const client = await connectRaw(proxy.port);
  await client.send(GET.replace('host: x', 'host: x\r\nTE: trailers'));
  await client.untilText('x-sum: 7');
  expect(spare.requests).toHaveLength(1);
});

test('interim replies of a failed stream do not reach the client', async () => {
  const hint = 'HTTP/1.1 103 Early Hints\r\nx-from: ';
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n';
  const step = (name: string, body: string) => ({
    at: 'request' as const,
    run: async (peer: { write(text: string): Promise<boolean> }) =>
      void (await peer.write(`${hint}${name}\r\n\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`)),
  });
  const origin = await startRawOrigin(step('bad', ERROR), step('good', GOOD));
  const proxy = await startTidy(apiConfig(origin, stream()));
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  const reply = await client.readReply();
  expect(reply.body.toString()).toBe(GOOD);
  expect(reply.informational.map((head) => rawHeader(head, 'x-from'))).toEqual(['good']);
});

test.each(['reset', 'goaway'])(
  'an HTTP/2 stream that ends by %s before its first event is a failed attempt',
  async (how) => {
    const origin = await startHttp2Origin(
      [
        ({ stream: bad }, session) => {
          bad.respond({ ':status': 200, 'content-type': 'text/event-stream' });
          bad.write(': a\n\n', () => (how === 'reset' ? bad.close(2) : session.destroy()));
        },
        http2Reply(GOOD, SSE),
      ],
      { plain: true },
    );
    const proxy = await startTidy(apiConfig(origin, `    connection: { http2: require }\n${stream()}`));
    const reply = await fetch(`${proxy.url}/api/`);
    expect(await reply.text()).toBe(GOOD);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
  },
);

test('a first event that is larger than the bytes that may be held is judged when it is complete', async () => {
  const large = `event: error\ndata: ${'x'.repeat(200_000)}\n\n`;
  const origin = await startOrigin(ok(large, SSE));
  const proxy = await startTidy(apiConfig(origin, stream()));
  const reply = await fetch(`${proxy.url}/api/`);
  expect(await reply.text()).toBe(large);
  expect((await proxy.untilEnded(1))[0]).toMatchObject({
    outcome: 'upstream_error',
    attempts: 1,
    notes: { stream: 'error_event' },
  });
});

test('the cost in a compressed stream that has failed is read', async () => {
  const events = `${FIRST}data: {"usage":7}\n\n${ERROR}`;
  const origin = await startOrigin(ok(gzipSync(events), { ...SSE, 'Content-Encoding': 'gzip' }));
  const quota = '    quota: { windows: { limit: 100/1000s, counts: cost }, cost: { reply: /usage } }\n';
  const proxy = await startTidy(apiConfig(origin, stream() + quota));
  expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe(events);
  expect((await proxy.untilEnded(1))[0]).toMatchObject({
    outcome: 'upstream_error',
    notes: { stream: 'error_event', cost_reading: 'read', cost: 7 },
  });
});

test('a resumable stream with a late error event counts as a failed call', async () => {
  const origin = await startOrigin(ok(FIRST + ERROR, { ...SSE, ETag: '"v"' }));
  const proxy = await startTidy(apiConfig(origin, `${stream()}    resume: true\n`));
  expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe(FIRST + ERROR);
  expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'upstream_error' });
});

test.each(['before', 'after'])(
  'a client with an idempotency key that leaves %s the first event can ask for the stream again',
  async (when) => {
    let more: ((text: string) => void) | undefined;
    const origin = await startOrigin(async ({ response, body }) => {
      await body();
      response.writeHead(200, SSE).write(when === 'before' ? ': a\n\n' : `: a\n\n${FIRST}`);
      more = (text) => void response.end(text);
    });
    const yaml = `${stream()}    retry: { idempotency_key: pass }\n    dedupe: 1h\n`;
    const proxy = await startTidy(apiConfig(origin, yaml));
    const client = await connectRaw(proxy.port);
    await client.send('POST /api/ HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: 2\r\n\r\n{}');
    await origin.untilRequests(1);
    if (when === 'after') await client.untilText(FIRST);
    client.abort();
    await proxy.untilEnded(1);
    more?.(when === 'before' ? GOOD : 'event: end\ndata: {}\n\n');
    const init = { method: 'POST', body: '{}', headers: { 'idempotency-key': 'k' } };
    const reply = await fetch(`${proxy.url}/api/`, init);
    expect(reply.headers.get('idempotent-replayed')).toBe('true');
    expect(await reply.text()).toBe(`: a\n\n${GOOD}`);
    expect(origin.requests).toHaveLength(1);
  },
);

test('a WebSocket passes on a route with streams', async () => {
  const origin = await startSocketOrigin(echo);
  const proxy = await startTidy(apiConfig(origin, stream()));
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/api/`);
  await once(socket, 'open');
  socket.send('hello');
  const [message] = (await once(socket, 'message')) as [Buffer];
  expect(message.toString()).toBe('hello');
  socket.close();
  await once(socket, 'close');
});

test('a stream that is silent for timeouts.idle before its first event is a failed attempt', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(open(), good);
  const yaml = apiConfig(origin, `${stream()}    timeouts: { idle: 1s }\n`);
  const proxy = await startTidy(yaml, { clock });
  const replying = fetch(`${proxy.url}/api/`);
  await clock.untilWaiting('exchange.ts', 1_000);
  await clock.advance(1_000);
  const reply = await replying;
  expect(await reply.text()).toBe(GOOD);
  expect(reply.headers.get('breakwater-attempts')).toBe('2');
});

test('a stale reply is served instead of an error event', async () => {
  const clock = new FakeClock();
  const headers = { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'max-age=1' };
  const origin = await startOrigin(ok('{"n":1}\n', headers), ok('{"error":1}\n', headers));
  const rule = '    stream: { error: [{ body: { /error: "*" }, status: 503 }] }\n';
  const cache = '    retry: off\n    cache: { ttl: 1s, stale_if_error: 10m }\n';
  const proxy = await startTidy(apiConfig(origin, rule + cache), { clock });
  expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe('{"n":1}\n');
  await clock.advance(5_000);
  expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe('{"n":1}\n');
  expect(origin.requests).toHaveLength(2);
});

test('an open breaker ends the retries with the last error event', async () => {
  const origin = await startOrigin(ok(ERROR, SSE));
  const more = '    breaker: { min_requests: 2, failure_rate: 50% }\n    retry: { attempts: 5 }\n';
  const proxy = await startTidy(apiConfig(origin, stream() + more));
  const reply = await fetch(`${proxy.url}/api/`);
  expect([reply.status, await reply.text()]).toEqual([200, ERROR]);
  expect(reply.headers.get('breakwater-attempts')).toBe('2');
  expect(reply.headers.get('breakwater-gave-up')).toBe('breaker');
});

test('the first error event is the answer if the fallback fails too', async () => {
  const first = `: one\n\n${ERROR}`;
  const origin = await startOrigin(ok(first, SSE));
  const spare = await startOrigin(ok(`: two\n\n${ERROR}`, SSE));
  const more = `${stream()}    retry: off\n    fallback: { upstream: spare }\n`;
  const other = `  spare:\n    url: ${spare.url}\n    allow_private: true\n    retry: off\n${stream()}`;
  const proxy = await startTidy(apiConfig(origin, more) + other);
  const reply = await fetch(`${proxy.url}/api/`);
  expect([reply.status, await reply.text()]).toEqual([200, first]);
});

describe('over HTTP/2 to the upstream', () => {
  const HTTP2 = '    connection: { http2: require }\n';
  const begin =
    (text: string): Http2Step =>
    ({ stream: answered }) => {
      answered.respond({ ':status': 200, 'content-type': 'text/event-stream' });
      answered.write(text);
    };

  test('a client that leaves while the head is held resets the stream', async () => {
    const origin = await startHttp2Origin([begin(': a\n\n')], { plain: true });
    const proxy = await startTidy(apiConfig(origin, HTTP2 + stream()));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await origin.until(({ requests }) => requests.length === 1);
    client.abort();
    await origin.until(({ requests }) => requests[0]?.reset !== undefined);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone', attempts: 1 });
  });

  test('a POST is not repeated because of a reset that denies its answer', async () => {
    const REFUSED_STREAM = 7;
    const refused: Http2Step = ({ stream: answered }) => {
      answered.respond({ ':status': 200, 'content-type': 'text/event-stream' });
      answered.write(': a\n\n', () => answered.close(REFUSED_STREAM));
    };
    const origin = await startHttp2Origin([refused, http2Reply(GOOD, SSE)], { plain: true });
    const proxy = await startTidy(apiConfig(origin, HTTP2 + stream()));
    const reply = await fetch(`${proxy.url}/api/`, { method: 'POST', body: '{}' });
    expect([reply.status, reply.headers.get('breakwater-gave-up')]).toEqual([502, 'not_idempotent']);
    expect(origin.requests).toHaveLength(1);
  });

  test('a failed stream that stays open holds no permit that its retry needs', async () => {
    const origin = await startHttp2Origin([begin(ERROR), http2Reply(GOOD, SSE)], { plain: true });
    const proxy = await startTidy(apiConfig(origin, `${HTTP2}${stream()}    concurrency: 1\n`));
    expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe(GOOD);
    await origin.until(({ requests }) => requests[0]?.reset !== undefined);
  });
});
