import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { DurableClient, durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, type Origin, ok, reset, type Step, startOrigin, status } from '../support/origin.ts';

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

test.each([
  ['a reset', [reset(), status(409), ok('mine')]],
  ['a 503', [status(503), status(503), ok('mine')]],
])('a POST with a key stays at its target after %s: another one may not know the key', async (_, steps) => {
  const failing = await startOrigin(...steps);
  const well = await startOrigin(ok('other'));
  const proxy = await startBreakwater(`
upstreams:
  api:
    allow_private: true
    retry: { attempts: 4, idempotency_key: pass, backoff: { kind: constant, base: 1ms, overloaded_base: 1ms } }
    targets:
      - { name: a, url: ${failing.url}, headers: { set: { authorization: Bearer a } } }
      - { name: b, url: ${well.url}, headers: { set: { authorization: Bearer b } } }
`);
  const post = () =>
    fetch(`${proxy.url}/api/x`, { method: 'POST', body: '{}', headers: { 'idempotency-key': 'k' } });
  expect(await (await post()).text()).toBe('mine');
  expect([failing.requests.length, well.requests.length]).toEqual([3, 0]);
  // Nothing of it arrives at a target that is down.
  await failing.close();
  for (let i = 0; i < 2; i++) expect(await (await post()).text()).toBe('other');
});

test('a POST with a key goes on after a limit, which has processed nothing', async () => {
  const origin = await startOrigin(byKey({ a: status(429, { 'retry-after': '60' }), b: ok('b') }));
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b'], '    retry: { idempotency_key: pass }\n'));
  const headers = { 'idempotency-key': 'k' };
  const reply = await fetch(`${proxy.url}/api/x`, { method: 'POST', body: '{}', headers });
  expect(await reply.text()).toBe('b');
});

test('a POST with a key goes on after a status by which the API reports that it did nothing', async () => {
  const a = await startOrigin(status(503));
  const b = await startOrigin(ok('b'));
  const proxy = await startBreakwater(`
upstreams:
  api:
    allow_private: true
    retry: { idempotency_key: pass, not_processed: [503] }
    targets: [{ name: a, url: "${a.url}" }, { name: b, url: "${b.url}" }]
`);
  const headers = { 'idempotency-key': 'k' };
  const reply = await fetch(`${proxy.url}/api/x`, { method: 'POST', body: '{}', headers });
  expect(await reply.text()).toBe('b');
  expect(a.requests.length).toBe(1);
});

test('a durable POST with a key that may have arrived stays at its target, over all its attempts', async () => {
  const failing = await startOrigin(reset(), status(429), ok('mine'));
  const well = await startOrigin(ok('other'));
  const more = `    targets:
      - { name: a, url: "${failing.url}", headers: { set: { authorization: Bearer a } } }
      - { name: b, url: "${well.url}", headers: { set: { authorization: Bearer b } } }
`;
  const client = new DurableClient(await startBreakwater(durableConfig(failing, { more })));
  const location = await client.accepted({ 'idempotency-key': 'k' }, { method: 'POST' });
  expect(await client.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 3 } });
  expect([failing.requests.length, well.requests.length]).toEqual([3, 0]);
});

