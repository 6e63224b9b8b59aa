import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { pass } from '../support/polling.ts';

/* Durable POSTs with a key that may have been processed: an API may know the key per account, so no other target may get it. */

/** Asks for a wait, in which the test reloads. */
const unavailable = status(503, { 'retry-after': '10' });

const targets = (hosts: Readonly<Record<string, { readonly url: string }>>): string => {
  const rows = Object.entries(hosts).map(([name, { url }]) => `      - { name: ${name}, url: "${url}" }\n`);
  return `    targets:\n${rows.join('')}`;
};

/** A POST whose first attempt got 503. Between that and the second one, the upstream gets the targets `after`. */
async function reloaded(origin: { readonly url: string }, before: string, after: string) {
  const clock = new FakeClock();
  const store = join(temporaryFolder(), 'store.db');
  const yaml = (more: string) => durableConfig(origin, { more, store });
  const client = await startDurable(yaml(before), { clock });
  const location = await client.accepted({ 'idempotency-key': 'k' }, { method: 'POST' });
  const waiting = await client.until(location, ({ next }) => next?.reason === 'retry_after');
  client.proxy.rewrite(yaml(after));
  await client.proxy.app.reload();
  await pass(waiting, clock);
  return { client, location, end: await client.until(location, ({ done }) => done) };
}

test('if a reload removed its target, it ends with the reason, and a person may send it to another one', async () => {
  const first = await startOrigin(unavailable);
  const second = await startOrigin(ok('other'));
  const { client, location, end } = await reloaded(
    first,
    targets({ a: first, b: second }),
    targets({ b: second, c: second }),
  );
  expect(end).toMatchObject({ error: { code: 'unknown_outcome' }, attempts: { made: 1 } });
  expect(end.error?.title).toContain(
    'the target a, which may have processed the request, is no longer in the configuration',
  );
  expect(second.requests).toHaveLength(0);
  await client.call('POST', `${location}/retry`);
  expect(await client.until(location, ({ done }) => done)).toMatchObject({ status: 'succeeded' });
  expect(second.requests).toHaveLength(1);
});

test('if its upstream had no targets then and has several now, it ends with the reason', async () => {
  const first = await startOrigin(unavailable);
  const second = await startOrigin(ok('other'));
  const { end } = await reloaded(first, '', targets({ a: first, b: second }));
  expect(end).toMatchObject({ error: { code: 'unknown_outcome' } });
  expect(end.error?.title).toContain('was sent before its upstream had these targets');
  expect([first.requests.length, second.requests.length]).toEqual([1, 0]);
});

test('if the API said that it had processed nothing, every target may get it', async () => {
  const first = await startOrigin(status(503), ok('first'));
  const second = await startOrigin(status(503));
  const yaml = durableConfig(first, { durable: 'attempts: 2', more: targets({ a: first, b: second }) });
  const client = await startDurable(yaml.replace('pass }', 'pass, not_processed: [503] }'));
  const location = await client.accepted({ 'idempotency-key': 'k' }, { method: 'POST' });
  expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
});
