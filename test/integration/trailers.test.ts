import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';

const CHUNKED = 'HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n';

async function get(reply: string, version = '1.1') {
  const origin = await startRawOrigin(answer(Buffer.from(reply, 'latin1')));
  const proxy = await startTidy(apiConfig(origin));
  const client = await connectRaw(proxy.port);
  await client.send(`GET /api/ HTTP/${version}\r\nhost: x\r\nconnection: close\r\n\r\n`);
  await client.untilClosed();
  return client.received.toString('latin1');
}

test('trailers are forwarded unchanged, in order and with repetitions', async () => {
  const received = await get(`${CHUNKED}x-sum: caf\xe9\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\n`);
  expect(received).toMatch(/\r\n0\r\nx-sum: caf\xe9\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\n$/);
});

test('fields for framing or routing are removed from trailers', async () => {
  const received = await get(
    `${CHUNKED}keep-alive: timeout=1\r\nhost: a\r\nset-cookie: a=1\r\nconnection: x-drop\r\nx-drop: 1\r\nx-sum: 1\r\n\r\n`,
  );
  expect(received).toMatch(/\r\n0\r\nx-sum: 1\r\n\r\n$/);
});

test('an HTTP/1.0 client gets the body and no trailers', async () => {
  const received = await get(`${CHUNKED}x-sum: 1\r\n\r\n`, '1.0');
  expect(received).toMatch(/\r\n\r\nhello$/);
});
