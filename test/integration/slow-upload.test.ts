import { expect, onTestFinished, test, vi } from 'vitest';
import { StreamedBody } from '../../src/http/bodies/streamed-body.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { early, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';

const config = (url: string) => `
upstreams:
  api:
    url: ${url}
    allow_private: true
    timeouts: { attempt: 2s, total: 10s }
    retry: off
`;
const HEAD = 'POST /api/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';

test('an upload longer than every timeout is served, and counts as no failure', async () => {
  const origin = await startOrigin(async ({ response, body }) => {
    response.end(`got ${(await body()).length}`);
  });
  const clock = new FakeClock();
  const proxy = await startBreakwater(config(origin.url), { clock });
  const client = await connectRaw(proxy.port);
  await client.send(HEAD);
  for (let sent = 1; sent <= 5; sent++) {
    await client.send('3\r\nabc\r\n');
    await origin.until(({ requests }) => requests[0]?.body.length === 3 * sent);
    await clock.advance(9_000);
  }
  await client.send('0\r\n\r\n');
  const reply = await client.readReply();
  expect([reply.status, reply.body.toString()]).toEqual([200, 'got 15']);
});

test('from the last byte on, the upstream has its usual timeout', async () => {
  let received = () => {};
  const whole = new Promise<void>((resolve) => {
    received = resolve;
  });
  const origin = await startOrigin(async ({ body }) => {
    await body();
    received();
    await new Promise(() => {});
  });
  const clock = new FakeClock();
  const proxy = await startBreakwater(config(origin.url), { clock });
  const client = await connectRaw(proxy.port);
  await client.send(`${HEAD}3\r\nabc\r\n`);
  await origin.untilRequests(1);
  await clock.advance(9_000);
  await client.send('0\r\n\r\n');
  await whole;
  await clock.advance(9_999);
  expect(client.received.length).toBe(0);
  await clock.advance(1);
  expect((await client.readReply()).status).toBe(504);
});

test.each([
  ['content-length: 100', 'part'],
  ['content-length: 100000', 'part'],
  ['transfer-encoding: chunked', '4\r\npart\r\n'],
])('an incomplete upload (%s) is forwarded at once, and so is an early reply', async (framing, part) => {
  const origin = await startOrigin(early(413, {}, 'too large'));
  const proxy = await startBreakwater(config(origin.url));
  const client = await connectRaw(proxy.port);
  await client.send(`POST /api/ HTTP/1.1\r\nhost: x\r\n${framing}\r\n\r\n${part}`);
  const reply = await client.readReply();
  expect([reply.status, reply.body.toString()]).toEqual([413, 'too large']);
});

test('a small body that arrives with its head is sent at once', async () => {
  const origin = await startOrigin();
  const proxy = await startBreakwater(config(origin.url));
  const opened = vi.spyOn(StreamedBody.prototype, 'open');
  onTestFinished(() => opened.mockRestore());
  const client = await connectRaw(proxy.port);
  await client.send('POST /api/ HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody');
  expect((await client.readReply()).status).toBe(200);
  expect(opened.mock.results.map(({ value }) => String(value))).toEqual(['body']);
});

const paced = (url: string) => `clients: { body_timeout: 9s, min_rate: 10B }\n${config(url)}`;

/** Uploads `piece` at the start and in each of `windows` times of body_timeout. */
async function upload(piece: string, windows: number, answered = false) {
  const origin = await startOrigin(async ({ response, body }) => {
    if (answered) response.flushHeaders();
    response.end(`got ${(await body()).length}`);
  });
  const clock = new FakeClock();
  const proxy = await startBreakwater(paced(origin.url), { clock });
  const client = await connectRaw(proxy.port);
  await client.send(HEAD);
  for (let sent = 1; sent <= windows + 1; sent++) {
    await client.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    await origin.until(({ requests }) => requests[0]?.body.length === piece.length * sent);
    // Each piece arrives in the middle of a window.
    await clock.advance(sent === 1 ? 4_000 : 9_000);
  }
  return client;
}

test('a client that sends a few bytes of its upload now and then is answered with 408', async () => {
  const client = await upload('abc', 2);
  const reply = await client.readReply();
  expect(reply.status).toBe(408);
  expect(JSON.parse(reply.body.toString())).toMatchObject({
    code: 'request_timeout',
    detail: 'the request body arrived at less than 10 bytes per second',
  });
});

test.each([
  ['sends enough in each window', 'x'.repeat(150), false],
  ['sends little after the response has begun, as in a conversation,', 'abc', true],
])('a client that %s is not disconnected', async (_name, piece, answered) => {
  const client = await upload(piece, 4, answered);
  await client.send('0\r\n\r\n');
  expect((await client.readReply()).body.toString()).toBe(`got ${5 * piece.length}`);
});
