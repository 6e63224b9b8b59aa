import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startOrigin } from '../support/origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

const ONE_PERMIT = '    concurrency: { mode: fixed, max: 1, wait: 9s }\n';
const CHUNKED = 'POST /api/upload HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** One permit, an upload that holds it, and another call whose answer `release` gives. */
async function start(more = '', concurrency = ONE_PERMIT) {
  const release = Promise.withResolvers<void>();
  const origin = await startOrigin(async ({ request, response, body }) => {
    if (request.method === 'GET') await release.promise;
    response.end(`got ${(await body()).length}`);
  });
  const clock = new FakeClock();
  const proxy = await startTidy(apiConfig(origin, concurrency + more), { clock });
  const slow = await connectRaw(proxy.port);
  const other = await connectRaw(proxy.port);
  const arrived = (bytes: number) => origin.until(({ requests }) => requests[0]?.body.length === bytes);
  const untilQueued = (count: number) =>
    untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === count);
  const get = () => other.send('GET /api/other HTTP/1.1\r\nhost: x\r\n\r\n');
  return { origin, clock, proxy, slow, other, arrived, untilQueued, get, release: release.resolve };
}

const textOf = async (client: RawClient) => (await client.readReply()).body.toString();

test('a slow upload does not block other calls of a limited upstream', async () => {
  const { origin, clock, slow, other, arrived, get, release } = await start();
  await slow.send(CHUNKED + chunk('a'));
  await arrived(1);
  for (let bytes = 2; bytes <= 3; bytes++) {
    await slow.send(chunk('a'));
    await arrived(bytes);
    await clock.advance(1_000);
  }
  release();
  await get();
  expect(await textOf(other)).toBe('got 0');
  expect(origin.requests[0]).toMatchObject({ complete: false, closed: false });
  await slow.send('0\r\n\r\n');
  expect(await textOf(slow)).toBe('got 3');
});

test.each([
  ['in chunks', CHUNKED + chunk('aaa'), `${chunk('b')}0\r\n\r\n`, 4],
  ['of a known length', 'POST /api/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\naaa', 'b', 3],
])('a slow upload %s ends only when it has a permit again', async (_name, begin, end, seen) => {
  const { origin, clock, slow, other, arrived, untilQueued, get, release } = await start();
  await slow.send(begin);
  await arrived(3);
  await clock.advance(2_000);
  await get();
  await origin.untilRequests(2);
  await slow.send(end);
  await untilQueued(1);
  await arrived(seen);
  expect(origin.requests[0]?.complete).toBe(false);
  release();
  expect([await textOf(other), await textOf(slow)]).toEqual(['got 0', 'got 4']);
});

test('a slow upload that gets no permit again is refused, and the upstream never has it completely', async () => {
  const { origin, clock, slow, other, arrived, untilQueued, get, release } = await start();
  await slow.send(CHUNKED + chunk('aaa'));
  await arrived(3);
  await clock.advance(2_000);
  await get();
  await origin.untilRequests(2);
  await slow.send('0\r\n\r\n');
  await untilQueued(1);
  await clock.advance(9_000);
  const reply = await slow.readReply();
  expect([reply.status, JSON.parse(reply.body.toString())]).toMatchObject([
    503,
    { code: 'concurrency_limit' },
  ]);
  await origin.until(({ requests }) => requests[0]?.closed === true);
  expect(origin.requests[0]?.complete).toBe(false);
  release();
  expect(await textOf(other)).toBe('got 0');
});

test('an upload of 16 KiB per second keeps its permit', async () => {
  const { origin, clock, slow, other, arrived, untilQueued, get, release } = await start();
  const piece = chunk('x'.repeat(16 * 1024));
  await slow.send(CHUNKED + piece);
  await arrived(16 * 1024);
  for (let second = 1; second <= 4; second++) {
    await clock.advance(1_000);
    await slow.send(piece);
    await arrived((second + 1) * 16 * 1024);
  }
  await get();
  await untilQueued(1);
  expect(origin.requests.length).toBe(1);
  release();
  await slow.send('0\r\n\r\n');
  expect(await textOf(slow)).toBe(`got ${5 * 16 * 1024}`);
  expect(await textOf(other)).toBe('got 0');
});

