import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Origin, ok, reset, type Step, startOrigin, status } from '../support/origin.ts';

/** Answers by the key of the request. */
const byKey =
  (answers: Readonly<Record<string, Step>>): Step =>
  (exchange) => {
    const key = String(exchange.request.headers.authorization).replace('Bearer ', '');
    return (answers[key] ?? status(500, {}, `no key ${key}`))(exchange);
  };

const callsOf = ({ requests }: Origin, key: string) =>
  requests.filter(({ headers }) => headers.authorization === `Bearer ${key}`).length;

const key = (name: string, more = '') =>
  `      - { name: ${name}, headers: { set: { authorization: "Bearer ${name}" } }${more} }\n`;

const keys = (url: string, names: readonly string[], more = '') => `
upstreams:
  api:
    url: ${url}
    allow_private: true
${more}    targets:
${names.map((name) => key(name)).join('')}`;

test('a revoked key is not seen by any caller, and gets no calls after two refusals', async () => {
  const origin = await startOrigin(byKey({ a: status(401), b: ok('b') }));
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b']));
  for (let i = 0; i < 10; i++) {
    const reply = await fetch(`${proxy.url}/api/x`);
    expect(reply.status).toBe(200);
    expect(reply.headers.get('breakwater-target')).toBe('b');
    expect(await reply.text()).toBe('b');
  }
  expect(callsOf(origin, 'a')).toBe(2);
});

test('an exhausted key costs no caller anything: the next key takes the call at once', async () => {
  const origin = await startOrigin(
    byKey({ a: status(429, { 'retry-after': '60' }), b: status(402), c: ok('c') }),
  );
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b', 'c']));
  for (let i = 0; i < 10; i++) expect(await (await fetch(`${proxy.url}/api/x`)).text()).toBe('c');
  expect(callsOf(origin, 'b')).toBe(2);
  const [first] = await proxy.untilEnded(10);
  expect(first?.entries.map(({ target, status: got }) => `${target} ${got}`)).toEqual([
    'a 429',
    'b 402',
    'c 200',
  ]);
  expect(first?.entries.map(({ waitMs }) => waitMs)).toEqual([0, 0, 0]);
});

test('a host that is down costs a retry, and gets no calls once its breaker is open', async () => {
  const gone = await startOrigin();
  await gone.close();
  const well = await startOrigin(ok('well'));
  const proxy = await startBreakwater(`
upstreams:
  api:
    allow_private: true
    breaker: { connect_failures: 3 }
    targets:
      - { name: a, url: ${gone.url} }
      - { name: b, url: ${well.url} }
`);
  const together = Array.from({ length: 10 }, () => fetch(`${proxy.url}/api/x`));
  for (const reply of await Promise.all(together)) expect(await reply.text()).toBe('well');
  expect(proxy.states.filter(({ type }) => type === 'breaker_changed')).toMatchObject([
    { scope: `api@127.0.0.1:${gone.port}`, to: 'open' },
  ]);
  const reply = await fetch(`${proxy.url}/api/x`);
  expect(reply.headers.get('breakwater-attempts')).toBe('1');
});

test('if all hosts are down, the call gets one 503 with the soonest Retry-After', async () => {
  const gone = await startOrigin();
  const away = await startOrigin();
  await Promise.all([gone.close(), away.close()]);
  const proxy = await startBreakwater(`
upstreams:
  api:
    allow_private: true
    breaker: { connect_failures: 2, wait: { min: 20s, max: 20s } }
    retry: { attempts: 4, backoff: { base: 1ms, jitter: none } }
    targets:
      - { name: a, url: ${gone.url} }
      - { name: b, url: ${away.url} }
`);
  for (let i = 0; i < 3; i++) await (await fetch(`${proxy.url}/api/x`)).text();
  const reply = await fetch(`${proxy.url}/api/x`);
  expect(reply.status).toBe(503);
  expect(await reply.json()).toMatchObject({ code: 'breaker_open' });
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(10);
});

test('a POST that may have arrived goes to no second target, and one that cannot have arrived does', async () => {
  const reset1 = await startOrigin(reset());
  const well = await startOrigin(ok('well'));
  const proxy = await startBreakwater(`
upstreams:
  api:
    allow_private: true
    targets:
      - { name: a, url: ${reset1.url} }
      - { name: b, url: ${well.url} }
`);
  const post = () => fetch(`${proxy.url}/api/x`, { method: 'POST', body: '{}' });
  expect((await post()).status).toBe(502);
  expect(well.requests).toHaveLength(0);
  await reset1.close();
  for (let i = 0; i < 4; i++) expect((await post()).status).toBe(200);
});

test('three keys with 10/s each carry 30/s, and each carries its share', async () => {
  const clock = new FakeClock();
  const used = new Map<string, number[]>();
  const origin = await startOrigin((exchange) => {
    const name = String(exchange.request.headers.authorization);
    const times = (used.get(name) ?? []).filter((at) => at > clock.now() - 1_000);
    used.set(name, [...times, clock.now()]);
    return times.length >= 11 ? status(429)(exchange) : ok(name)(exchange);
  });
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b', 'c'], '    quota: 10/s\n'), { clock });
  const seen: number[] = [];
  for (let i = 0; i < 150; i++) {
    void fetch(`${proxy.url}/api/x`).then((reply) => seen.push(reply.status));
    await proxy.untilEnded(i + 1);
    await clock.advance(34);
  }
  expect(seen.filter((one) => one !== 200)).toEqual([]);
  for (const name of ['a', 'b', 'c']) expect(callsOf(origin, name)).toBe(50);
});
