import { hostname } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { type DurableClient, durableConfig, type Monitor, startDurable } from '../support/durable.ts';
import {
  hang,
  type Origin,
  ok,
  type RecordedRequest,
  reset,
  startOrigin,
  status,
} from '../support/origin.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const OTHER = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;

interface Options {
  readonly secrets?: string;
  readonly allow?: string;
  readonly more?: string;
  readonly store?: string;
}

function config(
  origin: Pick<Origin, 'url'>,
  receiver: Pick<Origin, 'url'>,
  { secrets = SECRET, allow = `${receiver.url}/hooks/**`, more = '', store }: Options = {},
): string {
  const callbacks = `allow: ["${allow}"], secrets: [${secrets}], allow_private: true, waits: [1ms, 1ms]${more}`;
  return durableConfig(origin, {
    process: `callbacks: { ${callbacks} }`,
    ...(store !== undefined && { store }),
  });
}

interface Message {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Record<string, unknown>;
}

/** Verifies a delivery as its receiver does. Throws if the signature is wrong. */
function verified(request: RecordedRequest | undefined, secret = SECRET): Message {
  const headers = request?.headers as Record<string, string>;
  return new Webhook(secret).verify(request?.body.toString() ?? '', headers) as Message;
}

/** The monitor once its callback has ended. */
async function callbackOf(client: DurableClient, location: string): Promise<Monitor['callback']> {
  for (;;) {
    const monitor = await client.done(location);
    const callback = monitor['callback'] as { status?: string; href: string };
    if (callback.href === undefined) throw new Error('there is no callback');
    const { done } = await client.done(callback.href);
    if (done) return (await client.monitor(location))['callback'];
  }
}

const to = (receiver: Origin, path = '/hooks/pay') => ({ 'breakwater-callback': receiver.url + path });

test('promise: callback when done: the end of a request is reported with its result, signed by Standard Webhooks', async () => {
  const origin = await startOrigin(ok('{"id":12345678901234567890}', { 'content-type': 'application/json' }));
  const receiver = await startOrigin(status(204));
  const client = await startDurable(config(origin, receiver));
  const location = await client.accepted({ ...to(receiver, '/hooks/pay?s=3cr3t'), 'breakwater-label': 'eu' });
  await receiver.untilRequests(1);
  const request = receiver.requests[0];
  expect(request).toMatchObject({ method: 'POST', url: '/hooks/pay?s=3cr3t' });
  expect(request?.headers['content-type']).toBe('application/json');
  const { id } = await client.monitor(location);
  expect(verified(request)).toMatchObject({
    type: 'request.succeeded',
    data: {
      id,
      status: 'succeeded',
      route: 'api/default',
      labels: ['eu'],
      attempts: 1,
      href: location,
      response: {
        status: 200,
        bytes: 27,
        content_type: 'application/json',
        body: '{"id":12345678901234567890}',
        href: `${location}/response`,
      },
    },
  });
  expect(await callbackOf(client, location)).toMatchObject({
    url: `${receiver.url}/hooks/pay?…`,
    status: 'succeeded',
    attempts: 1,
  });
  expect(JSON.stringify(client.proxy.logs)).not.toContain('3cr3t');
  const shown = await (await fetch(`${client.proxy.adminUrl}/api/config`)).text();
  expect(shown).toContain('/hooks/**');
  expect(shown).not.toContain(SECRET);
  expect(await (await fetch(`${client.proxy.adminUrl}/metrics`)).text()).toContain(
    'breakwater_callbacks_total{outcome="delivered"} 1',
  );
});

test('a failed delivery is repeated with the same id and a new signature, and never changes its request', async () => {
  const origin = await startOrigin(status(404, {}, 'no such order'));
  const receiver = await startOrigin(status(500), reset(), status(200));
  const client = await startDurable(config(origin, receiver));
  const location = await client.accepted(to(receiver));
  expect(await callbackOf(client, location)).toMatchObject({ status: 'succeeded', attempts: 3 });
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  const messages = receiver.requests.map((request) => verified(request));
  expect(messages[2]).toMatchObject({
    type: 'request.failed',
    data: { status: 'failed', error: { code: 'not_retryable' }, response: { status: 404 } },
  });
  expect(messages[0]).toEqual(messages[2]);
});

