import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PeekedBody } from '../../src/policies/error-rules/peeked-body.ts';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, reset, type Step, startOrigin, status } from '../support/origin.ts';
import { passTime } from '../support/quota-origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer, breakAfter, stallAfter } from '../support/raw-steps.ts';
import { settled } from '../support/stub-call.ts';
import { startTidy, untilState } from '../support/tidy.ts';

const RULES = `
    errors:
      rules:
        - { name: no_money, status: 429, body: { /error/code: insufficient_* }, means: permanent, throttled: true }
        - { name: too_fast, status: 429, body: { /error/code: slow_down }, means: not_processed, wait: /retry_in }
        - { name: shed, status: 503, headers: { x-kind: shed }, means: not_processed }
        - { name: running, status: 409, text: in use, means: in_progress }
`;
const NO_MONEY = JSON.stringify({ error: { code: 'insufficient_quota', message: 'pay ü' } });
const TOO_FAST = JSON.stringify({ error: { code: 'slow_down' }, retry_in: 3 });
const json = { 'content-type': 'application/json' };

async function start(steps: readonly Step[], more = RULES, clock?: FakeClock) {
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more), clock === undefined ? {} : { clock });
  return { origin, proxy };
}

test('a permanent error is not retried, passes unchanged, and is counted and logged', async () => {
  const { origin, proxy } = await start([status(429, json, NO_MONEY), ok()]);
  const reply = await fetch(`${proxy.url}/api/x`);
  expect([reply.status, reply.headers.get('breakwater-gave-up'), await reply.text()]).toEqual([
    429,
    'permanent',
    NO_MONEY,
  ]);
  expect(origin.requests).toHaveLength(1);
  const [record] = await proxy.untilEnded(1);
  expect(record?.entries[0]).toMatchObject({ status: 429, detail: 'no_money' });
  const metrics = await (
    await fetch(`${proxy.adminUrl}/metrics`, { headers: { connection: 'close' } })
  ).text();
  expect(metrics).toContain(
    'breakwater_error_rule_matches_total{upstream="api",route="default",means="permanent"} 1',
  );
  expect(metrics).toContain(
    'breakwater_retries_denied_total{upstream="api",route="default",reason="permanent"} 1',
  );
  expect(proxy.logs.map(({ message }) => message)).toContainEqual(expect.stringContaining('429 (no_money)'));
});

test('a compressed body is classified by a copy; its bytes are unchanged', async () => {
  const packed = gzipSync(NO_MONEY);
  const { origin, proxy } = await start([status(429, { ...json, 'content-encoding': 'gzip' }, packed), ok()]);
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n');
  const reply = await client.readReply();
  expect([reply.status, reply.body.equals(packed), origin.requests.length]).toEqual([429, true, 1]);
});

test('nothing was processed: even a POST without a key is sent again, after the wait that the body asks for', async () => {
  const clock = new FakeClock();
  const { origin, proxy } = await start([status(429, json, TOO_FAST), ok('done')], RULES, clock);
  const reply = fetch(`${proxy.url}/api/x`, { method: 'POST', body: 'x' });
  await origin.untilRequests(1);
  await clock.untilAsleep();
  await clock.advance(2_999);
  expect(origin.requests).toHaveLength(1);
  await clock.advance(2_000);
  expect(await (await reply).text()).toBe('done');
  expect(origin.requests).toHaveLength(2);
});

test('a rule on the head alone holds nothing back', async () => {
  const { origin, proxy } = await start([status(503, { 'x-kind': 'shed' }), ok('done')]);
  const reply = await fetch(`${proxy.url}/api/x`, { method: 'POST', body: 'x' });
  expect([await reply.text(), origin.requests.length]).toEqual(['done', 2]);
});

test('a call that is in progress under its key is asked for again; one without a key is not', async () => {
  const inUse = status(409, {}, 'this key is IN USE');
  const keyed = `    retry: { idempotency_key: pass }${RULES}`;
  const { origin, proxy } = await start([inUse, ok('done'), inUse], keyed);
  const post = (headers: Record<string, string>) =>
    fetch(`${proxy.url}/api/x`, { method: 'POST', body: 'x', headers });
  expect(await (await post({ 'idempotency-key': 'k' })).text()).toBe('done');
  expect(origin.requests).toHaveLength(2);
  expect((await post({})).status).toBe(409);
  expect(origin.requests).toHaveLength(3);
});

