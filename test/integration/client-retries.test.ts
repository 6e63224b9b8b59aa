import { expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type OriginExchange, ok, reset, startOrigin, status } from '../support/origin.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

const tokens = async (proxy: Breakwater) => (await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens;
const vetoes = (reply: Response) => [
  reply.headers.get('x-should-retry'),
  reply.headers.get('stripe-should-retry'),
];
const again = { headers: { 'x-stainless-retry-count': '1' } };

test('a final failure tells SDKs not to retry; a success does not', async () => {
  const origin = await startOrigin(status(503), status(503), status(503), ok());
  const proxy = await startTidy(apiConfig(origin));
  const failed = await fetch(`${proxy.url}/api/`);
  expect([failed.status, vetoes(failed)]).toEqual([503, ['false', 'false']]);
  expect(vetoes(await fetch(`${proxy.url}/api/`))).toEqual([null, null]);
});

test("an upstream's request to retry is replaced after the retries", async () => {
  const origin = await startOrigin(status(503, { 'x-should-retry': 'true' }));
  const proxy = await startTidy(apiConfig(origin));
  const failed = await fetch(`${proxy.url}/api/`);
  expect(vetoes(failed)).toEqual(['false', 'false']);
  expect(origin.requests.length).toBe(3);
});

test('a refusal by the proxy does so too, with a Retry-After', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin));
  await fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"force":"open"}',
  });
  const refused = await fetch(`${proxy.url}/api/`);
  expect([refused.status, vetoes(refused)]).toEqual([503, ['false', 'false']]);
  expect(origin.requests.length).toBe(0);
});

test('no signal to stop if only the client knows whether a POST may be repeated', async () => {
  const origin = await startOrigin(reset(), status(503));
  const proxy = await startTidy(apiConfig(origin));
  for (const expected of [502, 503]) {
    const reply = await fetch(`${proxy.url}/api/`, { method: 'POST', body: 'x' });
    expect([reply.status, reply.headers.get('breakwater-gave-up')]).toEqual([expected, 'not_idempotent']);
    expect(vetoes(reply)).toEqual([null, null]);
  }
});

test('a client’s retry costs a token of the budget, and is counted and logged', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin, '    retry: { budget: { ratio: 0, refill: 0/s } }\n'));
  await fetch(`${proxy.url}/api/`);
  expect(await tokens(proxy)).toBe(10);
  await fetch(`${proxy.url}/api/`, again);
  expect(await tokens(proxy)).toBe(9);
  await proxy.untilEnded(2);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_client_retries_total{upstream="api",route="default"} 1');
  const lines = proxy.logs.filter(({ fields }) => fields['attempts'] !== undefined);
  expect(lines.map(({ fields }) => fields['client_retries'])).toEqual([1]);
  expect(lines[0]?.message).toContain("(the client's retry 1)");
});

test('without budget, a client’s retry is sent once and not multiplied', async () => {
  const origin = await startOrigin(status(503));
  const proxy = await startTidy(
    apiConfig(origin, '    retry: { budget: { cap: 1, ratio: 0, refill: 0/s } }\n'),
  );
  // The only token is spent on the client's retry, so none is left for a retry of the proxy.
  for (const requests of [1, 2]) {
    const reply = await fetch(`${proxy.url}/api/`, again);
    expect([reply.status, reply.headers.get('breakwater-gave-up')]).toEqual([503, 'budget']);
    expect(origin.requests.length).toBe(requests);
  }
});

test('a client that marks every request as a retry takes at most half of the budget', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin, '    retry: { budget: { ratio: 0, refill: 0/s } }\n'));
  for (let i = 0; i < 20; i++) expect((await fetch(`${proxy.url}/api/`, again)).status).toBe(200);
  expect(await tokens(proxy)).toBe(5);
});

test('tokens that arrive during a client’s unpaid retry do not add an attempt', async () => {
  const clock = new FakeClock();
  const exchanges: OriginExchange[] = [];
  const origin = await startOrigin(status(503), (exchange) => void exchanges.push(exchange));
  const more = '    retry: { budget: { cap: 1, ratio: 0, refill: 1/s } }\n    concurrency: off\n';
  const proxy = await startTidy(apiConfig(origin, more), { clock });
  await fetch(`${proxy.url}/api/`, again);
  const pending = fetch(`${proxy.url}/api/`, again);
  await origin.untilRequests(2);
  await clock.advance(5_000);
  expect(await tokens(proxy)).toBe(1);
  exchanges[0]?.response.writeHead(503).end();
  expect((await pending).headers.get('breakwater-gave-up')).toBe('budget');
  expect(origin.requests.length).toBe(2);
});

test('the token is refunded if the proxy refuses the call', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin, '    retry: { budget: { ratio: 0, refill: 0/s } }\n'));
  await fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"force":"open"}',
  });
  await fetch(`${proxy.url}/api/`, again);
  expect(await tokens(proxy)).toBe(10);
});

test.each([
  [
    'limit_client_retries: false',
    '    retry: { limit_client_retries: false, budget: { ratio: 0, refill: 0/s } }\n',
    3,
  ],
  ['retry: off', '    retry: off\n', 1],
])('%s: none of this', async (_name, more, attempts) => {
  const origin = await startOrigin(status(503));
  const proxy = await startTidy(apiConfig(origin, more));
  const reply = await fetch(`${proxy.url}/api/`, again);
  expect(vetoes(reply)).toEqual([null, null]);
  expect(origin.requests.length).toBe(attempts);
  expect((await proxy.untilEnded(1))[0]?.notes.client_retries).toBeUndefined();
  expect(await tokens(proxy)).toBe(11 - attempts);
});
