import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { stubDns } from '../support/dns.ts';
import { DurableClient } from '../support/durable.ts';
import { ok, type OriginExchange, startOrigin, type Step } from '../support/origin.ts';

/** An upstream with durable requests and tenants, which Host distinguishes. */
async function start(step: Step, more = '') {
  const origin = await startOrigin(step);
  stubDns(['127.0.0.1']);
  const store = join(temporaryFolder(), 'store.db');
  const yaml = `
durable: { store: ${store} }
upstreams:
  shop:
    url: http://{shop}.shops.example:${origin.port}
    allow_private: true
    mount: { path: "/shop/{shop}" }
    retry: { idempotency_key: pass }
    durable: { backoff: { kind: constant, base: 1ms, overloaded_base: 1ms, jitter: none } }
${more}`;
  const proxy = await startBreakwater(yaml);
  const submit = (tenant: string, headers: Record<string, string> = {}) =>
    fetch(`${proxy.url}/shop/${tenant}/orders`, {
      method: 'PUT',
      body: 'one order',
      headers: { prefer: 'respond-async', ...headers },
    });
  const hosts = () => origin.requests.map(({ headers, url }) => `${headers.host?.split('.')[0]} ${url}`);
  return { origin, proxy, submit, hosts, yaml, client: new DurableClient(proxy) };
}

const monitorOf = (reply: Response): string => reply.headers.get('location') ?? '';

test('a durable request goes to the host of its tenant; a name that is not allowed is not accepted', async () => {
  const { proxy, submit, hosts, client } = await start(ok());
  const accepted = await submit('acme');
  expect(accepted.status).toBe(202);
  expect(await client.done(monitorOf(accepted))).toMatchObject({
    status: 'succeeded',
    route: 'shop/default',
    tenant: 'acme',
  });
  expect((await submit('a.b')).status).toBe(400);
  expect(hosts()).toEqual(['acme /orders']);
  const ended = proxy.logs.find(({ message }) => message.startsWith('durable PUT'));
  expect(ended?.fields).toMatchObject({ tenant: 'acme', route: 'shop/default', outcome: 'succeeded' });
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain(
    'breakwater_durable_time_to_done_seconds_count{upstream="shop",route="default",status="succeeded"} 1',
  );
  expect(metrics).not.toContain('acme');
});

test('the same idempotency key is another request for another tenant', async () => {
  const { submit, hosts, client } = await start(ok());
  const key = { 'idempotency-key': 'one' };
  const first = [await submit('a', key), await submit('b', key), await submit('a', key)];
  const ids = first.map(monitorOf);
  expect(ids[2]).toBe(ids[0]);
  expect(ids[1]).not.toBe(ids[0]);
  await Promise.all(ids.map((id) => client.done(id)));
  expect(hosts().sort()).toEqual(['a /orders', 'b /orders']);
});

test('a restart sends a waiting request to the same tenant', async () => {
  const { origin, proxy, submit, hosts, yaml } = await start(ok());
  const accepted = await submit('acme', { 'breakwater-delay': '1s' });
  expect(accepted.status).toBe(202);
  await proxy.app.stop(0);
  expect(origin.requests).toEqual([]);
  const again = new DurableClient(await startBreakwater(yaml));
  expect(await again.done(monitorOf(accepted))).toMatchObject({ status: 'succeeded', tenant: 'acme' });
  expect(hosts()).toEqual(['acme /orders']);
});

test('the open breaker of one tenant delays no request of another', async () => {
  const oneDown = async ({ request, response, body }: OriginExchange) => {
    await body();
    response.writeHead(request.headers.host?.startsWith('sick.') ? 503 : 200).end();
  };
  const { proxy, submit, client } = await start(
    oneDown,
    '    breaker: { min_requests: 2, consecutive_failures: 2 }\n',
  );
  const sick = await Promise.all([1, 2, 3].map(() => submit('sick')));
  await proxy.until(() => proxy.states.some(({ type }) => type === 'durable_deferred'));
  expect(await client.done(monitorOf(await submit('well')))).toMatchObject({ status: 'succeeded' });
  expect(await client.monitor(monitorOf(sick[0] as Response))).toMatchObject({ done: false });
});

test('a result is polled at the host of its tenant', async () => {
  const jobs = async ({ request, response, body }: OriginExchange) => {
    await body();
    if (request.method === 'PUT') return void response.writeHead(202, { location: '/jobs/1' }).end('{}');
    response.end('{"state":"done"}');
  };
  const poll =
    '    routes: [{ name: all, match: { path: "/**" }, durable: { poll: { target: header:location, until: { success: [ { json: /state, equals: done } ], delay: { min: 100ms } } } } }]\n';
  const { submit, hosts, client } = await start(jobs, poll);
  expect(await client.done(monitorOf(await submit('acme')))).toMatchObject({ status: 'succeeded' });
  expect(hosts()).toEqual(['acme /orders', 'acme /jobs/1']);
});

test('a schedule names its tenant as an app would', async () => {
  const { origin, hosts } = await start(
    ok(),
    'schedules: { sync: { cron: "* * * * * *", request: { path: /shop/acme/sync } } }\n',
  );
  await origin.untilRequests(1);
  expect(hosts()[0]).toBe('acme /sync');
});
