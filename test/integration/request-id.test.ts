import { expect, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { ok, startOrigin, status } from '../support/origin.ts';

const LOG_ALL = '\nlog: { requests: all }\n';

test("the client's id is returned, logged and passed on; the upstream's own header does not reach the client", async () => {
  const origin = await startOrigin(ok('hi', { 'breakwater-request-id': 'forged' }));
  const proxy = await startBreakwater(apiConfig(origin) + LOG_ALL);
  const reply = await fetch(`${proxy.url}/api/x`, { headers: { 'X-Request-Id': 'app-17' } });
  expect(reply.headers.get('breakwater-request-id')).toBe('app-17');
  await proxy.untilEnded(1);
  expect(proxy.logs.at(-1)?.fields).toMatchObject({ id: 'app-17', client: '127.0.0.1' });
  expect(origin.requests[0]?.headers['x-request-id']).toBe('app-17');
});

test('a call without an id gets one, which the upstream does not see', async () => {
  const origin = await startOrigin(ok('hi'));
  const proxy = await startBreakwater(apiConfig(origin) + LOG_ALL);
  const ids = new Set<string>();
  for (const bad of [undefined, 'two words']) {
    const headers = bad === undefined ? undefined : { 'x-request-id': bad };
    const reply = await fetch(`${proxy.url}/api/x`, { ...(headers && { headers }) });
    ids.add(reply.headers.get('breakwater-request-id') ?? '');
  }
  await proxy.untilEnded(2);
  expect(ids.size).toBe(2);
  expect(proxy.logs.slice(-2).map(({ fields }) => fields['id'])).toEqual([...ids]);
  // An API may give its own meaning to the field, so the proxy never adds it.
  expect(origin.requests.map(({ headers }) => headers['x-request-id'])).toEqual([undefined, 'two words']);
});

test('a problem names its occurrence', async () => {
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }));
  const reply = await fetch(`${proxy.url}/nowhere`, { headers: { 'x-request-id': 'a/1' } });
  expect(reply.headers.get('breakwater-request-id')).toBe('a/1');
  expect(await reply.json()).toMatchObject({ instance: 'urn:breakwater:request:a%2F1' });
});

test('a log line has the trace, and the bytes of both bodies', async () => {
  const origin = await startOrigin(ok('seven!!'));
  const proxy = await startBreakwater(apiConfig(origin) + LOG_ALL);
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
  const body = 'x'.repeat(100_000);
  await (await fetch(`${proxy.url}/api/x`, { method: 'POST', body, headers: { traceparent } })).text();
  await proxy.untilEnded(1);
  expect(proxy.logs.at(-1)?.fields).toMatchObject({ trace_id: traceId, bytes_in: 100_000, bytes_out: 7 });
});

test('with log.path: route, no path of a client is recorded', async () => {
  const origin = await startOrigin(ok('hi'));
  const routes = '    routes: [{ match: { path: "/people/:name" } }]\n';
  const proxy = await startBreakwater(`${apiConfig(origin, routes)}\nlog: { requests: all, path: route }\n`);
  await fetch(`${proxy.url}/api/people/jane-doe`);
  await fetch(`${proxy.url}/jane-doe`);
  await proxy.untilEnded(2);
  const lines = proxy.logs.filter(({ fields }) => 'outcome' in fields);
  expect(lines.map(({ fields }) => fields['path'])).toEqual(['/people/:name', '/…']);
  const state = await (await fetch(`${proxy.adminUrl}/api/state`)).text();
  expect(`${JSON.stringify(proxy.logs)}${state}`).not.toContain('jane');
  expect(origin.requests[0]?.url).toBe('/people/jane-doe');
});

test('a durable request and its callback have the id of its submission', async () => {
  const origin = await startOrigin(ok('paid'));
  const receiver = await startOrigin(status(204));
  const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
  const callbacks = `callbacks: { allow: ["${receiver.url}/**"], secrets: [${secret}], allow_private: true }`;
  const client = await startDurable(durableConfig(origin, { process: callbacks }));
  const headers = { 'x-request-id': 'app-17', 'breakwater-callback': `${receiver.url}/hook` };
  const location = await client.accepted(headers);
  expect(await client.done(location)).toMatchObject({ request_id: 'app-17' });
  await receiver.untilRequests(1);
  expect(JSON.parse(receiver.requests[0]?.body.toString() ?? '')).toMatchObject({
    data: { request_id: 'app-17' },
  });
  const listed = await client.admin('GET', '/requests?request_id=app-17');
  const { requests } = (await listed.json()) as { requests: { kind?: string }[] };
  expect(requests.map(({ kind }) => kind)).toEqual(['callback', undefined]);
  await client.proxy.until(() => client.proxy.logs.some(({ fields }) => fields['outcome'] === 'succeeded'));
  const line = client.proxy.logs.find(({ fields }) => fields['outcome'] === 'succeeded');
  expect(line?.fields).toMatchObject({ request_id: 'app-17' });
});

test('a long path is cut in the record, because a client chooses its length', async () => {
  const origin = await startOrigin(ok('hi'));
  const proxy = await startBreakwater(apiConfig(origin) + LOG_ALL);
  await (await fetch(`${proxy.url}/api/${'p'.repeat(2_047)}`)).text();
  await (await fetch(`${proxy.url}/api/${'p'.repeat(9_000)}?key=s3cret`)).text();
  await proxy.untilEnded(2);
  const whole = `/${'p'.repeat(2_047)}`;
  expect(proxy.logs.slice(-2).map(({ fields }) => fields['path'])).toEqual([whole, `${whole}…`]);
  expect(origin.requests[1]?.url).toBe(`/${'p'.repeat(9_000)}?key=s3cret`);
});