test('a durable POST with a key whose attempt is cut by a shutdown stays at its target', async () => {
  const store = join(temporaryFolder(), 'store.db');
  const first = await startOrigin(ok('other'));
  const second = await startOrigin(hang(), ok('mine'));
  const more = `    targets:
      - { name: a, url: "${first.url}" }
      - { name: b, url: "${second.url}" }
`;
  const yaml = durableConfig(first, { store, more });
  const client = await startDurable(yaml);
  // The turn of the first target is over.
  await fetch(`${client.proxy.url}/api/first`);
  const location = await client.accepted({ 'idempotency-key': 'k' }, { method: 'POST' });
  await second.untilRequests(1);
  await client.proxy.app.stop(0);
  const after = await startDurable(yaml);
  expect(await after.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
  expect([first.requests.length, second.requests.length]).toEqual([1, 2]);
});

test('a durable POST with a key that is retried by a person stays at its target', async () => {
  const first = await startOrigin(status(503), ok('mine'));
  const second = await startOrigin(ok('other'));
  const more = `    targets:
      - { name: a, url: "${first.url}" }
      - { name: b, url: "${second.url}" }
`;
  const client = await startDurable(durableConfig(first, { durable: 'attempts: 1', more }));
  const location = await client.accepted({ 'idempotency-key': 'k' }, { method: 'POST' });
  expect(await client.done(location)).toMatchObject({ error: { code: 'exhausted' } });
  await client.call('POST', `${location}/retry`);
  expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
  expect([first.requests.length, second.requests.length]).toEqual([2, 0]);
});

test('a call that has waited goes to the key whose Retry-After has ended, and not to one that asked for longer', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(
    byKey({ a: status(429, { 'retry-after': '40' }), b: status(429, { 'retry-after': '20' }) }),
  );
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b']), { clock });
  const reply = fetch(`${proxy.url}/api/x`);
  await proxy.until(() => callsOf(origin, 'b') === 1);
  await clock.untilAsleep();
  await clock.advance(30_000);
  // By then, the other key can be asked again in 10 s.
  expect((await reply).headers.get('retry-after')).toBe('10');
  expect([callsOf(origin, 'a'), callsOf(origin, 'b')]).toEqual([1, 2]);
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

const REVOKED = `    errors:
      inspect: all
      rules:
        - { name: key_revoked, status: [200, 403], body: { /error/code: [key_revoked, no_credit] }, means: credential_refused }
`;
const refusedBy = (code: number, reason: string) =>
  status(code, { 'content-type': 'application/json' }, JSON.stringify({ error: { code: reason } }));

test.each([
  ['403', 403, 'key_revoked'],
  ['error in a 200', 200, 'no_credit'],
])('a key that an error rule calls refused is like one with 401: %s', async (_, code, reason) => {
  const origin = await startOrigin(byKey({ a: refusedBy(code, reason), b: ok('b') }));
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b'], REVOKED));
  // Nothing was processed, so a POST goes on, too.
  for (let i = 0; i < 6; i++) {
    const reply = await fetch(`${proxy.url}/api/x`, { method: 'POST', body: '{}' });
    expect([reply.status, await reply.text()]).toEqual([200, 'b']);
  }
  expect(callsOf(origin, 'a')).toBe(2);
  const [first] = await proxy.untilEnded(6);
  expect(first?.entries.map(({ target, status: got, detail }) => [target, got, detail])).toEqual([
    ['a', code, 'key_revoked'],
    ['b', 200, undefined],
  ]);
  expect(proxy.states.filter(({ type }) => type === 'target_changed')).toMatchObject([
    { target: 'a', to: 'out', cause: `status_${code}` },
  ]);
});

test('a 403 of another kind, and one that every key gets, is passed on, and no key is taken out', async () => {
  const origin = await startOrigin(
    byKey({ a: refusedBy(403, 'not_yours'), b: refusedBy(403, 'not_yours') }),
    byKey({ a: refusedBy(403, 'not_yours'), b: refusedBy(403, 'not_yours') }),
    byKey({ a: refusedBy(403, 'key_revoked'), b: refusedBy(403, 'key_revoked') }),
  );
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b'], REVOKED));
  for (let i = 0; i < 5; i++) expect((await fetch(`${proxy.url}/api/x`)).status).toBe(403);
  expect(origin.requests).toHaveLength(2 + 3 * 2);
  expect(proxy.states.filter(({ type }) => type === 'target_changed')).toEqual([]);
});

test('a 401 that every key gives is about the call: it is passed on, and no key is taken out', async () => {
  const origin = await startOrigin(
    byKey({ a: status(401, {}, 'no'), b: status(401, {}, 'no'), c: status(401, {}, 'no') }),
  );
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b', 'c']));
  for (let i = 0; i < 4; i++) {
    const reply = await fetch(`${proxy.url}/api/x`);
    expect([reply.status, await reply.text()]).toEqual([401, 'no']);
  }
  expect(origin.requests).toHaveLength(12);
  expect(proxy.states.filter(({ type }) => type === 'target_changed')).toEqual([]);
});

test('a refused key is probed later, and gets calls again once it is accepted', async () => {
  const clock = new FakeClock();
  let valid = false;
  const origin = await startOrigin(
    byKey({ a: (exchange) => (valid ? ok('a') : status(402))(exchange), b: ok('b') }),
  );
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b']), { clock });
  const call = async () => (await fetch(`${proxy.url}/api/x`)).text();
  for (let i = 0; i < 6; i++) {
    await call();
    await clock.advance(10);
  }
  expect(proxy.states).toContainEqual(
    expect.objectContaining({ type: 'target_changed', target: 'a', to: 'out', cause: 'status_402' }),
  );
  const state = JSON.parse(await (await fetch(`${proxy.adminUrl}/api/state`)).text());
  expect(state.upstreams[0].targets[0]).toMatchObject({ name: 'a', state: 'refused', status: 402 });
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_target_in_service{upstream="api",target="a"} 0');
  expect(metrics).toContain(
    'breakwater_attempts_total{upstream="api",route="default",target="a",result="4xx"} 2',
  );
  valid = true;
  await clock.advance(5_000);
  const after = new Set([await call(), await call(), await call()]);
  expect([...after].toSorted()).toEqual(['a', 'b']);
  expect(proxy.logs.map(({ message }) => message)).toContain(
    'target a of api gets calls again: its credential was accepted',
  );
});

test('sticky: a session stays at its target, and its errors are passed on', async () => {
  const origin = await startOrigin(byKey({ a: ok('a'), b: ok('b'), c: ok('c') }));
  const proxy = await startBreakwater(keys(origin.url, ['a', 'b', 'c'], '    sticky: header:x-session\n'));
  const call = async (session: string) =>
    (await fetch(`${proxy.url}/api/x`, { headers: { 'x-session': session } })).text();
  const used = new Set<string>();
  for (let i = 0; i < 30; i++) {
    const first = await call(`s${i}`);
    expect(await call(`s${i}`)).toBe(first);
    used.add(first);
  }
  expect([...used].toSorted()).toEqual(['a', 'b', 'c']);
});

test('a target has a path, headers and body values of its own', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(`
upstreams:
  llm:
    url: ${origin.url}/v1
    allow_private: true
    headers: { set: { x-team: all } }
    targets:
      - name: eu
        url: ${origin.url}/openai
        headers: { set: { api-key: "k", x-team: eu }, remove: [authorization] }
        body: { set: { /model: gpt-eu, /options/region: eu } }
`);
  const send = (body: string) =>
    fetch(`${proxy.url}/llm/chat?a=1`, {
      method: 'POST',
      headers: { authorization: 'Bearer app', 'content-type': 'application/json' },
      body,
    });
  await send('{"model":"gpt","n":1}');
  await send('not json');
  const [first, second] = origin.requests;
  expect(first).toMatchObject({ url: '/openai/chat?a=1', headers: { 'api-key': 'k', 'x-team': 'eu' } });
  expect(first?.headers.authorization).toBeUndefined();
  expect(JSON.parse(String(first?.body))).toEqual({ model: 'gpt-eu', n: 1, options: { region: 'eu' } });
  expect(String(second?.body)).toBe('not json');
});

test('what is wrong with targets is said with its place and a fix', async () => {
  const wrong = (targets: string, more = '') =>
    startBreakwater(`upstreams:\n  api:\n${more}    targets: ${targets}\n`);
  await expect(wrong('[{ url: https://a.example }]')).rejects.toThrow(
    'is missing; write for example name: team-a',
  );
  await expect(
    wrong('[{ name: a, url: https://a.example }, { name: a, url: https://b.example }]'),
  ).rejects.toThrow('a is the name of another target; write another one');
  await expect(wrong('[{ name: a, url: https://a.example }, { name: b }]')).rejects.toThrow(
    'is missing; write it here, or once for the upstream',
  );
  await expect(
    wrong('[{ name: a, body: { set: { model: x } } }]', '    url: https://a.example\n'),
  ).rejects.toThrow('is not a JSON pointer to one value; write for example /model');
  await expect(
    wrong(
      '[{ name: a, allow_private: true }, { name: b, allow_private: false }]',
      '    url: https://a.example\n',
    ),
  ).rejects.toThrow('is false, and target a has true for the same host; write the same for both');
  await expect(wrong('[{ name: a }]', '    url: https://{shop}.shops.example\n')).rejects.toThrow(
    'cannot be combined with a placeholder in url, because a key of one tenant is none of another; fill the placeholder by vars',
  );
  await expect(wrong('[]', '    url: https://a.example\n')).rejects.toThrow('has no target; write one');
});

test('an upstream whose targets add a key is not open to web pages', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(keys(origin.url, ['a']));
  const reply = await fetch(`${proxy.url}/api/x`, { headers: { 'sec-fetch-site': 'cross-site' } });
  expect(reply.status).toBe(403);
  expect(origin.requests).toEqual([]);
});