test('only 2xx is a success: redirects are not followed, and an undelivered callback fails', async () => {
  const origin = await startOrigin(ok());
  const elsewhere = await startOrigin(ok());
  const receiver = await startOrigin(status(302, { location: `${elsewhere.url}/hooks/pay` }));
  const client = await startDurable(config(origin, receiver));
  const location = await client.accepted(to(receiver));
  expect(await callbackOf(client, location)).toMatchObject({ status: 'failed', attempts: 3 });
  expect(receiver.requests).toHaveLength(3);
  expect(elsewhere.requests).toHaveLength(0);
  expect(await client.monitor(location)).toMatchObject({ status: 'succeeded' });
});

test('the head of a 2xx is a success, even if its body never ends', async () => {
  const origin = await startOrigin(ok());
  const receiver = await startOrigin(({ response }) => void response.writeHead(200).write('still'));
  const client = await startDurable(config(origin, receiver));
  const location = await client.accepted(to(receiver));
  expect(await callbackOf(client, location)).toMatchObject({ status: 'succeeded', attempts: 1 });
  expect(receiver.requests).toHaveLength(1);
});

test('the head of a 2xx is a success, even if its body ends early', async () => {
  const origin = await startOrigin(ok());
  const receiver = await startOrigin(({ response, request }) => {
    response.writeHead(200, { 'content-length': '100' }).write('half');
    setImmediate(() => request.socket.end());
  });
  const client = await startDurable(config(origin, receiver));
  const location = await client.accepted(to(receiver));
  expect(await callbackOf(client, location)).toMatchObject({ status: 'succeeded', attempts: 1 });
  expect(receiver.requests).toHaveLength(1);
});

test('a 410 ends the callback at once', async () => {
  const origin = await startOrigin(ok());
  const receiver = await startOrigin(status(410));
  const client = await startDurable(config(origin, receiver));
  const location = await client.accepted(to(receiver));
  expect(await callbackOf(client, location)).toMatchObject({ status: 'failed', attempts: 1 });
  expect(client.proxy.states).toContainEqual(
    expect.objectContaining({ type: 'callback_ended', outcome: 'gone' }),
  );
});

test('a cancelled request has a callback too: waiting, running, in bulk and deleted', async () => {
  const origin = await startOrigin(hang());
  const receiver = await startOrigin(ok());
  const client = await startDurable(config(origin, receiver));
  const waiting = { ...to(receiver), 'breakwater-delay': '1h' };

  const one = await client.accepted(waiting);
  await client.call('POST', `${one}/cancel`);
  await receiver.untilRequests(1);
  const two = await client.accepted(to(receiver));
  await origin.untilRequests(1);
  await client.call('POST', `${two}/cancel`);
  await receiver.untilRequests(2);
  const three = await client.accepted({ ...waiting, 'breakwater-label': 'bulk' });
  await client.admin('POST', '/requests/cancel?label=bulk&limit=10');
  await receiver.untilRequests(3);
  const four = await client.accepted(waiting);
  await client.call('DELETE', four);
  await receiver.untilRequests(4);

  const messages = receiver.requests.map((request) => verified(request));
  expect(messages.map(({ type, data }) => [type, data['href']])).toEqual(
    [one, two, three, four].map((location) => ['request.cancelled', location]),
  );
});

test('both secrets sign during a rotation, only the new one afterwards', async () => {
  const origin = await startOrigin(ok());
  const receiver = await startOrigin(ok());
  const store = join(temporaryFolder(), 'store.db');
  const client = await startDurable(config(origin, receiver, { secrets: `${OTHER}, ${SECRET}`, store }));
  await client.accepted(to(receiver));
  await receiver.untilRequests(1);
  expect(verified(receiver.requests[0], SECRET)).toEqual(verified(receiver.requests[0], OTHER));

  client.proxy.rewrite(config(origin, receiver, { secrets: OTHER, store }));
  expect(await client.proxy.app.reload()).toMatchObject({ ok: true });
  await client.accepted(to(receiver));
  await receiver.untilRequests(2);
  expect(verified(receiver.requests[1], OTHER)).toMatchObject({ type: 'request.succeeded' });
  expect(() => verified(receiver.requests[1], SECRET)).toThrow('No matching signature found');
});

