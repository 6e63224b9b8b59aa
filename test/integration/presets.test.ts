import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import type { ReplyExample } from '../support/preset-examples.ts';
import { passTime } from '../support/quota-origin.ts';
import { startTidy } from '../support/tidy.ts';
import { EXAMPLES } from '../unit/presets/examples.ts';

/** True if the example is repeated after a wait that `retry.retry_after.max` allows. */
const isRepeated = ({ means, keys }: ReplyExample): boolean =>
  keys === undefined && means.startsWith('retry') && Number(/ (\d+)(?:\.\d+)?s$/.exec(means)?.[1] ?? 0) <= 60;

const isFinal = ({ means, status: code }: ReplyExample): boolean => code >= 400 && !means.startsWith('retry');

/** Of each preset, one reply that is repeated and one that is not. */
const CASES = Object.entries(EXAMPLES).flatMap(([preset, { replies }]) =>
  [replies.find(isRepeated), replies.find(isFinal)]
    .filter((example) => example !== undefined)
    .map((example) => ({ preset, ...example })),
);

test.each(CASES)('$preset, over sockets: $call $status $body: $means', async (example) => {
  const { preset, call = 'POST /x', body = '', headers, means } = example;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const json = typeof body === 'string' ? {} : { 'content-type': 'application/json' };
  const origin = await startOrigin(status(example.status, { ...headers, ...json }, text), ok('done'));
  const clock = new FakeClock();
  const proxy = await startTidy(apiConfig(origin, `    preset: ${preset}\n`), { clock });

  const [method = '', path = ''] = call.split(' ');
  const sent = fetch(`${proxy.url}/api${path}`, { method, ...(method !== 'GET' && { body: 'x' }) });
  let answered = false;
  const reply = sent.finally(() => {
    answered = true;
  });
  await passTime(clock, () => answered, 250);

  const repeated = means.startsWith('retry');
  expect(await (await reply).text()).toBe(repeated ? 'done' : text);
  expect(origin.requests).toHaveLength(repeated ? 2 : 1);
  const keys = origin.requests.map(
    (request) => request.headers['idempotency-key'] ?? request.headers['paypal-request-id'],
  );
  expect(new Set(keys).size).toBe(1);
});

test('the key of PayPal is added where an endpoint takes one, and only there', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin, '    preset: paypal\n'));
  for (const path of ['/v2/checkout/orders', '/v1/billing/subscriptions/S/cancel'])
    await (await fetch(`${proxy.url}/api${path}`, { method: 'POST', body: '{}' })).text();
  const keys = origin.requests.map(({ headers }) => headers['paypal-request-id']);
  expect(keys).toEqual([expect.any(String), undefined]);
});

test('a PUT that creates at Xero is not repeated', async () => {
  const origin = await startOrigin(status(503), ok());
  const proxy = await startTidy(apiConfig(origin, '    preset: xero\n'));
  const reply = await fetch(`${proxy.url}/api/api.xro/2.0/Invoices`, { method: 'PUT', body: '{}' });
  expect([reply.status, origin.requests.length]).toEqual([503, 1]);
});
