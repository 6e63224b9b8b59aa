import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { DOWNLOAD, type PartOptions, part } from '../support/cut-origin.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectHttp2 } from '../support/http2-client.ts';
import { startHttp2Origin } from '../support/http2-origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { type RawStep, startRawOrigin } from '../support/raw-origin.ts';
import { answer, hangBeforeHead, replyBytes, resetAfterRequest } from '../support/raw-steps.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

/** Downloads that break in the middle: the client gets the complete body, or a visible break. */

const GET = 'GET /api/file HTTP/1.1\r\nhost: x\r\n\r\n';
const ON = '    resume: true\n';
const WAITS = `${ON}    retry: { backoff: { kind: constant, base: 2s, jitter: none } }\n`;
const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function start(steps: readonly RawStep[], more = ON, clock?: FakeClock) {
  const origin = await startRawOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more), clock === undefined ? {} : { clock });
  const client = await connectRaw(proxy.port);
  return { origin, proxy, client };
}

async function metric(proxy: { readonly adminUrl: string }, result: string): Promise<string | undefined> {
  const text = await (await fetch(`${proxy.adminUrl}/metrics`, { headers: { connection: 'close' } })).text();
  return new RegExp(`^breakwater_resumes_total\\{.*result="${result}"\\} (\\d+)$`, 'm').exec(text)?.[1];
}

/** Asserts that the download is complete, in as many parts as there are requests. */
async function expectWhole({ client, origin, proxy }: Awaited<ReturnType<typeof start>>, parts: number) {
  await client.send(GET);
  const reply = await client.readReply();
  expect([reply.status, reply.body.length, hash(reply.body)]).toEqual([200, DOWNLOAD.length, hash(DOWNLOAD)]);
  const [record] = await proxy.untilEnded(1);
  expect([record?.outcome, record?.notes.resumed]).toEqual(['rescued', parts - 1]);
  expect(origin.requests.length).toBe(parts);
  expect(await metric(proxy, 'resumed')).toBe(String(parts - 1));
  return reply;
}

/** Asserts that the client's connection broke before the end of the body. */
async function expectBroken(
  { client, proxy }: Awaited<ReturnType<typeof start>>,
  result: string | undefined,
  request = GET,
) {
  await client.send(request);
  await client.untilClosed();
  const body = client.received.subarray(client.received.indexOf('\r\n\r\n') + 4);
  expect(body.length).toBeLessThan(DOWNLOAD.length);
  await expect(client.readReply()).rejects.toThrow('no whole reply');
  const [record] = await proxy.untilEnded(1);
  expect([record?.outcome, record?.error, record?.notes.gave_up]).toEqual([
    'failed',
    'response_incomplete',
    result,
  ]);
  expect(await metric(proxy, result ?? 'changed')).toBe(result === undefined ? undefined : '1');
  return body;
}

describe('a complete body', () => {
  const last = DOWNLOAD.length - 1;
  test.each<[string, PartOptions]>([
    ['at its first byte', { cut: 0 }],
    ['after one byte', { cut: 1 }],
    ['in the middle', { cut: 100_000 }],
    ['before its last byte', { cut: last }],
    ['in the middle, by a reset', { cut: 100_000, how: 'reset' }],
    ['inside a chunk', { cut: 100_000, chunks: 7_000 }],
    ['between two chunks', { cut: 98_000, chunks: 7_000 }],
    ['in the last chunk', { cut: last, chunks: 7_000 }],
  ])('that broke %s', async (_, options) => {
    expect((await expectWhole(await start([part(options), part()]), 2)).status).toBe(200);
  });

  test('that broke three times, with failures between', async () => {
    const parts = await start(
      [part({ cut: 90_000 }), answer(replyBytes(503)), resetAfterRequest(), part({ cut: 90_000 }), part()],
      '    resume: { attempts: 4 }\n',
    );
    await parts.client.send(GET);
    expect(hash((await parts.client.readReply()).body)).toBe(hash(DOWNLOAD));
    const [record] = await parts.proxy.untilEnded(1);
    expect([record?.outcome, record?.attempts, record?.notes.resumed]).toEqual(['rescued', 5, 2]);
    expect(await metric(parts.proxy, 'resumed')).toBe('2');
  });

  test('whose upstream stalls is continued after the idle timeout', async () => {
    const clock = new FakeClock();
    const all = await start(
      [part({ cut: 100_000, how: 'stall' }), part()],
      `${WAITS}    timeouts: { idle: 5s }\n`,
      clock,
    );
    await all.client.send(GET);
    await all.client.untilBytes(100_000);
    await clock.advance(5_000);
    await clock.untilAsleep();
    await clock.advance(2_000);
    expect(hash((await all.client.readReply()).body)).toBe(hash(DOWNLOAD));
  });

  test('whose head came from a second attempt: each part has a number of its own', async () => {
    const clock = new FakeClock();
    const all = await start(
      [hangBeforeHead(), part({ cut: 90_000 }), part()],
      `${WAITS}    hedge: { after: 1s, max_extra: 100% }\n`,
      clock,
    );
    await all.client.send(GET);
    await all.origin.until(({ requests }) => requests.length === 1);
    await clock.advance(1_000);
    await clock.untilAsleep();
    await clock.advance(2_000);
    expect(hash((await all.client.readReply()).body)).toBe(hash(DOWNLOAD));
    const [record] = await all.proxy.untilEnded(1);
    expect(record?.entries.map(({ n, hedgedAfterMs }) => [n, hedgedAfterMs])).toEqual([
      [1, undefined],
      [2, 1_000],
      [3, undefined],
    ]);
  });

  test('from an upstream of HTTP/2', async () => {
    const fields = { etag: '"v1"', 'content-length': String(DOWNLOAD.length) };
    const origin = await startHttp2Origin(
      [
        ({ stream }) => {
          stream.respond({ ':status': 200, ...fields });
          stream.write(DOWNLOAD.subarray(0, 90_000), () => stream.close(2));
        },
        ({ stream, headers }) => {
          const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]);
          const range = `bytes ${from}-${DOWNLOAD.length - 1}/${DOWNLOAD.length}`;
          stream.respond({ ':status': 206, etag: '"v1"', 'content-range': range });
          stream.end(DOWNLOAD.subarray(from));
        },
      ],
      { plain: true },
    );
    const proxy = await startTidy(apiConfig(origin, `${ON}    connection: { http2: require }\n`));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    expect(hash((await client.readReply()).body)).toBe(hash(DOWNLOAD));
  });
});

