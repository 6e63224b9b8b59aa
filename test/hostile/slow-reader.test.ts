import { once } from 'node:events';
import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FLAG, frame, get, PREFACE, setting } from '../support/http2-frames.ts';
import { startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy } from '../support/tidy.ts';

const HTTP1 = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';
const NO_WINDOW = Buffer.concat([
  PREFACE,
  frame('settings', { payload: setting(4, 0) }),
  frame('headers', { flags: FLAG.endHeaders | FLAG.endStream, stream: 1, payload: get('/api/') }),
]);

test.each([
  ['HTTP/1.1', HTTP1],
  ['HTTP/2', NO_WINDOW],
])(
  'a client that reads nothing of its response is cut off after send_timeout, %s',
  async (_name, request) => {
    const clock = new FakeClock();
    const held = Promise.withResolvers<void>();
    const origin = await startOrigin(async ({ response }) => {
      const closed = once(response, 'close').then(() => 'closed');
      const piece = Buffer.alloc(64 * 1024);
      // Paused for good: the kernel's buffers are full.
      for (;;) {
        if (response.write(piece)) continue;
        const quiet = new Promise((resolve) => setTimeout(resolve, 300, 'quiet'));
        const what = await Promise.race([once(response, 'drain'), closed, quiet]);
        if (what === 'quiet') held.resolve();
        if (
          what === 'closed' ||
          (what === 'quiet' && (await Promise.race([once(response, 'drain'), closed])) === 'closed')
        )
          return;
      }
    });
    const proxy = await startTidy(`clients: { http2: true, send_timeout: 5s }\n${apiConfig(origin)}`, {
      clock,
    });
    const client = await connectRaw(proxy.port);
    client.socket.pause();
    await client.send(request);
    await held.promise;
    await clock.advance(4_999);
    expect(proxy.ended.length).toBe(0);
    await clock.advance(10_001);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone', error: 'client_gone' });
    await origin.until(({ requests }) => requests[0]?.closed === true);
    client.abort();
    while (clock.pending > 0) await new Promise((resolve) => setImmediate(resolve));
  },
);

test('a stream that has nothing to send is not disconnected', async () => {
  const clock = new FakeClock();
  const finish = Promise.withResolvers<void>();
  const origin = await startOrigin(async ({ response }) => {
    response.write('first');
    await finish.promise;
    response.end('last');
  });
  const proxy = await startTidy(
    `clients: { send_timeout: 5s }\n${apiConfig(origin, '    timeouts: { idle: 10m }\n')}`,
    { clock },
  );
  const client = await connectRaw(proxy.port);
  await client.send(HTTP1);
  await client.untilText('first');
  for (let looks = 0; looks < 6; looks++) await clock.advance(5_000);
  finish.resolve();
  await client.untilText('last');
  expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'ok' });
});
