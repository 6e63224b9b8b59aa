import { expect, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';

test('the absolute form is served, and its host has priority over Host (RFC 9112 §3.2.2)', async () => {
  const byPath = await startOrigin(ok('by path'));
  const byHost = await startOrigin(ok('by host'));
  const proxy = await startTidy(`
upstreams:
  api: { url: "${byPath.url}", allow_private: true }
  shop: { url: "${byHost.url}", allow_private: true, mount: { host: shop.local } }
`);
  const client = await connectRaw(proxy.port);
  const body = async (target: string) => {
    await client.send(`GET ${target} HTTP/1.1\r\nhost: other\r\n\r\n`);
    return (await client.readReply()).body.toString();
  };
  expect(await body('http://other/api/x?y=/..')).toBe('by path');
  expect(await body('HTTPS://SHOP.local:8080/a')).toBe('by host');
  expect(await body('http://shop.local')).toBe('by host');
  expect(await body('http://shop.local?q')).toBe('by host');
  expect(byPath.requests.map(({ url }) => url)).toEqual(['/x?y=/..']);
  expect(byHost.requests.map(({ url }) => url)).toEqual(['/a', '/', '/?q']);
});

test.each(['OPTIONS *', 'OPTIONS http://x'])('%s is answered here', async (line) => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin));
  const client = await connectRaw(proxy.port);
  await client.send(`${line} HTTP/1.1\r\nhost: x\r\n\r\n`);
  const reply = await client.readReply();
  expect([reply.status, rawHeader(reply, 'allow')]).toEqual([
    200,
    'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
  ]);
  expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'ok', attempts: 0 });
  expect(origin.connections).toBe(0);
});

test.each([
  ['599 ', 'HTTP/1.1 599 '],
  ['200 ', 'HTTP/1.1 200 OK'],
  ['299 As it came', 'HTTP/1.1 299 As it came'],
])('a status line "%s" gets no invented reason phrase', async (from, to) => {
  const origin = await startRawOrigin(answer(`HTTP/1.1 ${from}\r\ncontent-length: 0\r\n\r\n`));
  const proxy = await startBreakwater(apiConfig(origin, '    retry: off\n'));
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
  expect((await client.readReply()).startLine).toBe(to);
});
