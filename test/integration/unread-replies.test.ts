import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy } from '../support/tidy.ts';

test('a reply that its client does not read does not block other calls of a limited upstream', async () => {
  const origin = await startOrigin(ok(Buffer.alloc(16 * 1024 * 1024)), ok('small'));
  const proxy = await startTidy(apiConfig(origin, '    concurrency: { mode: fixed, max: 1, wait: 30s }\n'));
  const idle = await connectRaw(proxy.port);
  idle.socket.pause();
  await idle.send('GET /api/big HTTP/1.1\r\nhost: x\r\n\r\n');
  await origin.untilRequests(1);
  const reader = await connectRaw(proxy.port);
  await reader.send('GET /api/small HTTP/1.1\r\nhost: x\r\n\r\n');
  expect((await reader.readReply()).body.toString()).toBe('small');
  idle.abort();
  await proxy.untilEnded(2);
});