test('a durable request goes on at another key, too', async () => {
  const origin = await startOrigin(byKey({ a: status(401), b: ok('b') }));
  const more = `    targets:\n${key('a')}${key('b')}`;
  const proxy = await startBreakwater(durableConfig(origin, { more }));
  const client = new DurableClient(proxy);
  const done = await client.done(await client.accepted());
  expect(done).toMatchObject({ status: 'succeeded', response: { status: 200 } });
  expect([callsOf(origin, 'a'), callsOf(origin, 'b')]).toEqual([1, 1]);
});

test('a stream that begins with silence or an error goes on at another target', async () => {
  const clock = new FakeClock();
  const silent = await startOrigin(({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
  });
  const failing = await startOrigin(
    ok('event: error\ndata: {}\n\n', { 'content-type': 'text/event-stream' }),
  );
  const well = await startOrigin(
    ok('data: hello\n\nevent: end\ndata: x\n\n', { 'content-type': 'text/event-stream' }),
  );
  const proxy = await startBreakwater(
    `
upstreams:
  api:
    allow_private: true
    stream: { first_event: 5s, error: [{ event: error, status: 503 }], done: [{ event: end }] }
    targets:
      - { name: silent, url: ${silent.url} }
      - { name: failing, url: ${failing.url} }
      - { name: well, url: ${well.url} }
`,
    { clock },
  );
  const reply = fetch(`${proxy.url}/api/x`);
  await clock.untilWaiting('stream-body.ts', 5_000);
  await clock.advance(5_000);
  expect(await (await reply).text()).toContain('hello');
  const [record] = await proxy.untilEnded(1);
  expect(record?.entries.map(({ target, error, status: got }) => [target, error ?? got])).toEqual([
    ['silent', 'first_event_timeout'],
    ['failing', 503],
    ['well', 200],
  ]);
});
