import { request } from 'undici';
import { describe, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { stubDns } from '../support/dns.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';

const config = (url: string, more = '') => `
drain_timeout: 10s
${more}
upstreams:
  api: { url: "${url}", allow_private: true }
`;

test('draining finishes running calls, turns readiness false, and closes connections', async () => {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const origin = await startOrigin(async ({ response }) => {
    await released;
    response.end('done');
  });
  const clock = new FakeClock();
  const proxy = await startBreakwater(config(origin.url), { clock });
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
  await origin.untilRequests(1);
  const stopped = proxy.app.stop();
  expect((await fetch(`${proxy.adminUrl}/readyz`)).status).toBe(503);
  release();
  const reply = await client.readReply();
  expect(reply.body.toString()).toBe('done');
  expect(reply.rawHeaders.join(' ').toLowerCase()).toContain('connection close');
  await clock.advance(1_000);
  await stopped;
  await client.untilClosed();
  await expect(connectRaw(proxy.port)).rejects.toThrow('ECONNREFUSED');
});

test('draining ends a call in backoff with its last reply', async () => {
  const origin = await startOrigin(status(503, { 'x-from': 'upstream' }, 'try later'));
  const clock = new FakeClock();
  const proxy = await startBreakwater(config(origin.url), { clock });
  const pending = request(`${proxy.url}/api/`);
  await clock.untilAsleep();
  const stopped = proxy.app.stop();
  const reply = await pending;
  expect(reply.statusCode).toBe(503);
  expect(reply.headers).toMatchObject({ 'x-from': 'upstream', 'breakwater-gave-up': 'draining' });
  expect(await reply.body.text()).toBe('try later');
  await clock.advance(1_000);
  await stopped;
  expect(origin.requests.length).toBe(1);
});

test('calls that run after drain_timeout get a 503, and their attempts are aborted', async () => {
  const origin = await startOrigin(hang());
  const clock = new FakeClock();
  const proxy = await startBreakwater(config(origin.url), { clock });
  const pending = request(`${proxy.url}/api/`, { method: 'POST', body: 'x' });
  await origin.untilRequests(1);
  const stopped = proxy.app.stop();
  await clock.advance(10_000);
  const reply = await pending;
  expect(reply.statusCode).toBe(503);
  await reply.body.dump();
  await clock.advance(1_000);
  await stopped;
  await origin.until(({ openConnections }) => openConnections === 0);
});

test('during drain_delay, connections and calls are accepted and retries continue; then drain_timeout begins', async () => {
  const origin = await startOrigin(ok('one'), status(503), ok('two'), hang());
  const clock = new FakeClock();
  const proxy = await startBreakwater(config(origin.url, 'drain_delay: 1m'), { clock });
  const stopped = proxy.app.leave();
  const ready = await fetch(`${proxy.adminUrl}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([503, 'leaving\n']);
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
  const reply = await client.readReply();
  expect(reply.body.toString()).toBe('one');
  expect(reply.rawHeaders.join(' ').toLowerCase()).toContain('connection close');

  const retried = fetch(`${proxy.url}/api/`);
  // One sleeps for drain_delay already.
  while (clock.sleeping < 2) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(30_000);
  expect(await (await retried).text()).toBe('two');

  const last = request(`${proxy.url}/api/`);
  await origin.untilRequests(4);
  await clock.advance(30_000);
  expect(await (await fetch(`${proxy.adminUrl}/readyz`)).text()).toBe('draining\n');
  await clock.advance(10_000);
  const cut = await last;
  expect(cut.statusCode).toBe(503);
  await cut.body.dump();
  await clock.advance(1_000);
  await stopped;
});

describe('draining ends the waits of calls that a reload has left with earlier state', () => {
  const GONE = () => 'other: { url: "http://127.0.0.1:1", allow_private: true }';
  const api = (more: string) => (port: string) =>
    `api: { url: "http://127.0.0.1:${port}", allow_private: true, timeouts: { total: 9h }, ${more} }`;
  const shop = (more: string) => (port: string) =>
    `api: { url: "http://{shop}.shops.example:${port}", mount: { path: "/api/{shop}" }, allow_private: true, ${more} }`;
  const QUOTA = 'quota: { windows: 1/h, wait: 5h }';

  /** The clock, and how the call ends that waits when the reload and the drain begin. */
  async function drained(
    before: (port: string) => string,
    after: (port: string) => string,
    {
      answers,
      isWaiting,
    }: { answers: ReturnType<typeof ok>[]; isWaiting: (clock: FakeClock) => Promise<void> },
  ) {
    stubDns(['127.0.0.1']);
    const origin = await startOrigin(...answers);
    const { port } = new URL(origin.url);
    const clock = new FakeClock();
    const proxy = await startBreakwater(`upstreams:\n  ${before(port)}\n`, { clock });
    for (let i = 1; i < answers.length; i++) expect((await fetch(`${proxy.url}/api/one`)).status).toBe(200);
    const waiting = request(`${proxy.url}/api/one`);
    await isWaiting(clock);
    proxy.rewrite(`upstreams:\n  ${after(port)}\n`);
    expect(await proxy.app.reload()).toMatchObject({ ok: true });
    const stopped = proxy.app.stop();
    const { body, headers, statusCode } = await waiting;
    const text = await body.text();
    const endedAt = clock.now();
    await clock.advance(1_000);
    await stopped;
    return { endedAt, statusCode, gaveUp: headers['breakwater-gave-up'], text };
  }

  test.each([
    ['a quota that learns in another way', api(QUOTA), api(QUOTA.replace('wait', 'learn: false, wait'))],
    ['a quota that is off', api(QUOTA), api('quota: off')],
    ['the quota of an upstream that is gone', api(QUOTA), GONE],
    ['the quota of a tenant', shop(`timeouts: { total: 9h }, ${QUOTA}`), shop('retry: off')],
  ])('in %s', async (_what, before, after) => {
    const ended = await drained(before, after, {
      answers: [ok(), ok()],
      isWaiting: (clock) => clock.untilWaiting('quota-queue.ts', 5 * 3_600_000),
    });
    expect(ended).toMatchObject({ endedAt: 0, statusCode: 503 });
    expect(JSON.parse(ended.text)).toMatchObject({ code: 'draining' });
  });

  test.each([
    ['with another breaker', api(''), api('breaker: off')],
    ['of an upstream that is gone', api(''), GONE],
    ['of a tenant', shop(''), shop('headers: { set: { x-new: "1" } }')],
  ])('in the backoff %s', async (_what, before, after) => {
    const ended = await drained(before, after, {
      answers: [status(503, {}, 'try later')],
      isWaiting: (clock) => clock.untilAsleep(),
    });
    expect(ended).toEqual({ endedAt: 0, statusCode: 503, gaveUp: 'draining', text: 'try later' });
  });
});