test('a body beyond 64 KiB is not classified and passes whole', async () => {
  const large = Buffer.from(`{"error":{"code":"insufficient_quota"},"pad":"${'x'.repeat(300_000)}"}`);
  const { origin, proxy } = await start([status(429, json, large)]);
  const reply = await fetch(`${proxy.url}/api/x`, { method: 'POST', body: 'x' });
  expect(Buffer.from(await reply.arrayBuffer()).equals(large)).toBe(true);
  expect(reply.headers.get('breakwater-gave-up')).toBe('not_idempotent');
  expect(origin.requests).toHaveLength(1);
});

test('a body that does not come is waited for a second, then its head decides and the rest follows', async () => {
  const untilHeld = watchHeld();
  const clock = new FakeClock();
  const head = 'HTTP/1.1 429 No\r\ncontent-length: 10\r\n\r\nfirst';
  const origin = await startRawOrigin(stallAfter(head));
  const proxy = await startTidy(apiConfig(origin, RULES), { clock });
  const client = await connectRaw(proxy.port);
  await client.send('POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx');
  await untilHeld();
  expect(client.received.length).toBe(0);
  await clock.advance(1_000);
  await client.untilText('first');
  expect((await client.untilHead()).startLine).toContain('429');
  client.abort();
  await proxy.untilEnded(1);
});

test('a body that breaks off while it is looked into breaks the client’s connection', async () => {
  const origin = await startRawOrigin(
    breakAfter('HTTP/1.1 429 No\r\ncontent-length: 10\r\n\r\nfirst', 'fin'),
  );
  const proxy = await startTidy(apiConfig(origin, `    retry: off${RULES}`));
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n');
  await client.untilClosed();
  await expect(client.readReply()).rejects.toThrow('no whole reply');
  expect((await proxy.untilEnded(1))[0]?.error).toBe('response_incomplete');
});

test('a client that leaves while a body is buffered ends the attempt', async () => {
  const untilHeld = watchHeld();
  const clock = new FakeClock();
  const origin = await startRawOrigin(stallAfter('HTTP/1.1 429 No\r\ncontent-length: 10\r\n\r\nfirst'));
  const proxy = await startTidy(apiConfig(origin, RULES), { clock });
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n');
  await untilHeld();
  client.abort();
  expect((await proxy.untilEnded(1))[0]?.outcome).toBe('client_gone');
  await origin.until(({ openConnections }) => openConnections === 0);
});

test('a success with an error in its body is classified if the route says so, and otherwise streams', async () => {
  const rules = (inspect: string) => `
    errors:
      inspect: ${inspect}
      rules: [{ name: throttled, status: 200, body: { /errors/*/extensions/code: THROTTLED }, means: not_processed, throttled: true }]
`;
  const throttled = status(200, json, '{"errors":[{"extensions":{"code":"THROTTLED"}}]}');
  const all = await start([throttled, ok('{}', json)], rules('all'));
  expect(await (await fetch(`${all.proxy.url}/api/x`, { method: 'POST', body: 'x' })).text()).toBe('{}');
  const errors = await start([throttled, ok('{}', json)], rules('errors'));
  expect(await (await fetch(`${errors.proxy.url}/api/x`)).text()).toContain('THROTTLED');
  expect(errors.origin.requests).toHaveLength(1);
});

test('without memory for a body the reply passes unclassified', async () => {
  const origin = await startOrigin(status(429, json, NO_MONEY));
  const proxy = await startTidy(
    `body_memory: 1B\n${apiConfig(origin, `    retry: { attempts: 2 }${RULES}`)}`,
  );
  const reply = await fetch(`${proxy.url}/api/x`);
  expect([await reply.text(), reply.headers.get('breakwater-gave-up')]).toEqual([NO_MONEY, 'attempts']);
});

test('a rate limit behind a 403 holds all calls of the credential; a limit of one endpoint holds only its own', async () => {
  const limited = (throttled: boolean) => `
    errors:
      rules: [{ name: limit, status: 403, means: not_processed, throttled: ${throttled}, wait: 5s }]
`;
  const clock = new FakeClock();
  const all = await start([status(403), ok('done')], limited(true), clock);
  const both = [fetch(`${all.proxy.url}/api/x`)];
  await all.origin.untilRequests(1);
  await clock.untilAsleep();
  both.push(fetch(`${all.proxy.url}/api/y`));
  await untilState(all.proxy, ({ upstreams }) => upstreams[0]?.in_flight === 2);
  await clock.advance(4_900);
  expect(all.origin.requests).toHaveLength(1);
  await passTime(clock, () => all.origin.requests.length === 3);
  expect(await Promise.all(both.map(async (reply) => (await reply).text()))).toEqual(['done', 'done']);

  const one = await start([status(403), ok('done')], limited(false), clock);
  const first = fetch(`${one.proxy.url}/api/x`);
  await one.origin.untilRequests(1);
  expect(await (await fetch(`${one.proxy.url}/api/y`)).text()).toBe('done');
  await passTime(clock, () => one.origin.requests.length === 3);
  expect(await (await first).text()).toBe('done');
});

