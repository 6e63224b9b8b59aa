import { describe, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { DOWNLOAD, part } from '../support/cut-origin.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, type Step, startOrigin, status } from '../support/origin.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { hosts, keys } from '../support/target-configs.ts';
import { startTidy } from '../support/tidy.ts';

/* Which target gets the second attempt of a call, and the rest of its body. */

const byKey =
  (answers: Readonly<Record<string, Step>>): Step =>
  (exchange) =>
    (answers[String(exchange.request.headers.authorization).replace('Bearer ', '')] as Step)(exchange);

describe('a hedge', () => {
  /** A tenth of the attempts may be hedged, so ten of them come first. */
  const HEDGE = '    hedge: { after: 300ms, max_extra: 10% }\n    retry: { idempotency_key: pass }\n';

  /** Each target has answered six calls. From now on, the first one answers its next call never, and later ones at once. */
  async function startSlow(ofSecond = '', init: RequestInit = {}) {
    const clock = new FakeClock();
    const first = await startOrigin(...Array.from({ length: 6 }, () => ok('warm')), hang(), ok('quick'));
    const second = await startOrigin(ok('quick'));
    const config = hosts({ first, second }, HEDGE).replace(second.url, `${second.url}${ofSecond}`);
    const proxy = await startTidy(config, { clock });
    const call = () => fetch(`${proxy.url}/api/x`, init);
    for (let i = 0; i < 12; i++) await (await call()).text();
    return { clock, first, second, proxy, call };
  }

  test('goes to the other target', async () => {
    const { clock, first, proxy, call } = await startSlow();
    const sent = call();
    await first.untilRequests(7);
    await clock.advance(300);
    expect(await (await sent).text()).toBe('quick');
    const record = (await proxy.untilEnded(13))[12];
    expect(record?.entries.map(({ target }) => target)).toEqual(['first', 'second']);
    expect(record?.notes).toMatchObject({ hedge: 'won', target: 'second' });
  });

  test('goes to the same target if no other one can take it now', async () => {
    const { clock, first, proxy, call } = await startSlow(', quota: { windows: 6/1h, wait: 2h }');
    const sent = call();
    await first.untilRequests(7);
    await clock.advance(300);
    expect(await (await sent).text()).toBe('quick');
    const record = (await proxy.untilEnded(13))[12];
    expect(record?.entries.map(({ target }) => target)).toEqual(['first', 'first']);
  });

  test('of a POST with a key goes to the same target: another one may not know the key', async () => {
    const post = { method: 'POST', body: '{}', headers: { 'idempotency-key': 'k' } };
    const { clock, first, proxy, call } = await startSlow('', post);
    const sent = call();
    await first.untilRequests(7);
    await clock.advance(300);
    expect(await (await sent).text()).toBe('quick');
    const record = (await proxy.untilEnded(13))[12];
    expect(record?.entries.map(({ target }) => target)).toEqual(['first', 'first']);
    expect(record?.notes).toMatchObject({ hedge: 'won' });
  });
});

test('a quota in shadow mode keeps no attempt from a target', async () => {
  const origin = await startOrigin(byKey({ a: ok('a'), b: ok('b') }));
  const yaml = keys(origin, ['a', 'b'], '    quota: { mode: shadow, windows: 2/1h }\n');
  const proxy = await startTidy(yaml.replace('name: b,', 'name: b, tier: 2,'), { clock: new FakeClock() });
  const texts = [];
  for (let i = 0; i < 4; i++) texts.push(await (await fetch(`${proxy.url}/api/x`)).text());
  expect(texts).toEqual(['a', 'a', 'a', 'a']);
  expect(proxy.ended.map(({ notes }) => notes.shadow_rejected)).toEqual([
    undefined,
    undefined,
    'quota',
    'quota',
  ]);
});

test('the rest of a download comes from the target that sent its beginning', async () => {
  const first = await startRawOrigin(part({ cut: 100_000 }), part());
  const second = await startRawOrigin(part());
  const proxy = await startTidy(
    hosts(
      { first, second },
      '    resume: true\n    retry: { backoff: { kind: constant, base: 0ms, jitter: none } }\n',
    ),
  );
  const reply = await fetch(`${proxy.url}/api/file`);
  expect(Buffer.from(await reply.arrayBuffer()).equals(DOWNLOAD)).toBe(true);
  expect([first.requests.length, second.requests.length]).toEqual([2, 0]);
  const [record] = await proxy.untilEnded(1);
  expect(record?.notes).toMatchObject({ resumed: 1, target: 'first' });
});

test('two hosts that differ only in their scheme have breakers of their own', async () => {
  const proxy = await startBreakwater(`
upstreams:
  api:
    targets:
      - { name: plain, url: "http://api.example" }
      - { name: secure, url: "https://api.example" }
`);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  const breakers = /^breakwater_breaker_state\{.*scope="(api@.*?)",.*"closed"\} 1$/gm;
  expect(Array.from(metrics.matchAll(breakers), ([, scope]) => scope)).toEqual([
    'api@api.example',
    'api@https://api.example',
  ]);
});

describe('if every target has sent 429, the call goes by the soonest Retry-After', () => {
  const waits = (a: string, b: string) =>
    byKey({ a: status(429, { 'retry-after': a }), b: status(429, { 'retry-after': b }) });

  test.each([
    ['20', '400'],
    ['400', '20'],
  ])('%s s and %s s: it is repeated after 20 s', async (a, b) => {
    const clock = new FakeClock();
    const origin = await startOrigin(waits(a, b), waits(a, b), ok('done'));
    const proxy = await startTidy(keys(origin, ['a', 'b']), { clock });
    const sent = fetch(`${proxy.url}/api/x`);
    await origin.untilRequests(2);
    await clock.untilAsleep();
    await clock.advance(25_000);
    expect(await (await sent).text()).toBe('done');
    const expected = a === '20' ? 'a' : 'b';
    expect(origin.requests[2]?.headers.authorization).toBe(`Bearer ${expected}`);
  });

  test.each([
    ['100', '400'],
    ['400', '100'],
  ])('%s s and %s s: its client gets the Retry-After of 100 s', async (a, b) => {
    const origin = await startOrigin(waits(a, b));
    const proxy = await startTidy(keys(origin, ['a', 'b']), { clock: new FakeClock() });
    const reply = await fetch(`${proxy.url}/api/x`);
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([429, '100']);
    expect(origin.requests.length).toBe(2);
  });

  test('a target that can take calls is not hidden by the Retry-After of another one', async () => {
    const clock = new FakeClock();
    const a = await startOrigin(status(503), ok('back'));
    const b = await startOrigin(status(429, { 'retry-after': '400' }));
    const proxy = await startTidy(hosts({ a, b }), { clock });
    const sent = fetch(`${proxy.url}/api/x`);
    await b.untilRequests(1);
    await clock.untilAsleep();
    await clock.advance(5_000);
    expect(await (await sent).text()).toBe('back');
    expect([a.requests.length, b.requests.length]).toEqual([2, 1]);
  });
});

test.each([
  ['1/100s', '1/400s'],
  ['1/400s', '1/100s'],
])(
  'if the quotas of all targets are used up, %s and %s, a call gets one 429 with the soonest',
  async (a, b) => {
    const origin = await startOrigin(ok());
    const yaml = keys(origin, ['a', 'b']);
    const limited = [a, b].reduce((text, windows, i) => {
      const name = `name: ${'ab'[i]},`;
      return text.replace(name, `${name} quota: { windows: ${windows}, wait: 10s },`);
    }, yaml);
    const proxy = await startTidy(limited, { clock: new FakeClock() });
    const seen = [];
    for (let i = 0; i < 3; i++) {
      const reply = await fetch(`${proxy.url}/api/x`);
      seen.push([reply.status, reply.headers.get('retry-after')]);
    }
    expect(seen).toEqual([
      [200, null],
      [200, null],
      [429, '100'],
    ]);
    expect(origin.requests.length).toBe(2);
  },
);