test('to an HTTP/2 app: complete, or a stream reset', async () => {
  const broken = part({ cut: 100_000 });
  const origin = await startRawOrigin(broken, part(), broken, part({ fields: ['ETag: "v2"'] }));
  const proxy = await startTidy(`clients: { http2: true }\n${apiConfig(origin, ON)}`);
  const session = connectHttp2(proxy.url);
  const download = async () => {
    const stream = session.request({ ':path': '/api/file' });
    stream.on('error', () => undefined);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise<void>((resolve) => stream.once('close', () => resolve()));
    return { reset: stream.rstCode, body: Buffer.concat(chunks) };
  };
  const whole = await download();
  expect([whole.reset, hash(whole.body)]).toEqual([0, hash(DOWNLOAD)]);
  const cut = await download();
  expect(cut.reset).not.toBe(0);
  expect(cut.body.length).toBeLessThan(DOWNLOAD.length);
});

describe('the request for the rest', () => {
  test('asks from the first missing byte with If-Range, without the client’s preconditions, otherwise unchanged', async () => {
    const { client, origin } = await start([part({ cut: 100_000 }), part()]);
    await client.send(
      'GET /api/file?a=%2F HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nIf-None-Match: "old"\r\nx-mine: 1\r\n\r\n',
    );
    await client.readReply();
    const [first, second] = origin.requests;
    const fields = (request: typeof first) => request?.rawHeaders.filter((_, i) => i % 2 === 0).join(' ');
    expect(second?.startLine).toBe(first?.startLine);
    expect(fields(first)).toBe('host connection accept-encoding If-None-Match x-mine via');
    expect(fields(second)).toBe('host connection accept-encoding x-mine via range if-range');
    expect(rawHeader(second as never, 'range')).toBe('bytes=100000-');
    expect(rawHeader(second as never, 'if-range')).toBe('"v1"');
  });

  test('the head is that of the first part, with its coding', async () => {
    const gzip = { fields: ['Content-Encoding: gzip', 'X-Part: 1'] };
    const all = await start([part({ ...gzip, cut: 100_000 }), part({ fields: ['X-Part: 2'] })]);
    const reply = await expectWhole(all, 2);
    expect([rawHeader(reply, 'content-encoding'), rawHeader(reply, 'x-part')]).toEqual(['gzip', '1']);
    expect(rawHeader(reply, 'content-range')).toBeUndefined();
  });

  test('waits its backoff, and the log line has the attempts', async () => {
    const clock = new FakeClock();
    const { client, origin, proxy } = await start([part({ cut: 100_000 }), part()], WAITS, clock);
    await client.send(GET);
    await clock.untilAsleep();
    expect(origin.requests.length).toBe(1);
    await clock.advance(2_000);
    await client.readReply();
    await proxy.untilEnded(1);
    const { message, fields } = proxy.logs.at(-1) as (typeof proxy.logs)[number];
    expect(message).toBe(
      'GET api/file 200 rescued on attempt 2: 200, broke at byte 100000 → waited 2.0 s → 206',
    );
    expect(fields).toMatchObject({
      resumed: 1,
      head_ms: 0,
      attempts: [
        { n: 1, status: 200, broke_at: 100_000 },
        { n: 2, status: 206, wait_ms: 2_000, reason: 'connection_terminated' },
      ],
    });
  });
});

