import { expect, test } from 'vitest';
import { type Breakwater, type BreakwaterOptions, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, type Origin, startOrigin } from '../support/origin.ts';

/* The share of a client in the quota of each target (`clients.tokens[].quota`). */

const start = (targets: string, options: BreakwaterOptions) =>
  startBreakwater(
    `
clients:
  tokens:
    - { name: web, token: web-token-0123456789 }
    - { name: batch, token: batch-token-0123456789, quota: 20% }
upstreams:
  api:
    allow_private: true
    targets:
${targets}`,
    options,
  );

const target = ({ url }: Origin, name: string, more: string) =>
  `      - { name: ${name}, url: ${url}, headers: { set: { authorization: Bearer ${name} } }, ${more} }\n`;

const call = (proxy: Breakwater, client: string) =>
  fetch(`${proxy.url}/api/x`, { headers: { 'breakwater-token': `${client}-token-0123456789` } });

const targetsOf = (replies: readonly Response[]) =>
  replies.map(({ status, headers }) => `${status} ${headers.get('breakwater-target')}`);

test('a client has its share of the quota of each target, and others have the rest', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const quota = 'quota: { windows: 10/1m, wait: 1s }';
  const proxy = await start(target(origin, 'a', quota) + target(origin, 'b', quota), { clock });
  const batch = [];
  for (let i = 0; i < 4; i++) batch.push(await call(proxy, 'batch'));
  expect(targetsOf(batch).toSorted()).toEqual(['200 a', '200 a', '200 b', '200 b']);
  const refused = await call(proxy, 'batch');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '30']);
  expect(await refused.text()).toContain('the share of this client in the quota is used up');
  const web = [];
  for (let i = 0; i < 16; i++) web.push((await call(proxy, 'web')).status);
  expect(web).toEqual(Array.from({ length: 16 }, () => 200));
});

test('a client whose share of one target is used up goes to another one without a wait', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const proxy = await start(
    target(origin, 'small', 'quota: { windows: 10/10s, wait: 30s }') +
      target(origin, 'large', 'quota: { windows: 100/10s, wait: 30s }'),
    { clock },
  );
  const replies = [];
  for (let i = 0; i < 12; i++) replies.push(await call(proxy, 'batch'));
  const used = targetsOf(replies);
  expect(used.filter((one) => one === '200 small')).toHaveLength(2);
  expect(used.filter((one) => one === '200 large')).toHaveLength(10);
});

test('calls that wait for the share of their client send those of others to no higher tier', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const proxy = await start(
    target(origin, 'first', 'quota: { windows: 10/10s, wait: 30s }') +
      target(origin, 'spare', 'tier: 2, quota: { windows: 5/10s, wait: 30s }'),
    { clock },
  );
  for (let i = 0; i < 3; i++) await call(proxy, 'batch');
  const waiting = Array.from({ length: 10 }, () => call(proxy, 'batch'));
  const state = async () => JSON.parse(await (await fetch(`${proxy.adminUrl}/api/state`)).text());
  while (JSON.stringify(await state()).match(/"waiting":10/) === null) await new Promise(setImmediate);
  const web = [await call(proxy, 'web'), await call(proxy, 'web')];
  expect(targetsOf(web)).toEqual(['200 first', '200 first']);
  for (let i = 0; i < 100; i++) await clock.advance(1_000);
  await Promise.all(waiting);
});

test('used units of a target stay used over a reload that adds another one and changes the limit', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const yaml = (limits: Readonly<Record<string, string>>) => {
    const targets = Object.entries(limits).map(([name, limit]) =>
      target(origin, name, `quota: { windows: ${limit}, wait: 1ms }`),
    );
    return `upstreams:\n  api:\n    allow_private: true\n    retry: off\n    targets:\n${targets.join('')}`;
  };
  const proxy = await startBreakwater(yaml({ a: '3/d', b: '3/d' }), { clock });
  const all = async () => {
    const replies = [];
    for (let i = 0; i < 20; i++) replies.push(await call(proxy, 'web'));
    return targetsOf(replies)
      .filter((one) => one.startsWith('200'))
      .toSorted();
  };
  expect(await all()).toEqual(['200 a', '200 a', '200 a', '200 b', '200 b', '200 b']);
  proxy.rewrite(yaml({ a: '3/d', b: '4/d', c: '2/d' }));
  expect(await proxy.app.reload()).toMatchObject({ ok: true });
  expect(await all()).toEqual(['200 b', '200 c', '200 c']);
});
