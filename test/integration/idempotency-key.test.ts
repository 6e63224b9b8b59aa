import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { ok, reset, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy } from '../support/tidy.ts';

const post = (key: string) => `POST /api/ HTTP/1.1\r\nhost: x\r\n${key}content-length: 3\r\n\r\na=1`;
const keys = (rawHeaders: readonly string[]) =>
  rawHeaders.flatMap((name, i) =>
    i % 2 === 0 && name.toLowerCase() === 'idempotency-key' ? [[name, rawHeaders[i + 1]]] : [],
  );

async function start(mode: string) {
  const origin = await startOrigin(reset(), status(409), status(503), ok('done'));
  const proxy = await startTidy(apiConfig(origin, `    retry: { attempts: 4, idempotency_key: ${mode} }\n`));
  return { origin, client: await connectRaw(proxy.port) };
}

test.each(['pass', 'inject', 'require'])(
  '%s: the client’s key goes with every attempt as it came',
  async (mode) => {
    const { origin, client } = await start(mode);
    await client.send(post('IDEMPOTENCY-key:  "Caf\xe9 / 1" \r\n'));
    const reply = await client.readReply();
    // The 409 to the retry says that the first attempt still runs.
    expect([reply.status, rawHeader(reply, 'breakwater-attempts')]).toEqual([200, '4']);
    for (const { rawHeaders, body } of origin.requests) {
      expect(keys(rawHeaders)).toEqual([['IDEMPOTENCY-key', '"Caf\xe9 / 1"']]);
      expect(body.toString()).toBe('a=1');
    }
  },
);

test('inject: one key is made per call, and goes with every attempt of it', async () => {
  const { origin, client } = await start('inject');
  await client.send(post(''));
  expect((await client.readReply()).status).toBe(200);
  await client.send(post(''));
  expect((await client.readReply()).status).toBe(200);
  const [first, ...rest] = origin.requests.map(({ rawHeaders }) => keys(rawHeaders)[0]?.[1]);
  expect(first).toMatch(/^\S{8,}$/);
  expect(rest.slice(0, 3)).toEqual([first, first, first]);
  expect(rest[3]).not.toBe(first);
});

test('a 409 to the first attempt is the answer', async () => {
  const origin = await startOrigin(status(409));
  const proxy = await startTidy(apiConfig(origin, '    retry: { idempotency_key: pass }\n'));
  const client = await connectRaw(proxy.port);
  await client.send(post('idempotency-key: k\r\n'));
  expect((await client.readReply()).status).toBe(409);
  expect(origin.requests.length).toBe(1);
});