describe('a URL that is not allowed', () => {
  test.each([
    ['another path', (url: string) => `${url}/admin`],
    ['another port', (url: string) => url.replace(/:\d+$/, ':1/hooks/pay')],
    ['another scheme', (url: string) => `${url.replace('http:', 'https:')}/hooks/pay`],
    ['a path that climbs', (url: string) => `${url}/hooks/../admin`],
    ['a path that climbs when decoded', (url: string) => `${url}/hooks/%2e%2e%2fadmin`],
    ['a path that climbs when decoded twice', (url: string) => `${url}/hooks/%252e%252e%252fadmin`],
    ['a path that climbs with a backslash', (url: string) => `${url}/hooks/..%5cadmin`],
    ['the allowed host as a user', (url: string) => `${url.replace('http://', 'http://u@')}/hooks/pay`],
    [
      'an address mapped into IPv6',
      (url: string) => `${url.replace('127.0.0.1', '[::ffff:127.0.0.1]')}/hooks/pay`,
    ],
    ['another name of this host', (url: string) => `${url.replace('127.0.0.1', 'localhost')}/hooks/pay`],
    ['another protocol', () => 'file:///etc/passwd'],
  ])('%s', async (_name, place) => {
    const origin = await startOrigin(ok());
    const receiver = await startOrigin(ok());
    const client = await startDurable(config(origin, receiver));
    const reply = await client.submit({ 'breakwater-callback': place(receiver.url) });
    expect([400, 403]).toContain(reply.status);
    expect(origin.requests).toHaveLength(0);
  });

  test('a numeric host is checked as an address', async () => {
    const origin = await startOrigin(ok());
    const receiver = await startOrigin(ok());
    const client = await startDurable(config(origin, receiver));
    // 2130706433 is 127.0.0.1 to every URL parser, so the allow-list treats it as such.
    await client.accepted({
      'breakwater-callback': `${receiver.url.replace('127.0.0.1', '2130706433')}/hooks/pay`,
    });
    await receiver.untilRequests(1);
    expect(receiver.requests[0]?.headers['host']).toBe(`127.0.0.1:${receiver.port}`);
  });

  test('a name that resolves to a private address, if those are not allowed', async () => {
    const origin = await startOrigin(ok());
    const receiver = await startOrigin(ok());
    const name = `http://${hostname()}:${receiver.port}`;
    const yaml = config(origin, { url: name }).replace('allow_private: true, waits', 'waits');
    const client = await startDurable(yaml);
    const location = await client.accepted({ 'breakwater-callback': `${name}/hooks/pay` });
    expect(await callbackOf(client, location)).toMatchObject({ status: 'failed' });
    expect(receiver.requests).toHaveLength(0);
  });

  test('the list is checked again at delivery', async () => {
    const origin = await startOrigin(hang());
    const receiver = await startOrigin(ok());
    const store = join(temporaryFolder(), 'store.db');
    const client = await startDurable(config(origin, receiver, { store }));
    const location = await client.accepted({ ...to(receiver), 'breakwater-delay': '1h' });
    client.proxy.rewrite(config(origin, receiver, { store, allow: 'https://app.example.com' }));
    expect(await client.proxy.app.reload()).toMatchObject({ ok: true });
    await client.call('POST', `${location}/cancel`);
    expect(await callbackOf(client, location)).toMatchObject({ status: 'failed' });
    expect(receiver.requests).toHaveLength(0);
  });
});

test('exactly the callers that may read a request may read its callback', async () => {
  const origin = await startOrigin(ok());
  const receiver = await startOrigin(ok());
  const client = await startDurable(config(origin, receiver));
  const me = { authorization: 'Bearer me' };
  const location = await client.accepted({ ...to(receiver), ...me });
  const { callback } = await client.done(location, me);
  const { href } = callback as { href: string };
  expect((await client.call('GET', href)).status).toBe(404);
  expect(await client.done(href, me)).toMatchObject({ kind: 'callback', status: 'succeeded' });
});
