import { describe, expect, test } from 'vitest';
import { type Breakwater, NO_WAIT } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type OriginExchange, type Step, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

/** Answers quickly until the test holds it, then keeps every request for the test to answer. */
function switched() {
  const held: OriginExchange[] = [];
  const state = { hold: false };
  const step: Step = async (exchange) => {
    if (state.hold) held.push(exchange);
    await exchange.body();
    if (!held.includes(exchange)) exchange.response.end('quick');
  };
  return { held, state, step };
}

const AFTER = '    hedge: { after: 300ms, max_extra: 100% }\n';

async function start(more = AFTER) {
  const clock = new FakeClock();
  const { held, state, step } = switched();
  state.hold = true;
  const origin = await startOrigin(step);
  const yaml = `${NO_WAIT}\nupstreams:\n  api:\n    url: ${origin.url}\n    allow_private: true\n${more}`;
  const proxy = await startTidy(yaml, { clock });
  const send = (init: RequestInit = {}) => fetch(`${proxy.url}/api/x`, init);
  const hedges = async () => {
    const text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    return [...text.matchAll(/^breakwater_hedges_total\{.*result="(\w+)"\} (\d+)$/gm)].map(
      ([, result, count]) => `${result} ${count}`,
    );
  };
  /** A call whose first attempt is held, and whose time has passed. */
  const slow = async (init: RequestInit = {}) => {
    const before = origin.requests.length;
    const reply = send(init);
    await origin.untilRequests(before + 1);
    await clock.advance(300);
    return reply;
  };
  return { clock, held, hedges, origin, proxy, send, slow, state };
}

/** Attempts that neither have ended nor failed. */
const inFlight = (proxy: Breakwater, count: number) =>
  untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === count);

const answer = (exchange: OriginExchange | undefined, status: number, body: string) =>
  exchange?.response.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body);

