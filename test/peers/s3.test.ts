import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { startTidy } from '../support/tidy.ts';
import { S3_KEYS, startS3 } from './s3-server.ts';

const auth = ({ accessKeyId, secretAccessKey } = S3_KEYS) =>
  `    auth: { sigv4: { service: s3, region: eu-central-1, access_key_id: ${accessKeyId}, secret_access_key: "${secretAccessKey}" } }\n`;

test('an S3-compatible server accepts what is signed, whole or streamed', async () => {
  const server = await startS3('box');
  const proxy = await startTidy(apiConfig(server, auth()));
  const object = `${proxy.url}/api/box/a%20b/(c)?x-id=PutObject`;
  const put = (body: string | Buffer) => fetch(object, { method: 'PUT', body: body as string });
  expect((await put('small')).status).toBe(200);
  expect(await (await fetch(`${proxy.url}/api/box/a%20b/(c)`)).text()).toBe('small');
  const large = Buffer.alloc(3 * 1024 * 1024, 'x');
  expect((await put(large)).status).toBe(200);
  expect((await (await fetch(`${proxy.url}/api/box/a%20b/(c)`)).arrayBuffer()).byteLength).toBe(large.length);
  const list = await fetch(`${proxy.url}/api/box?list-type=2&prefix=a%20b%2F&delimiter=`);
  expect([list.status, await list.text()]).toEqual([200, expect.stringContaining('<Key>a b/(c)</Key>')]);
});

test('an S3-compatible server refuses another secret', async () => {
  const server = await startS3('box');
  const proxy = await startTidy(apiConfig(server, auth({ ...S3_KEYS, secretAccessKey: 'wrong' })));
  const reply = await fetch(`${proxy.url}/api/box/x`, { method: 'PUT', body: 'x' });
  expect([reply.status, await reply.text()]).toEqual([403, expect.stringContaining('SignatureDoesNotMatch')]);
});

test('an S3-compatible server gets a durable PUT after a restart of the proxy', async () => {
  const first = await startS3('box');
  await first.stop();
  const store = join(temporaryFolder(), 'store.db');
  const config = durableConfig(first, { store, more: auth() });
  const before = await startDurable(config);
  const location = await before.accepted({}, { body: 'an object' }, '/api/box/orders/1');
  await before.until(location, ({ attempts }) => attempts.made > 0);
  await before.proxy.app.stop(0);
  await startS3('box', first.port);
  const after = await startDurable(config);
  expect(await after.done(location)).toMatchObject({ status: 'succeeded' });
  expect(await (await fetch(`${after.proxy.url}/api/box/orders/1`)).text()).toBe('an object');
});
