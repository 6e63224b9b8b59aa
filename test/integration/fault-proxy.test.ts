import { expect, onTestFinished, test } from 'vitest';
import { type Breach, startFaultProxy } from '../../examples/npm-through-faults/fault-proxy.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';

const GET = 'GET /express HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: keep-alive\r\n\r\n';

async function start(breach: Breach, requestsPerConnection = 4) {
  const origin = await startOrigin(ok('x'.repeat(50_000)));
  const proxy = await startFaultProxy({
    target: new URL(origin.url),
    breakEvery: 3,
    requestsPerConnection,
    breaches: [breach],
    random: () => 0.5,
  });
  onTestFinished(() => proxy.close());
  const connect = () => connectRaw(Number(new URL(proxy.url).port));
  /** One connection with one request; the reply's status, or how it broke. */
  const visit = async () => {
    const client = await connect();
    await client.send(GET).catch(() => undefined);
    return client.readReply().then(
      ({ status }) => status,
      () => client.end,
    );
  };
  return { origin, proxy, connect, visit };
}

test.each<Breach>(['after the request', 'in the head', 'in the body'])(
  'breaks each third connection %s',
  async (breach) => {
    const { proxy, visit, origin } = await start(breach);
    const seen = [];
    for (let i = 0; i < 6; i++) seen.push(await visit());
    expect(seen).toEqual([200, 200, 'reset', 200, 200, 'reset']);
    expect(proxy).toMatchObject({ connections: 6, requests: 6, broken: { [breach]: 2 } });
    // The registry's side has seen every request: that is what makes these breaks hard.
    await origin.untilRequests(6);
  },
);

test('a break at connect reaches the far side with nothing', async () => {
  const { proxy, visit, connect, origin } = await start('at connect');
  expect([await visit(), await visit()]).toEqual([200, 200]);
  // The reset may come while the client still connects.
  const third = await connect().then(
    (client) => client.untilClosed(),
    () => 'reset',
  );
  expect(third).toBe('reset');
  expect(await visit()).toBe(200);
  expect(proxy.broken['at connect']).toBe(1);
  expect(origin.requests).toHaveLength(3);
});

test('a connection that leaves before its break was due leaves the break to the next one', async () => {
  const { proxy, visit, connect } = await start('in the body');
  expect([await visit(), await visit()]).toEqual([200, 200]);
  const idle = await connect();
  idle.halfClose();
  await idle.untilClosed();
  expect([await visit(), await visit()]).toEqual(['reset', 200]);
  expect(proxy.broken['in the body']).toBe(1);
});

test('gives requests the host of the target and asks for the close after the last one allowed', async () => {
  const { origin, connect } = await start('at connect', 2);
  const client = await connect();
  await client.send(GET);
  await client.readReply();
  await client.send(GET);
  const last = await client.readReply();
  expect(last.rawHeaders.map((text) => text.toLowerCase())).toContain('close');
  expect(await client.untilClosed()).toBe('fin');
  expect(origin.requests.map(({ headers }) => [headers.host, headers.connection])).toEqual([
    [`127.0.0.1:${origin.port}`, 'keep-alive'],
    [`127.0.0.1:${origin.port}`, 'close'],
  ]);
});
