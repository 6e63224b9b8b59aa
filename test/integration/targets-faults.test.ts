import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { inspect } from '../../src/cli/inspect.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { ok, reset, type Step, startOrigin, status } from '../support/origin.ts';
import { hosts, keys } from '../support/target-configs.ts';
import { startTidy } from '../support/tidy.ts';

const PLACES = ['/metrics', '/api/state', '/api/config', '/api/calls', '/api/traffic'];

const get = ({ url }: Breakwater, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${url}/api/x`, { headers });

test('a host that was down has its share again within 5 s of its return', async () => {
  const clock = new FakeClock();
  let up = false;
  const back = await startOrigin((exchange) => (up ? ok() : reset())(exchange));
  const other = await startOrigin(ok());
  const breaker = '    breaker: { consecutive_failures: 3 }\n';
  const proxy = await startTidy(hosts({ back, other }, breaker), { clock });
  const statuses = new Set<number>();
  const callFor = async (ms: number) => {
    for (let t = 0; t < ms; t += 200) {
      statuses.add((await get(proxy)).status);
      await proxy.untilEnded(proxy.ended.length);
      await clock.advance(200);
    }
  };
  await callFor(20_000);
  expect(proxy.states[0]).toMatchObject({ type: 'breaker_changed', to: 'open' });
  up = true;
  await callFor(5_000);
  const before = back.requests.length;
  await callFor(4_000);
  expect(back.requests.length - before).toBe(10);
  expect([...statuses]).toEqual([200]);
});

test('a host ten times slower gets few calls, and no call waits for anything else', async () => {
  const clock = new FakeClock();
  let answered = 0;
  const after =
    (ms: number): Step =>
    ({ response }) =>
      void clock.timer(ms, () => {
        answered++;
        response.end('ok');
      });
  const fast = await startOrigin(after(10));
  const slow = await startOrigin(after(100));
  const proxy = await startTidy(hosts({ fast, slow }), { clock });
  const replies = [];
  for (let sent = 1; sent <= 400; sent++) {
    replies.push(get(proxy).then((reply) => reply.text()));
    while (fast.requests.length + slow.requests.length < sent) await turn();
    await clock.advance(1);
    await proxy.untilEnded(answered);
  }
  while (answered < 400) {
    await clock.advance(1);
    await proxy.untilEnded(answered);
  }
  await Promise.all(replies);
  expect(slow.requests.length).toBeLessThan(80);
  const slowest = (name: string) =>
    Math.max(...proxy.ended.filter(({ notes }) => notes.target === name).map(({ ms }) => ms));
  expect([slowest('fast'), slowest('slow')]).toEqual([10, 100]);
});

test('a reload that removes a target lets its calls end', async () => {
  let release: (() => void) | undefined;
  const kept = await startOrigin(ok('kept'));
  const removed = await startOrigin(({ response }) => {
    response.write('re');
    release = () => void response.end('moved');
  });
  const proxy = await startTidy(hosts({ removed, kept }));
  const running = await get(proxy);
  proxy.rewrite(hosts({ kept }));
  expect(await proxy.app.reload()).toMatchObject({ ok: true });
  for (let i = 0; i < 4; i++) expect(await (await get(proxy)).text()).toBe('kept');
  release?.();
  expect(await running.text()).toBe('removed');
  expect(removed.requests).toHaveLength(1);
});

test('a reload that adds, removes and changes targets ends no running call, and later calls use the new ones', async () => {
  const running = new Map<string, () => void>();
  const origin = await startOrigin(({ request, response }) => {
    const key = String(request.headers.authorization);
    if (request.url !== '/held') return void response.end(key);
    response.write(key);
    running.set(key, () => void response.end('!'));
  });
  const proxy = await startTidy(keys(origin, ['a', 'b', 'c']));
  const held = await Promise.all(Array.from({ length: 3 }, () => fetch(`${proxy.url}/api/held`)));
  expect([...running.keys()].toSorted()).toEqual(['Bearer a', 'Bearer b', 'Bearer c']);
  // a stays, b is removed, c gets another key, d is new.
  proxy.rewrite(keys(origin, ['a', 'c', 'd']).replace('Bearer c', 'Bearer new'));
  expect(await proxy.app.reload()).toMatchObject({ ok: true });
  const used = async () => {
    const texts = new Set<string>();
    for (let i = 0; i < 6; i++) texts.add(await (await get(proxy)).text());
    return [...texts].toSorted();
  };
  // The call that runs at a still counts there, so the others take the next ones.
  expect(await used()).toEqual(['Bearer d', 'Bearer new']);
  for (const end of running.values()) end();
  const texts = await Promise.all(held.map((reply) => reply.text()));
  expect(texts.toSorted()).toEqual(['Bearer a!', 'Bearer b!', 'Bearer c!']);
  await proxy.untilEnded(9);
  expect(await used()).toEqual(['Bearer a', 'Bearer d', 'Bearer new']);
  const { targets } = JSON.parse(await (await fetch(`${proxy.adminUrl}/api/state`)).text()).upstreams[0];
  expect(targets.map(({ name, in_flight }: Record<string, unknown>) => [name, in_flight])).toEqual([
    ['a', 0],
    ['c', 0],
    ['d', 0],
  ]);
  const attempts = (await (await fetch(`${proxy.adminUrl}/metrics`)).text()).matchAll(
    /^breakwater_attempts_total\{.*target="(.)".*\} (\d+)$/gm,
  );
  const counted = Array.from(attempts, ([, target, count]) => `${target} ${Number(count) > 0}`);
  expect(counted.toSorted()).toEqual(['a true', 'c true', 'd true']);
});

test('the metrics of a breaker name the target that alone has its host, also after a reload', async () => {
  const gone = await startOrigin();
  const well = await startOrigin(ok());
  await gone.close();
  const breaker = '    breaker: { connect_failures: 1, wait: { min: 1h, max: 1h } }\n';
  const proxy = await startTidy(hosts({ gone, well }, breaker), { clock: new FakeClock() });
  for (let i = 0; i < 2; i++) expect((await get(proxy)).status).toBe(200);
  const linesOf = async (metric: string) =>
    (await (await fetch(`${proxy.adminUrl}/metrics`)).text())
      .split('\n')
      .filter((line) => line.startsWith(metric) && line.endsWith(' 1'));
  const scope = `upstream="api",scope="api@127.0.0.1:${gone.port}"`;
  const opened = `breakwater_breaker_transitions_total{${scope},from="closed",to="open",cause="connect_failures",target="gone"} 1`;
  expect(await linesOf('breakwater_breaker_transitions_total')).toEqual([opened]);
  const state = 'breakwater_breaker_state';
  expect(await linesOf(state)).toContain(`${state}{${scope},target="gone",state="open"} 1`);
  proxy.rewrite(hosts({ gone, too: gone, well }, breaker));
  expect(await proxy.app.reload()).toMatchObject({ ok: true });
  expect(await linesOf(state)).toContain(`${state}{${scope},state="open"} 1`);
  const force = (to: string) =>
    fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ force: to }),
    });
  await force('closed');
  expect(await linesOf('breakwater_breaker_transitions_total')).toEqual([
    opened,
    `breakwater_breaker_transitions_total{${scope},from="open",to="closed",cause="forced"} 1`,
  ]);
});

describe('a stored reply', () => {
  const echo: Step = (exchange) =>
    ok(String(exchange.request.headers.authorization), { 'cache-control': 'max-age=60' })(exchange);

  test.each([
    ['cache', '    cache: 1m\n', {}],
    ['dedupe', '    retry: { idempotency_key: pass }\n    dedupe: 1h\n', { 'idempotency-key': 'k' }],
  ])('of a caller goes to no other one, whichever target answers (%s)', async (kind, more, fields) => {
    const [a, b] = [await startOrigin(echo), await startOrigin(echo)];
    const mixed = hosts({ a, b }, more).replace(
      `url: ${b.url}`,
      `url: ${b.url}, headers: { set: { authorization: Bearer own } }`,
    );
    const proxy = await startTidy(mixed);
    for (let i = 0; i < 3; i++)
      for (const caller of ['Bearer alice', 'Bearer bob']) {
        const reply = await fetch(`${proxy.url}/api/x`, {
          method: kind === 'cache' ? 'GET' : 'POST',
          headers: { authorization: caller, ...fields },
        });
        expect([caller, 'Bearer own']).toContain(await reply.text());
      }
    expect(a.requests.length + b.requests.length).toBe(2);
  });

  test('of one key of the upstream serves all callers if every target has its own', async () => {
    const origin = await startOrigin(echo);
    const proxy = await startTidy(keys(origin, ['a', 'b'], '    cache: 1m\n'));
    const texts = new Set<string>();
    for (const caller of ['alice', 'bob', 'carol'])
      texts.add(await (await get(proxy, { authorization: caller })).text());
    expect([...texts]).toEqual(['Bearer a']);
  });
});

test('the key of a target is shown nowhere', async () => {
  const secret = 'sk-live-51HqV2xTargetKey';
  const clock = new FakeClock();
  const origin = await startOrigin((exchange) => {
    const { headers, url } = exchange.request;
    const isRefused = headers.authorization !== undefined || url?.includes('key=') === true;
    return (isRefused ? status(401) : ok())(exchange);
  });
  const env = { KEY: secret };
  const yaml = `
log: { requests: all, level: debug }
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    quota: 100/1m
    targets:
      - { name: a, headers: { set: { authorization: "Bearer \${KEY}" } } }
      - { name: b, auth: { query: { key: "\${KEY}b" } } }
      - { name: c }
`;
  const proxy = await startBreakwater(yaml, { env, clock });
  for (let i = 0; i < 20; i++) {
    expect((await get(proxy)).status).toBe(200);
    await clock.advance(1_000);
  }
  await proxy.untilEnded(20);
  expect(proxy.states.filter(({ type }) => type === 'target_changed').length).toBe(2);
  const texts = [JSON.stringify([proxy.logs, proxy.states, proxy.ended])];
  for (const path of PLACES) {
    const reply = await fetch(`${proxy.adminUrl}${path}`);
    expect([path, reply.status]).toEqual([path, 200]);
    texts.push(await reply.text());
  }
  const explained = await inspect(
    { kind: 'values', parameters: { upstream: undefined, route: undefined } },
    { file: 'config.yaml', env, readFile: () => yaml },
  );
  expect(explained.ok).toBe(true);
  texts.push(JSON.stringify(explained));
  for (const text of texts) expect(text).not.toContain(secret);
});

describe('the Retry-After of targets that are all down is the soonest', () => {
  /** The middle of the random part of a breaker's wait, which is the configured wait. */
  const middle = () => 0.5;

  test('of the breakers', async () => {
    const clock = new FakeClock();
    const [a, b] = [await startOrigin(ok()), await startOrigin(ok())];
    await a.close();
    await b.close();
    const more =
      '    breaker: { connect_failures: 1, wait: { min: 20s, max: 20s } }\n    retry: { attempts: 1 }\n';
    const proxy = await startTidy(hosts({ a, b }, more), { clock, random: middle });
    await get(proxy);
    await clock.advance(5_000);
    await get(proxy);
    const opened = proxy.states.filter(({ type }) => type === 'breaker_changed');
    expect(opened).toHaveLength(2);
    const reply = await get(proxy);
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, '15']);
  });
});