describe('a slow attempt', () => {
  test('gets a concurrent second one; the first successful answer is used, and the connection of the other is freed', async () => {
    const { held, hedges, origin, proxy, slow } = await start();
    const sent = slow();
    await origin.untilRequests(2);
    const tokens = async () => (await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens;
    expect(await tokens()).toBeCloseTo(9.03, 1);
    answer(held[1], 200, 'second');
    const reply = await sent;
    expect([await reply.text(), reply.headers.get('breakwater-attempts')]).toEqual(['second', '2']);
    await origin.until(({ openConnections }) => openConnections === 1);
    expect(origin.requests[0]?.closed).toBe(true);
    const [record] = await proxy.untilEnded(1);
    await proxy.until(() => record?.entries[0]?.error !== undefined);
    expect(record).toMatchObject({ outcome: 'ok', notes: { hedge: 'won' } });
    expect(record?.entries).toMatchObject([
      { n: 1, error: 'hedge_lost', hedgedAfterMs: undefined },
      { n: 2, status: 200, hedgedAfterMs: 300 },
    ]);
    expect(await hedges()).toEqual(['won 1']);
    expect(await tokens()).toBe(10);
  });

  test('may still be the first to answer: then the hedge is ended', async () => {
    const { held, hedges, origin, slow } = await start();
    const sent = slow();
    await origin.untilRequests(2);
    answer(held[0], 200, 'first');
    expect(await (await sent).text()).toBe('first');
    await origin.until(({ requests }) => requests[1]?.closed === true);
    expect(await hedges()).toEqual(['lost 1']);
  });

  test('an attempt that answers in time is not hedged, and one that fails in time is retried at once', async () => {
    const { clock, held, hedges, origin, send } = await start();
    const quick = send();
    await origin.untilRequests(1);
    await clock.advance(299);
    answer(held[0], 200, 'in time');
    expect(await (await quick).text()).toBe('in time');
    const failing = send();
    await origin.untilRequests(2);
    answer(held[1], 503, 'no');
    await clock.untilAsleep();
    await clock.advance(0);
    await origin.untilRequests(3);
    answer(held[2], 200, 'retried');
    expect(await (await failing).text()).toBe('retried');
    expect(await hedges()).toEqual([]);
  });

  test.each([
    ['a reset', (one: OriginExchange) => void one.request.socket.resetAndDestroy()],
    ['a failing status', (one: OriginExchange) => void answer(one, 503, 'busy')],
  ])('whose hedge ends with %s is waited for; and the other way round', async (_, fail) => {
    const { held, hedges, origin, proxy, slow } = await start();
    for (const [failing, good] of [
      [1, 0],
      [2, 3],
    ] as const) {
      const sent = slow();
      await origin.untilRequests(Math.max(failing, good) + 1);
      fail(held[failing]!);
      await inFlight(proxy, 1);
      answer(held[good], 200, 'good');
      const reply = await sent;
      expect([reply.status, await reply.text()]).toEqual([200, 'good']);
    }
    expect((await hedges()).sort()).toEqual(['failed 1', 'won 1']);
  });

  test('and its hedge that both fail are one failed attempt with the first failure; both count as attempts', async () => {
    const { held, hedges, origin, proxy, slow } = await start(`${AFTER}    retry: { attempts: 2 }\n`);
    const sent = slow();
    await origin.untilRequests(2);
    answer(held[1], 503, 'first failure');
    await inFlight(proxy, 1);
    answer(held[0], 500, 'second failure');
    const reply = await sent;
    expect([reply.status, await reply.text()]).toEqual([503, 'first failure']);
    expect(reply.headers.get('breakwater-gave-up')).toBe('attempts');
    expect(await hedges()).toEqual(['failed 1']);
    expect((await proxy.untilEnded(1))[0]?.entries.map(({ n }) => n)).toEqual([1, 2]);
  });

  test('and its hedge that both fail are retried, with the next number', async () => {
    const { clock, held, origin, proxy, slow } = await start();
    const sent = slow();
    await origin.untilRequests(2);
    for (const one of held) one.request.socket.resetAndDestroy();
    await clock.untilAsleep();
    await clock.advance(0);
    await origin.untilRequests(3);
    answer(held[2], 200, 'third');
    expect(await (await sent).text()).toBe('third');
    const [record] = await proxy.untilEnded(1);
    expect([record?.entries.map(({ n }) => n), record?.outcome]).toEqual([[1, 2, 3], 'rescued']);
  });

  test('whose client leaves ends both', async () => {
    const { clock, hedges, origin, proxy } = await start();
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await origin.untilRequests(1);
    await clock.advance(300);
    await origin.untilRequests(2);
    client.abort();
    await origin.until(({ openConnections }) => openConnections === 0);
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe('client_gone');
    expect(await hedges()).toEqual(['client_gone 1']);
  });

  test('sends its body again, whole', async () => {
    const { held, origin, slow } = await start();
    const body = 'x'.repeat(200_000);
    const sent = slow({ method: 'PUT', body });
    await origin.untilRequests(2);
    await origin.until(({ requests }) => requests[1]?.complete === true);
    answer(held.at(-1), 200, 'second');
    expect((await sent).status).toBe(200);
    expect(origin.requests.map((request) => request.body.toString() === body)).toEqual([true, true]);
  });

  test('whose loser was answered with a large body frees its connection too', async () => {
    const { held, origin, slow } = await start();
    const sent = slow();
    await origin.untilRequests(2);
    held[0]?.response.writeHead(503, { 'content-length': 10_000_000 }).write('x'.repeat(500_000));
    answer(held[1], 200, 'good');
    expect(await (await sent).text()).toBe('good');
    await origin.until(({ openConnections }) => openConnections === 1);
  });
});

/** Waits until the metric says so. */
async function metric(hedges: () => Promise<string[]>, expected: string[]): Promise<void> {
  while ((await hedges()).join() !== expected.join());
}

test('a 409 of one, while the other runs, is no answer: it may be refused because of the other', async () => {
  const { held, origin, slow } = await start();
  const sent = slow({ method: 'PUT', body: 'x' });
  await origin.untilRequests(2);
  answer(held[0], 409, 'another one is running');
  await origin.until(({ requests }) => requests[0]?.closed === true);
  answer(held[1], 200, 'done');
  expect(await (await sent).text()).toBe('done');
});

test('interim replies of the attempt that answers are passed on, and no others', async () => {
  const { clock, held, origin, proxy } = await start();
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
  await origin.untilRequests(1);
  await clock.advance(300);
  await origin.untilRequests(2);
  held[0]?.response.writeEarlyHints({ link: '</first.css>; rel=preload' });
  held[1]?.response.writeEarlyHints({ link: '</second.css>; rel=preload' });
  answer(held[1], 200, 'second');
  const { informational, body } = await client.readReply();
  expect([informational.length, body.toString()]).toEqual([1, 'second']);
  expect(informational[0]?.rawHeaders.join()).toContain('/second.css');
});

describe('there is no hedge', () => {
  const put = { method: 'PUT', body: 'x'.repeat(100_000) };
  test.each<[why: string, more: string, init: RequestInit, result: string[]]>([
    ['for a call that may not be repeated', AFTER, { method: 'POST', body: 'x' }, []],
    ['where no other attempt is left', `${AFTER}    retry: off\n`, {}, []],
    ['beyond the share', '    hedge: { after: 300ms, max_extra: 99% }\n', {}, ['refused_max_extra 1']],
    ['without a token', `${AFTER}    retry: { budget: { cap: 0 } }\n`, {}, ['refused_budget 1']],
    ['where the quota has no room', `${AFTER}    quota: 1/h\n`, {}, ['refused_quota 1']],
    [
      'of a body that was not buffered',
      `${AFTER}    request: { max_replay: 10KiB }\n`,
      put,
      ['refused_body 1'],
    ],
  ])('%s', async (_, more, init, expected) => {
    const { held, hedges, origin, slow } = await start(more);
    const sent = slow(init);
    await origin.untilRequests(1);
    if (expected.length > 0) await metric(hedges, expected);
    answer(held[0], 200, 'alone');
    expect(await (await sent).text()).toBe('alone');
    expect([origin.requests.length, await hedges()]).toEqual([1, expected]);
  });

  test('while the breaker is not closed', async () => {
    const { held, hedges, origin, proxy, clock, send } = await start();
    const sent = send();
    await origin.untilRequests(1);
    await fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"force":"open"}',
    });
    await clock.advance(300);
    answer(held[0], 200, 'alone');
    expect((await sent).status).toBe(200);
    expect([origin.requests.length, await hedges()]).toEqual([1, ['refused_breaker 1']]);
  });

  test('for an attempt that still waits for a permit: it is not the upstream that is slow', async () => {
    const more = `${AFTER}    concurrency: { mode: fixed, max: 1, queue: 5, wait: 20s }\n    timeouts: { total: 1000s, attempt: 900s }\n`;
    const { clock, held, hedges, origin, proxy, send } = await start(more);
    const first = send({ method: 'POST' });
    await origin.untilRequests(1);
    const second = send();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
    await clock.advance(1_000);
    answer(held[0], 200, 'first');
    await first;
    await origin.untilRequests(2);
    answer(held[1], 200, 'second');
    expect(await (await second).text()).toBe('second');
    expect(await hedges()).toEqual([]);
  });
});

