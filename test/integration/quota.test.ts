import { expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startOrigin, status } from '../support/origin.ts';
import { passTime, startQuotaOrigin } from '../support/quota-origin.ts';
import { connectRaw, type RawReply } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy, untilState } from '../support/tidy.ts';

const LONG = '    timeouts: { attempt: 10s, total: 60s }\n';

const request = (headers = '') => `GET /api/ HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;

/** `count` calls at once, each on a connection of its own. */
async function burst(proxy: Breakwater, count: number, headers = ''): Promise<RawReply[]> {
  const replies: RawReply[] = [];
  const clients = await Promise.all(Array.from({ length: count }, () => connectRaw(proxy.port)));
  for (const client of clients) {
    await client.send(request(headers));
    void client.readReply().then((reply) => replies.push(reply));
  }
  return replies;
}

const statuses = (replies: readonly RawReply[]) => new Set(replies.map((reply) => reply.status));

test('200 calls at once, 20 a second allowed and configured: no client gets a 429, and the upstream sends none, in 10 s', async () => {
  const clock = new FakeClock();
  const { origin, seen } = await startQuotaOrigin(clock, { limit: 20, periodMs: 1_000 });
  const proxy = await startTidy(apiConfig(origin, `${LONG}    quota: 20/s\n`), { clock });
  const replies = await burst(proxy, 200);
  await passTime(clock, () => replies.length === 200);
  expect(statuses(replies)).toEqual(new Set([200]));
  expect(seen.filter(({ status: code }) => code === 429)).toEqual([]);
  const took = seen.at(-1)?.at ?? 0;
  expect(took).toBeGreaterThanOrEqual(9_000);
  expect(took).toBeLessThanOrEqual(11_000);
});

test('200 calls at once, 20 a second allowed and said in headers: learned from the first reply, no client gets a 429', async () => {
  const clock = new FakeClock();
  const { origin, seen } = await startQuotaOrigin(clock, {
    limit: 20,
    periodMs: 1_000,
    says: (left, resetMs) => ({
      'x-ratelimit-limit': 20,
      'x-ratelimit-remaining': left,
      'x-ratelimit-reset-after': resetMs / 1000,
    }),
  });
  const proxy = await startTidy(apiConfig(origin, `${LONG}    concurrency: { queue: 200, wait: 60s }\n`), {
    clock,
  });
  const replies = await burst(proxy, 200);
  await passTime(clock, () => replies.length === 200);
  expect(statuses(replies)).toEqual(new Set([200]));
  expect(seen.filter(({ status: code }) => code === 429)).toEqual([]);
  const took = seen.at(-1)?.at ?? 0;
  expect(took).toBeGreaterThanOrEqual(9_000);
  expect(took).toBeLessThanOrEqual(11_000);
});

/** Sends one call after the other, and waits for each reply. */
async function inTurn(proxy: Breakwater, paths: readonly string[]): Promise<number[]> {
  const seen: number[] = [];
  for (const path of paths) {
    const client = await connectRaw(proxy.port);
    await client.send(`GET /api${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    seen.push((await client.readReply()).status);
  }
  return seen;
}

test('a limit of 5 s: 100 calls wait while one asks after 1 s, and go as a paced stream after it', async () => {
  const clock = new FakeClock();
  const seen: number[] = [];
  const origin = await startOrigin(({ response }) => {
    seen.push(clock.now());
    if (clock.now() >= 5_000) return void response.end('ok');
    const left = String(Math.ceil((5_000 - clock.now()) / 1_000));
    response.writeHead(429, { 'retry-after': left }).end();
  });
  const proxy = await startTidy(
    apiConfig(origin, `${LONG}    retry: off\n    concurrency: { queue: 200, wait: 60s }\n`),
    { clock },
  );
  expect(await inTurn(proxy, ['/', '/'])).toEqual([429, 429]);
  const replies = await burst(proxy, 100);
  await passTime(clock, () => replies.length === 100);
  expect(replies.filter(({ status: code }) => code === 200).length).toBe(99);
  const closed = seen.filter((at) => at < 5_000);
  expect(closed.length).toBe(3);
  expect(closed[2]).toBeGreaterThanOrEqual(1_000);
  const [, second = 0, ...rest] = seen.filter((at) => at >= 5_000);
  expect(second).toBeLessThanOrEqual(5_700);
  // Never more than a few in the first moments, ten times as fast a few seconds later.
  const within = rest.filter((at) => at < second + 1_000).length;
  expect(within).toBeLessThanOrEqual(16);
  expect(within).toBeGreaterThanOrEqual(8);
});

test('one endpoint is limited: the others of the credential never notice', async () => {
  const origin = await startOrigin(({ request, response }) => {
    const limited = request.url === '/limited';
    const said =
      request.url === '/said' ? { 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': '900' } : {};
    response.writeHead(limited ? 429 : 200, limited ? { 'retry-after': '900' } : said).end('ok');
  });
  const proxy = await startTidy(apiConfig(origin, '    retry: off\n'), { clock: new FakeClock() });
  const paths = ['/limited', '/said', '/limited', '/payments', '/users/1', '/payments'];
  expect(await inTurn(proxy, paths)).toEqual([429, 200, 429, 200, 200, 200]);
});

test('a call that could leave only after its deadline is refused at once, with Retry-After', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(429, { 'retry-after': '20' }));
  const proxy = await startTidy(
    apiConfig(origin, '    timeouts: { attempt: 5s, total: 10s }\n    retry: off\n'),
    {
      clock,
    },
  );
  expect(await inTurn(proxy, ['/', '/'])).toEqual([429, 429]);
  const probe = await burst(proxy, 1);
  await passTime(clock, () => probe.length === 1);
  const asked = clock.now();
  // The next probe is due within the deadline: one may wait for it.
  await (await connectRaw(proxy.port)).send(request());
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.quota?.waiting === 1);
  const client = await connectRaw(proxy.port);
  await client.send(request());
  const reply = await client.readReply();
  expect(clock.now()).toBe(asked);
  expect(reply.status).toBe(429);
  expect(rawHeader(reply, 'content-type')).toBe('application/problem+json');
  expect(rawHeader(reply, 'proxy-status')).toContain('error=http_request_error');
  expect(Number(rawHeader(reply, 'retry-after'))).toBeGreaterThanOrEqual(20);
  expect(JSON.parse(reply.body.toString())).toMatchObject({ code: 'quota', attempts: 0 });
  expect(origin.requests.length).toBe(3);
});

test('a 503 with Retry-After is about that call alone: no other path waits', async () => {
  const origin = await startOrigin(({ request, response }) => {
    const down = request.url === '/reports/big';
    response.writeHead(down ? 503 : 200, down ? { 'retry-after': '3600' } : {}).end('ok');
  });
  const proxy = await startTidy(apiConfig(origin, '    retry: off\n'), { clock: new FakeClock() });
  expect(await inTurn(proxy, ['/reports/big', '/payments', '/reports/big'])).toEqual([503, 200, 503]);
});