/** A slow upload that has lent the only permit to another call. Both wait: for `answer`, and for `release`. */
async function startLent() {
  const answer = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const origin = await startOrigin(async ({ request, response, body }) => {
    const whole = body();
    await (request.method === 'GET' ? release : answer).promise;
    response.flushHeaders();
    response.end(`got ${(await whole).length}`);
  });
  const clock = new FakeClock();
  const proxy = await startTidy(apiConfig(origin, ONE_PERMIT), { clock });
  const [slow, other] = [await connectRaw(proxy.port), await connectRaw(proxy.port)];
  await slow.send(CHUNKED + chunk('aaa'));
  await origin.until(({ requests }) => requests[0]?.body.length === 3);
  await clock.advance(2_000);
  await other.send('GET /api/other HTTP/1.1\r\nhost: x\r\n\r\n');
  await origin.untilRequests(2);
  return { answer, release, proxy, slow, other };
}

test('after a reply to a part of a slow upload, the upload needs no permit', async () => {
  const { answer, release, slow, other } = await startLent();
  answer.resolve();
  await slow.untilHead();
  await slow.send('0\r\n\r\n');
  expect(await textOf(slow)).toBe('got 3');
  release.resolve();
  expect(await textOf(other)).toBe('got 0');
});

test('an upload that waits for its permit goes on as soon as it is answered', async () => {
  const { answer, release, proxy, slow, other } = await startLent();
  const queued = () => stateOf(proxy).then(({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued);
  await slow.send('0\r\n\r\n');
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
  answer.resolve();
  expect(await textOf(slow)).toBe('got 3');
  expect(await queued()).toBe(0);
  release.resolve();
  expect(await textOf(other)).toBe('got 0');
});

test('an upload that fails while it waits for its permit leaves the queue', async () => {
  const release = Promise.withResolvers<void>();
  const cut = Promise.withResolvers<void>();
  const origin = await startOrigin(async ({ request, response }) => {
    await (request.method === 'GET' ? release : cut).promise;
    if (request.method === 'GET') response.end();
    else response.destroy();
  });
  const clock = new FakeClock();
  const proxy = await startTidy(apiConfig(origin, ONE_PERMIT), { clock });
  const [slow, other] = [await connectRaw(proxy.port), await connectRaw(proxy.port)];
  await slow.send(CHUNKED + chunk('aaa'));
  await origin.untilRequests(1);
  await clock.advance(2_000);
  await other.send('GET /api/other HTTP/1.1\r\nhost: x\r\n\r\n');
  await origin.untilRequests(2);
  await slow.send('0\r\n\r\n');
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
  cut.resolve();
  expect((await slow.readReply()).status).toBe(502);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 0);
  release.resolve();
  await other.readReply();
});

test('a slow upload may wait for its permit, although the queue is full', async () => {
  const { clock, slow, other, arrived, untilQueued, get, origin, release } = await start(
    '',
    '    concurrency: { mode: fixed, max: 1, queue: 0, wait: 9s }\n',
  );
  await slow.send(CHUNKED + chunk('aaa'));
  await arrived(3);
  await clock.advance(2_000);
  await get();
  await origin.untilRequests(2);
  await slow.send('0\r\n\r\n');
  await untilQueued(1);
  release();
  expect([await textOf(other), await textOf(slow)]).toEqual(['got 0', 'got 3']);
});

test('the time in which a slow upload waits for a permit does not count against the upstream', async () => {
  const { origin, clock, slow, other, arrived, untilQueued, get, release } = await start(
    '    timeouts: { attempt: 5s }\n    routes: [{ match: { path: /other }, timeouts: { attempt: off } }]\n',
  );
  await slow.send(CHUNKED + chunk('aaa'));
  await arrived(3);
  await clock.advance(2_000);
  await get();
  await origin.untilRequests(2);
  await slow.send('0\r\n\r\n');
  await untilQueued(1);
  await clock.advance(8_000);
  release();
  expect([await textOf(other), await textOf(slow)]).toEqual(['got 0', 'got 3']);
});