describe('other replies leave the break visible', () => {
  const broken = part({ cut: 100_000 });
  const total = DOWNLOAD.length;
  test.each<[string, RawStep]>([
    ['another ETag', part({ fields: ['ETag: "v2"'] })],
    ['the same ETag, but weak', part({ fields: ['ETag: W/"v1"'] })],
    ['no ETag', part({ fields: ['X-ETag: none', 'etag:'] })],
    ['a 200, by a server that ignores Range', part({ whole: true })],
    ['a 200 with the whole new body', part({ whole: true, fields: ['ETag: "v2"'] })],
    ['a 404', answer(replyBytes(404))],
    ['a 416', answer(replyBytes(416, [`content-range: bytes */${total}`]))],
    ['a 304', answer(replyBytes(304, ['etag: "v1"']))],
    ['another beginning', part({ contentRange: `bytes 99999-${total - 1}/${total}` })],
    ['another end', part({ contentRange: `bytes 100000-${total - 2}/${total}` })],
    ['another length', part({ contentRange: `bytes 100000-${total}/${total + 1}` })],
    ['no range', part({ contentRange: 'none' })],
    ['another coding', part({ fields: ['Content-Encoding: gzip'] })],
    ['two ETags', part({ fields: ['ETag: "v1"', 'ETag: "v2"'] })],
    ['two ranges', part({ fields: [`Content-Range: bytes 100000-${total - 1}/${total}`] })],
  ])('%s', async (_, second) => {
    const all = await start([broken, second]);
    const body = await expectBroken(all, 'changed');
    expect(body.equals(DOWNLOAD.subarray(0, 100_000))).toBe(true);
    expect(all.origin.requests.length).toBe(2);
  });

  test('more bytes than the stated range', async () => {
    const all = await start([broken, part({ chunks: 7_000, body: DOWNLOAD })]);
    const body = await expectBroken(all, undefined);
    expect(body.length).toBeLessThan(total);
  });

  test('fewer bytes than the stated range count as another break', async () => {
    const short = part({ chunks: 7_000, body: DOWNLOAD.subarray(100_000, 200_000) });
    expect((await expectWhole(await start([broken, short, part()]), 3)).status).toBe(200);
  });
});

describe('bodies that are not continued', () => {
  const broken = (fields: readonly string[]) => part({ cut: 100_000, fields });
  test.each<[string, RawStep, string]>([
    ['a weak ETag', broken(['ETag: W/"v1"']), GET],
    ['no ETag', broken(['X: 1', 'etag:']), GET],
    ['Accept-Ranges: none', broken(['Accept-Ranges: none']), GET],
    ['another status', part({ cut: 100_000, status: 203 }), GET],
    ['a POST', broken([]), 'POST /api/file HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n'],
    [
      'a client that asks for ranges itself',
      broken([]),
      GET.replace('\r\n\r\n', '\r\nRange: bytes=0-\r\n\r\n'),
    ],
  ])('%s', async (_, step, request) => {
    const all = await start([step]);
    await expectBroken(all, undefined, request);
    expect(all.origin.requests.length).toBe(1);
  });

  test('without the setting', async () => {
    const all = await start([broken([])], '');
    await expectBroken(all, undefined);
    expect(all.origin.requests.length).toBe(1);
  });

  test('a tunnel', async () => {
    const garbage = answer(
      Buffer.concat([replyBytes(200, ['etag: "v1"', 'transfer-encoding: chunked'], 'zz\r\n')]),
    );
    const all = await start([garbage]);
    await expectBroken(all, undefined);
    expect(all.origin.requests.length).toBe(1);
  });
});

