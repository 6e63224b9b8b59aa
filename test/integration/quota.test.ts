import { expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { passTime, startQuotaOrigin } from '../support/quota-origin.ts';
import { connectRaw, type RawReply } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy } from '../support/tidy.ts';

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

test('200 calls at once, 20 a second allowed and configured: nobody sees a 429, the upstream neither, in 10 s', async () => {
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

test('200 calls at once, 20 a second allowed and said in headers: learned from the first reply, nobody sees a 429', async () => {
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

test('after Retry-After: 5, 100 calls make no attempt for 5 s, then one, then a paced stream', async () => {
  const clock = new FakeClock();
  const seen: number[] = [];
  const origin = await startOrigin(status(429, { 'retry-after': '5' }), ({ response }) => {
    seen.push(clock.now());
    // The probe takes its time: nobody else may go while it is out.
    clock.timer(seen.length === 1 ? 300 : 0, () => response.end('ok'));
  });
  const proxy = await startTidy(
    apiConfig(origin, `${LONG}    retry: off\n    concurrency: { queue: 200, wait: 60s }\n`),
    { clock },
  );
  const first = await connectRaw(proxy.port);
  await first.send(request());
  expect((await first.readReply()).status).toBe(429);
  const replies = await burst(proxy, 100);
  await passTime(clock, () => replies.length === 100);
  expect(statuses(replies)).toEqual(new Set([200]));
  expect(seen.length).toBe(100);
  const [probe = 0, second = 0] = seen;
  expect(probe).toBeGreaterThanOrEqual(5_000);
  expect(probe).toBeLessThanOrEqual(5_500);
  expect(second).toBeGreaterThanOrEqual(probe + 300);
  // Never more than a few in the first moments, ten times as fast a few seconds later.
  const within = (ms: number) => seen.filter((at) => at >= second && at < second + ms).length;
  expect(within(1_000)).toBeLessThanOrEqual(16);
  expect(within(1_000)).toBeGreaterThanOrEqual(8);
  const together = seen.map((at) => seen.filter((other) => other === at).length);
  expect(Math.max(...together.slice(0, 10))).toBe(1);
});

test('a call whose turn would come after its deadline is refused at once, and says when to come back', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(429, { 'retry-after': '20' }), ok());
  const proxy = await startTidy(
    apiConfig(origin, '    timeouts: { attempt: 5s, total: 10s }\n    retry: off\n'),
    {
      clock,
    },
  );
  await burst(proxy, 1);
  await proxy.untilEnded(1);
  const client = await connectRaw(proxy.port);
  await client.send(request());
  const reply = await client.readReply();
  expect(clock.now()).toBe(0);
  expect(reply.status).toBe(429);
  expect(rawHeader(reply, 'content-type')).toBe('application/problem+json');
  expect(rawHeader(reply, 'proxy-status')).toContain('error=http_request_error');
  expect(Number(rawHeader(reply, 'retry-after'))).toBeGreaterThanOrEqual(20);
  expect(JSON.parse(reply.body.toString())).toMatchObject({ code: 'quota', attempts: 0 });
  expect(origin.requests.length).toBe(1);
});

test('a 503 with Retry-After is about that call alone: no other path waits', async () => {
  const origin = await startOrigin(({ request, response }) => {
    const down = request.url === '/reports/big';
    response.writeHead(down ? 503 : 200, down ? { 'retry-after': '3600' } : {}).end('ok');
  });
  const proxy = await startTidy(apiConfig(origin, '    retry: off\n'), { clock: new FakeClock() });
  const get = async (path: string) => {
    const client = await connectRaw(proxy.port);
    await client.send(`GET /api${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    return (await client.readReply()).status;
  };
  expect(await get('/reports/big')).toBe(503);
  expect(await get('/payments')).toBe(200);
  expect(await get('/reports/big')).toBe(503);
  expect(origin.requests.length).toBe(3);
});
