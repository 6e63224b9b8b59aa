import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, reset, type Step, startOrigin, status } from '../support/origin.ts';
import { startTidy } from '../support/tidy.ts';

const ALL = '    overrides: { attempts: 5, timeout: 60s, retry_on: true, idempotent: true, wait: true }\n';

async function start(steps: readonly Step[], more = ALL, clock?: FakeClock) {
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more), clock === undefined ? {} : { clock });
  const send = (headers: Record<string, string>, init: RequestInit = {}) =>
    fetch(`${proxy.url}/api/`, { ...init, headers });
  return { origin, proxy, send };
}

const asks = {
  'breakwater-attempts': '4',
  'breakwater-timeout': '40s',
  'breakwater-retry-on': '404',
  'breakwater-idempotent': 'true',
};

test('off, they are taken away and change nothing, whatever they hold', async () => {
  const { origin, proxy, send } = await start([status(404)], '');
  const reply = await send({
    ...asks,
    'breakwater-attempts': 'nonsense',
    'x-request-timeout-ms': 'x',
    prefer: 'wait=1',
  });
  expect([reply.status, origin.requests.length]).toEqual([404, 1]);
  const { headers } = origin.requests[0]!;
  expect(Object.keys(headers).filter((name) => name.startsWith('breakwater-'))).toEqual([]);
  expect(headers).toMatchObject({ 'x-request-timeout-ms': 'x', prefer: 'wait=1' });
  expect((await proxy.untilEnded(1))[0]?.notes.overrides).toBeUndefined();
});

test('more attempts than the route has, up to the limit, and not passed on', async () => {
  const { origin, proxy, send } = await start([status(503)]);
  const reply = await send({ 'breakwater-attempts': '50' });
  expect([
    reply.status,
    reply.headers.get('breakwater-attempts'),
    reply.headers.get('breakwater-gave-up'),
  ]).toEqual([503, '5', 'attempts']);
  expect(origin.requests.length).toBe(5);
  expect(origin.requests.every(({ headers }) => headers['breakwater-attempts'] === undefined)).toBe(true);
  await proxy.untilEnded(1);
  expect(proxy.logs.at(-1)?.fields['overrides']).toEqual(['attempts=5']);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain(
    'breakwater_overrides_total{upstream="api",route="default",override="attempts"} 1',
  );
});

test('a route that never retries does when asked, a body included', async () => {
  const { origin, send } = await start([reset(), ok()], `${ALL}    retry: off\n`);
  const body = 'x'.repeat(100_000);
  const reply = await send({ 'breakwater-attempts': '2' }, { method: 'PUT', body });
  expect(reply.status).toBe(200);
  expect(origin.requests.map((request) => request.body.toString() === body)).toEqual([true, true]);
});

test('one attempt means one', async () => {
  const { origin, send } = await start([status(503)]);
  expect((await send({ 'breakwater-attempts': '1' })).status).toBe(503);
  expect(origin.requests.length).toBe(1);
});

test('other statuses than the route’s are worth a retry, and its own then not', async () => {
  const { origin, send } = await start([status(404), status(503), ok()]);
  expect((await send({ 'breakwater-retry-on': '404' })).status).toBe(503);
  expect(origin.requests.length).toBe(2);
});

test('a POST that its client calls idempotent is sent again, one that it does not is not', async () => {
  const { origin, send } = await start([reset(), ok(), reset()]);
  const post = { method: 'POST', body: 'charge' };
  expect((await send({ 'breakwater-idempotent': 'true' }, post)).status).toBe(200);
  const refused = await send({}, post);
  expect([refused.status, refused.headers.get('breakwater-gave-up')]).toEqual([502, 'not_idempotent']);
  expect(origin.requests.length).toBe(3);
});

test('a GET that its client calls not idempotent is not sent again', async () => {
  const { origin, send } = await start([reset(), ok()]);
  const reply = await send({ 'breakwater-idempotent': 'false' });
  expect([reply.status, reply.headers.get('breakwater-gave-up')]).toEqual([502, 'not_idempotent']);
  expect(origin.requests.length).toBe(1);
});

test.each([
  ['breakwater-timeout', '45s', 45_000],
  ['breakwater-timeout', '10m', 60_000],
  ['breakwater-timeout', '2s', 2_000],
  ['prefer', 'wait=3', 3_000],
  ['x-request-timeout-ms', '1500', 1_500],
  ['x-request-timeout-ms', '99999', 30_000],
])('%s: %s has the call end after %d ms', async (name, value, ms) => {
  const clock = new FakeClock();
  const more = `${ALL}    retry: off\n    timeouts: { total: 30s }\n`;
  const { origin, send } = await start([hang()], more, clock);
  const sent = send({ [name]: value });
  await origin.untilRequests(1);
  await clock.advance(ms - 1);
  expect(origin.openConnections).toBe(1);
  await clock.advance(1);
  const reply = await sent;
  expect([reply.status, await reply.json()]).toMatchObject([504, { code: 'deadline_exceeded' }]);
  await origin.until(({ openConnections }) => openConnections === 0);
});

test.each([
  ['breakwater-attempts', 'three'],
  ['breakwater-timeout', '30'],
  ['breakwater-retry-on', '5xx'],
  ['breakwater-idempotent', 'maybe'],
  ['x-request-timeout-ms', 'soon'],
])('%s: %s is answered with 400, and nothing is sent', async (name, value) => {
  const { origin, send } = await start([ok()]);
  const reply = await send({ [name]: value }, { method: 'PUT', body: 'x'.repeat(200_000) });
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  expect([reply.status, await reply.json()]).toMatchObject([
    400,
    {
      code: 'bad_request',
      detail: expect.stringContaining(`the header ${name} has the value "${value}"; write`),
    },
  ]);
  expect(origin.requests.length).toBe(0);
});

test('a route may allow what its upstream does not, and the other way round', async () => {
  const more =
    '    overrides: { attempts: 4 }\n    routes:\n      - { match: { path: /strict }, overrides: off }\n      - { match: { path: /idem }, overrides: { idempotent: true } }\n';
  const { origin, proxy } = await start([status(503)], more);
  const count = async (path: string) => {
    const before = origin.requests.length;
    await fetch(`${proxy.url}/api${path}`, { method: 'POST', headers: asks });
    return origin.requests.length - before;
  };
  expect([await count('/'), await count('/strict'), await count('/idem')]).toEqual([1, 1, 4]);
});