describe('the policies', () => {
  const broken = part({ cut: 100_000 });

  test('at most the configured number of attempts', async () => {
    const all = await start([broken, part({ cut: 10 })], '    resume: { attempts: 2 }\n');
    await expectBroken(all, 'attempts');
    expect(all.origin.requests.length).toBe(3);
  });

  test('the retry budget pays for each', async () => {
    const all = await start(
      [broken, part({ cut: 10 })],
      `${ON}    retry: { budget: { cap: 1, ratio: 0, refill: 0/s } }\n`,
    );
    await expectBroken(all, 'budget');
    expect(all.origin.requests.length).toBe(2);
    expect((await stateOf(all.proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBe(0);
  });

  test('a breaker that opens ends it: a broken body is a failure', async () => {
    const all = await start([broken, part()], `${ON}    breaker: { min_requests: 1 }\n`);
    await expectBroken(all, 'breaker');
    expect(all.origin.requests.length).toBe(1);
  });

  test('retries that are off do not turn it off', async () => {
    expect((await expectWhole(await start([broken, part()], `${ON}    retry: off\n`), 2)).status).toBe(200);
  });

  test('a requested wait that is too long ends it', async () => {
    const all = await start([broken, answer(replyBytes(503, ['retry-after: 3600']))]);
    expect((await expectBroken(all, 'retry_after_too_long')).length).toBe(100_000);
  });

  test('an attempt without a head ends by the attempt timeout, not by the expired deadline', async () => {
    const clock = new FakeClock();
    const silent: RawStep = { at: 'request', run: () => undefined };
    const stalled = part({ cut: 100_000, how: 'stall' });
    const more = `${WAITS}    timeouts: { attempt: 3s, total: 4s, idle: 60s }\n`;
    const all = await start([stalled, silent, part()], more, clock);
    await all.client.send(GET);
    await all.client.untilBytes(100_000);
    await clock.advance(60_000);
    await clock.untilAsleep();
    await clock.advance(2_000);
    await all.origin.until(({ requests }) => requests.length === 2);
    await clock.advance(3_000);
    await clock.untilAsleep();
    await clock.advance(2_000);
    expect(hash((await all.client.readReply()).body)).toBe(hash(DOWNLOAD));
  });
});

describe('nothing remains', () => {
  test('a client that disconnects during the wait ends it, and the token is refunded', async () => {
    const clock = new FakeClock();
    const { client, origin, proxy } = await start([part({ cut: 100_000 }), part()], WAITS, clock);
    await client.send(GET);
    await clock.untilAsleep();
    client.abort();
    const [record] = await proxy.untilEnded(1);
    expect([record?.outcome, origin.requests.length]).toEqual(['client_gone', 1]);
    await proxy.until(() => clock.sleeping === 0);
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBe(10);
  });

  test('a client that disconnects in the second part aborts it', async () => {
    const { client, origin, proxy } = await start([
      part({ cut: 100_000 }),
      part({ cut: 50_000, how: 'stall' }),
    ]);
    await client.send(GET);
    await client.untilBytes(150_000);
    client.abort();
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe('client_gone');
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('draining ends the wait, and no body is continued while draining', async () => {
    const clock = new FakeClock();
    const origin = await startRawOrigin(part({ cut: 100_000 }), part());
    const proxy = await startBreakwater(apiConfig(origin, WAITS), { clock });
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await clock.untilAsleep();
    const stopped = proxy.app.stop();
    await client.untilClosed();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      outcome: 'failed',
      notes: { gave_up: 'draining' },
    });
    await clock.advance(60_000);
    await stopped;
    expect(origin.requests.length).toBe(1);
  });

  test('a break while draining is not continued', async () => {
    const clock = new FakeClock();
    const origin = await startRawOrigin(part({ cut: 100_000, how: 'stall' }), part());
    const proxy = await startBreakwater(apiConfig(origin, `${ON}    timeouts: { idle: 5s }\n`), { clock });
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await client.untilBytes(100_000);
    const stopped = proxy.app.stop();
    await clock.advance(5_000);
    await client.untilClosed();
    await proxy.untilEnded(1);
    await clock.advance(60_000);
    await stopped;
    expect([proxy.ended[0]?.notes.gave_up, origin.requests.length]).toEqual(['draining', 1]);
  });

  test('a slow reader pauses the second part too', async () => {
    const rest = 64 * 1024 * 1024;
    let written = 0;
    const stuck = Promise.withResolvers<void>();
    const second: RawStep = {
      at: 'request',
      run: async (peer) => {
        const head = `HTTP/1.1 206 Raw\r\nETag: "v1"\r\nContent-Range: bytes 10-${rest + 9}/${rest + 10}\r\nContent-Length: ${rest}\r\n\r\n`;
        await peer.write(head);
        const chunk = Buffer.alloc(64 * 1024, 'x');
        while (written < rest) {
          const taken = peer.write(chunk);
          let turns = 0;
          const turn = () => (++turns > 2_000 ? stuck.resolve() : setImmediate(turn));
          turn();
          if (!(await taken)) return;
          turns = Number.NEGATIVE_INFINITY;
          written += chunk.length;
        }
      },
    };
    const first = answer(`HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: ${rest + 10}\r\n\r\n0123456789`);
    const cut: RawStep = { at: 'request', run: async (peer) => (await first.run(peer), peer.fin()) };
    const { client, proxy } = await start([cut, second]);
    client.socket.pause();
    await client.send(GET);
    await stuck.promise;
    expect(written).toBeLessThan(rest / 2);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => (received += chunk.length));
    client.socket.resume();
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe('rescued');
    client.socket.end();
    await client.untilClosed();
    expect(received).toBeGreaterThan(rest + 10);
  });
});