test('a POST on a safe route is repeated like a GET, after a reset and after a 500', async () => {
  const more = '    retry: { attempts: 3 }\n    routes: [{ match: { path: /ask }, retry: { safe: true } }]\n';
  const { origin, proxy } = await start([reset(), status(500), ok('done'), status(500)], more);
  const post = (path: string) => fetch(`${proxy.url}/api${path}`, { method: 'POST', body: 'x' });
  expect(await (await post('/ask')).text()).toBe('done');
  expect((await post('/do')).status).toBe(500);
  expect(origin.requests).toHaveLength(4);
});

test('a preset end to end: GitHub’s secondary limit behind a 403 is waited out for a minute', async () => {
  const clock = new FakeClock();
  const said = JSON.stringify({ message: 'You have exceeded a secondary rate limit.' });
  const { origin, proxy } = await start([status(403, json, said), ok('done')], '    preset: github\n', clock);
  const reply = fetch(`${proxy.url}/api/repos/o/r/issues`, { method: 'POST', body: '{}' });
  await origin.untilRequests(1);
  await clock.untilAsleep();
  await clock.advance(59_900);
  expect(origin.requests).toHaveLength(1);
  await passTime(clock, () => origin.requests.length === 2);
  expect(await (await reply).text()).toBe('done');
});

test('the attempt’s own timeout ends a look into a body, and the attempt', async () => {
  const untilHeld = watchHeld();
  const clock = new FakeClock();
  const origin = await startRawOrigin(stallAfter('HTTP/1.1 404 No\r\ncontent-length: 10\r\n\r\nfirst'));
  const rules = `    timeouts: { attempt: 500ms }
    retry: { attempts: 2 }
    errors: { rules: [{ status: 404, text: gone, means: permanent }] }
`;
  const proxy = await startTidy(apiConfig(origin, rules), { clock });
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n');
  await untilHeld();
  await clock.advance(500);
  await origin.until(({ requests }) => requests.length === 2);
  client.abort();
  const [record] = await proxy.untilEnded(1);
  expect(record?.entries.map(({ reason }) => reason)).toEqual([undefined, 'attempt_timeout']);
});

test('trailers follow a buffered body, and a decompression bomb passes unclassified', async () => {
  const chunked = 'HTTP/1.1 429 No\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n';
  const origin = await startRawOrigin(answer(chunked));
  const proxy = await startTidy(apiConfig(origin, `    retry: off${RULES}`));
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  expect(client.received.toString('latin1')).toMatch(/hello\r\n0\r\nx-sum: 7\r\n\r\n$/);

  const bomb = gzipSync(`{"error":{"code":"insufficient_quota"},"pad":"${'x'.repeat(1_000_000)}"}`);
  const other = await start(
    [status(429, { ...json, 'content-encoding': 'gzip' }, bomb)],
    `    retry: off${RULES}`,
  );
  const reply = await fetch(`${other.proxy.url}/api/x`, { headers: { 'accept-encoding': 'gzip' } });
  expect(reply.headers.get('breakwater-gave-up')).toBe('attempts');
});

test('a limit of one endpoint with a Retry-After holds no call to another', async () => {
  const clock = new FakeClock();
  const rules = `
    errors: { rules: [{ status: 429, headers: { x-scope: endpoint }, means: retry }] }
`;
  const limited = status(429, { 'x-scope': 'endpoint', 'retry-after': '5' });
  const { origin, proxy } = await start([limited, ok('done')], rules, clock);
  const first = fetch(`${proxy.url}/api/x`);
  await origin.untilRequests(1);
  await clock.untilAsleep();
  expect(await (await fetch(`${proxy.url}/api/y`)).text()).toBe('done');
  await passTime(clock, () => origin.requests.length === 3);
  expect(await (await first).text()).toBe('done');
});

/** Resolves once bytes of a body are held. */
function watchHeld(): () => Promise<void> {
  const write = vi.spyOn(PeekedBody.prototype, 'write');
  onTestFinished(() => write.mockRestore());
  return async () => {
    while (write.mock.calls.length === 0) await settled();
  };
}