test('a hedge without a permit is refunded', async () => {
  const more = `${AFTER}    concurrency: { mode: fixed, max: 1, queue: 0 }\n    retry: { budget: { refill: 0/s } }\n`;
  const { held, hedges, origin, proxy, slow } = await start(more);
  const sent = slow();
  await metric(hedges, ['refused 1']);
  answer(held[0], 200, 'alone');
  expect(await (await sent).text()).toBe('alone');
  expect(origin.requests.length).toBe(1);
  expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBe(10);
});

test('by percentile: no hedge before a hundred answers, then calls slower than 95 % of them, at most 2 %', async () => {
  const { clock, held, hedges, origin, send, slow, state } = await start('    hedge: { percentile: 95% }\n');
  state.hold = false;
  for (let i = 0; i < 99; i++) await (await send()).text();
  state.hold = true;
  const early = slow();
  await origin.untilRequests(100);
  answer(held[0], 200, 'early');
  await (await early).text();
  expect(await hedges()).toEqual([]);

  for (const expected of ['won 1', 'won 2']) {
    const before = origin.requests.length;
    const sent = send();
    await origin.untilRequests(before + 1);
    await clock.advance(1_000);
    await origin.untilRequests(before + 2);
    answer(held.at(-1), 200, 'hedged');
    await (await sent).text();
    expect(await hedges()).toEqual([expected]);
  }
  // A hundred and two attempts: two hedges were all.
  const sent = send();
  const before = origin.requests.length;
  await origin.untilRequests(before + 1);
  await clock.advance(1_000);
  answer(held.at(-1), 200, 'alone');
  await (await sent).text();
  expect((await hedges()).sort()).toEqual(['refused_max_extra 1', 'won 2']);
});

test('the loser is counted neither by the breaker nor by the limit', async () => {
  const more = `${AFTER}    breaker: { min_requests: 1, failure_rate: 1%, consecutive_failures: 1 }\n    concurrency: { max: 10 }\n`;
  const { held, origin, proxy, slow } = await start(more);
  const sent = slow();
  await origin.untilRequests(2);
  answer(held[1], 200, 'second');
  await (await sent).text();
  await origin.until(({ requests }) => requests[0]?.closed === true);
  const [scope] = (await stateOf(proxy)).upstreams[0]!.scopes;
  expect(scope).toMatchObject({ breaker: { state: 'closed' }, concurrency: { in_flight: 0 } });
  expect(scope?.concurrency?.limit).toBeGreaterThanOrEqual(10);
});
