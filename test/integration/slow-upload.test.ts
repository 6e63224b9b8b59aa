import { expect, onTestFinished, test, vi } from 'vitest';
import { StreamedBody } from '../../src/http/streamed-body.ts';
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

test('a client that uploads for longer than every timeout is served, and nobody is blamed', async () => {
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

test('from the last byte on the upstream has its usual time, and not more', async () => {
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
])(
  'an upload that is not whole (%s) is with the upstream at once, and an early answer with the client',
  async (framing, part) => {
    const origin = await startOrigin(early(413, {}, 'too large'));
    const proxy = await startBreakwater(config(origin.url));
    const client = await connectRaw(proxy.port);
    await client.send(`POST /api/ HTTP/1.1\r\nhost: x\r\n${framing}\r\n\r\n${part}`);
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString()]).toEqual([413, 'too large']);
  },
);

test('a small body that is here with its head goes as one', async () => {
  const origin = await startOrigin();
  const proxy = await startBreakwater(config(origin.url));
  const opened = vi.spyOn(StreamedBody.prototype, 'open');
  onTestFinished(() => opened.mockRestore());
  const client = await connectRaw(proxy.port);
  await client.send('POST /api/ HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody');
  expect((await client.readReply()).status).toBe(200);
  expect(opened.mock.results.map(({ value }) => String(value))).toEqual(['body']);
});
