import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, type OriginExchange, startOrigin, status } from '../support/origin.ts';
import { passTime } from '../support/quota-origin.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

/* Used units, learned limits, cooldowns and waiting calls of a quota over a reload. */

const CLIENTS = `
clients:
  tokens:
    - { name: web, token: web-token-0123456789 }
    - { name: batch, token: batch-token-0123456789, quota: 50% }
`;

interface Asked {
  readonly path?: string;
  readonly key?: string;
  readonly client?: string;
  readonly cost?: number;
}

async function send(proxy: Breakwater, { path = '', key = 'one', client, cost }: Asked = {}) {
  const headers: Record<string, string> = { 'x-api-key': key, connection: 'close' };
  if (client !== undefined) headers['breakwater-token'] = `${client}-token-0123456789`;
  if (cost !== undefined) headers['x-cost'] = String(cost);
  return (await fetch(`${proxy.url}/api/${path}`, { headers })).status;
}

/** The proxy with this quota. `reload` replaces it, and `passed` is how many of `count` calls pass. */
async function start(quota: string, { step = ok(), more = '', top = '' } = {}) {
  const clock = new FakeClock();
  const origin = await startOrigin(step);
  const yaml = (value: string, rest: string, head: string) =>
    `${head}${apiConfig(origin, `    retry: off\n    quota: ${value}\n${rest}`)}`;
  const proxy = await startTidy(yaml(quota, more, top), { clock });
  return {
    clock,
    origin,
    proxy,
    reload: async (value: string, rest = more, head = top) => {
      proxy.rewrite(yaml(value, rest, head));
      expect(await proxy.app.reload()).toMatchObject({ ok: true });
    },
    passed: async (count: number, asked?: Asked) => {
      let passed = 0;
      for (let i = 0; i < count; i++) if ((await send(proxy, asked)) === 200) passed++;
      return passed;
    },
  };
}

const quotaOf = async (proxy: Breakwater) => (await stateOf(proxy)).upstreams[0]?.scopes[0]?.quota;

const resetQuota = (proxy: Breakwater) =>
  fetch(`${proxy.adminUrl}/api/upstreams/api/quota`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: '{"reset":true}',
  });

const waiting = (proxy: Breakwater, count: number) =>
  untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.quota?.waiting === count);

describe('used units of a window', () => {
  test.each<[string, string, passed: number]>([
    ['nothing that counts', '{ windows: 4/d, wait: 2ms }', 1],
    ['the queue', '{ windows: 4/d, wait: 1ms, queue: 5 }', 1],
    ['the cost of calls', '{ windows: 4/d, wait: 1ms, cost: { fixed: 2, header: x-cost } }', 0],
    ['the mode', '{ windows: 4/d, wait: 1ms, mode: shadow }', 5],
    ['learning', '{ windows: 4/d, wait: 1ms, learn: false }', 1],
    ['the scope of learned limits', '{ windows: 4/d, wait: 1ms, scope: path }', 1],
    ['the headers of the credential', '{ windows: 4/d, wait: 1ms, credential_headers: [x-api-key] }', 1],
    ['the limit, which is higher', '{ windows: 6/d, wait: 1ms }', 3],
    ['the limit, which is lower', '{ windows: 3/d, wait: 1ms }', 0],
    ['the burst', '{ windows: [{ limit: 4/d, burst: 2 }], wait: 1ms }', 0],
    ['another window', '{ windows: [5/h, 4/d], wait: 1ms }', 1],
    ['the period', '{ windows: 4/h, wait: 1ms }', 4],
    ['the unit', '{ windows: [{ limit: 4/d, counts: calls }], wait: 1ms }', 4],
  ])('a reload changes %s', async (_what, changed, left) => {
    const { passed, reload } = await start('{ windows: 4/d, wait: 1ms }');
    expect(await passed(3)).toBe(3);
    await reload(changed);
    expect(await passed(5)).toBe(left);
  });

  test('they stay used when shadow mode is turned on and off', async () => {
    const { passed, reload } = await start('{ windows: 4/d, wait: 1ms, mode: shadow }');
    expect(await passed(3)).toBe(3);
    await reload('{ windows: 4/d, wait: 1ms }');
    expect(await passed(5)).toBe(1);
  });

  test('they are forgotten with their window, and with a quota that is off', async () => {
    const { passed, reload } = await start('{ windows: [2/d, 3/h], wait: 1ms }');
    expect(await passed(3)).toBe(2);
    await reload('{ windows: 3/h, wait: 1ms }');
    expect(await passed(3)).toBe(1);
    await reload('{ windows: [2/d, 3/h], wait: 1ms }');
    expect(await passed(3)).toBe(0);
    await reload('off');
    await reload('{ windows: [2/d, 3/h], wait: 1ms }');
    expect(await passed(3)).toBe(2);
  });

  test('they are those of each credential', async () => {
    const { passed, reload } = await start('{ windows: 3/d, wait: 1ms }');
    expect([await passed(2, { key: 'one' }), await passed(1, { key: 'two' })]).toEqual([2, 1]);
    await reload('{ windows: 5/d, wait: 1ms }');
    expect([await passed(5, { key: 'one' }), await passed(5, { key: 'two' })]).toEqual([3, 4]);
  });

  test('an operator can still give all of them back', async () => {
    const { passed, proxy, reload } = await start('{ windows: 3/d, wait: 1ms }');
    expect(await passed(3)).toBe(3);
    await reload('{ windows: 3/d, wait: 1ms, learn: false }');
    await resetQuota(proxy);
    expect(await passed(5)).toBe(3);
  });

  test('those of a share stay used when the share or the limit changes', async () => {
    const { passed, reload } = await start('{ windows: 10/d, wait: 1ms }', { top: CLIENTS });
    expect(await passed(3, { client: 'batch' })).toBe(3);
    await reload('{ windows: 10/d, wait: 1ms }', '', CLIENTS.replace('50%', '70%'));
    expect(await passed(2, { client: 'batch' })).toBe(2);
    await reload('{ windows: 20/d, wait: 1ms }', '', CLIENTS.replace('50%', '30%'));
    expect(await passed(5, { client: 'batch' })).toBe(1);
    expect(await passed(20, { client: 'web' })).toBe(14);
  });

  test('those of a share stay used when the quota learns in another way, until an operator resets it', async () => {
    const { passed, proxy, reload } = await start('{ windows: 10/d, wait: 1ms }', { top: CLIENTS });
    expect(await passed(9, { client: 'batch' })).toBe(5);
    await reload('{ windows: 12/d, wait: 1ms, learn: false }');
    expect(await passed(9, { client: 'batch' })).toBe(1);
    await resetQuota(proxy);
    expect(await passed(9, { client: 'batch' })).toBe(6);
  });

  test('a route that gets a quota of its own begins with a full one, and the others go on', async () => {
    const routes = '    routes: [{ match: { path: /own/** }, quota: { windows: 2/d, wait: 1ms } }]\n';
    const { passed, reload } = await start('{ windows: 4/d, wait: 1ms }');
    expect(await passed(3, { path: 'own/x' })).toBe(3);
    await reload('{ windows: 4/d, wait: 1ms }', routes);
    expect([await passed(3, { path: 'own/x' }), await passed(3)]).toEqual([2, 1]);
  });

  test('another host begins with a full quota', async () => {
    const { passed, proxy } = await start('{ windows: 2/d, wait: 1ms }');
    expect(await passed(3)).toBe(2);
    const other = await startOrigin(ok());
    proxy.rewrite(apiConfig(other, '    retry: off\n    quota: { windows: 2/d, wait: 1ms }\n'));
    await proxy.app.reload();
    expect(await passed(3)).toBe(2);
  });

  test('a call that runs corrects its cost in the changed window', async () => {
    const running: OriginExchange[] = [];
    const { origin, passed, proxy, reload } = await start(
      '{ windows: 10/d, wait: 1ms, cost: { header: x-cost, reply: /tokens } }',
      { step: (exchange) => void running.push(exchange) },
    );
    const call = send(proxy, { cost: 2 });
    await origin.untilRequests(1);
    await reload('{ windows: 20/d, wait: 1ms, cost: { header: x-cost, reply: /tokens } }');
    running[0]?.response.writeHead(200, { 'content-type': 'application/json' }).end('{"tokens":18}');
    expect(await call).toBe(200);
    expect(await quotaOf(proxy)).toMatchObject({
      credentials: [{ buckets: [{ bucket: '20/d', limit: 20, remaining: 2 }] }],
    });
    expect(await passed(1, { cost: 3 })).toBe(0);
  });

  test('a call that was not sent gives back what it took, and nothing to a window that came later', async () => {
    const running: OriginExchange[] = [];
    const more = `    concurrency: { mode: fixed, max: 1, queue: 5, wait: 20s }
    routes: [{ match: { path: /free/** }, concurrency: off }]
`;
    const { origin, proxy, reload } = await start('{ windows: [9/2d, 7/d], wait: 1ms }', {
      step: (exchange) => {
        if (exchange.request.url?.startsWith('/free')) exchange.response.end();
        else running.push(exchange);
      },
      more,
    });
    const first = send(proxy);
    await origin.untilRequests(1);
    const gone = new AbortController();
    const second = fetch(`${proxy.url}/api/`, { headers: { 'x-api-key': 'one' }, signal: gone.signal });
    const queued = (count: number) =>
      untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === count);
    await queued(1);
    await reload('{ windows: [3/h, 8/d], wait: 1ms }');
    expect(await send(proxy, { path: 'free/x' })).toBe(200);
    gone.abort();
    await expect(second).rejects.toThrow('aborted');
    await queued(0);
    running[0]?.response.end();
    expect(await first).toBe(200);
    expect((await quotaOf(proxy))?.credentials[0]?.buckets).toMatchObject([
      { bucket: '3/h', remaining: 2 },
      { bucket: '8/d', remaining: 6 },
    ]);
  });
});

describe('what was learned', () => {
  const SAYS = { 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '40', 'x-ratelimit-reset': '600' };
  const LIMITED = [{ bucket: 'default', limit: 100, remaining: 40, reset_ms: 600_000 }];

  test('a stated limit stays, also when a window is added', async () => {
    const { passed, proxy, reload } = await start('{ wait: 1ms }', { step: ok('ok', SAYS) });
    await passed(1);
    await reload('{ wait: 2ms, queue: 5, windows: 100/d }');
    expect(await quotaOf(proxy)).toMatchObject({
      credentials: [{ buckets: [{ bucket: '100/d' }] }, { limited: 'GET /', buckets: LIMITED }],
    });
  });

  test('what a client has used of a stated limit stays used when its share changes', async () => {
    const says = { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '9', 'x-ratelimit-reset': '600' };
    const { passed, reload } = await start('{ wait: 1ms }', { step: ok('ok', says), top: CLIENTS });
    expect(await passed(3, { client: 'batch' })).toBe(3);
    await reload('{ wait: 1ms }', '', CLIENTS.replace('50%', '30%'));
    // The first call brought the limit, and was not counted.
    expect(await passed(3, { client: 'batch' })).toBe(1);
  });

  test('a cooldown stays, and is not said again', async () => {
    const { passed, proxy, reload } = await start('{ wait: 1ms }', {
      step: status(429, { 'retry-after': '600' }),
    });
    await passed(2);
    const said = () => proxy.logs.filter(({ message }) => message.startsWith('quota of api')).length;
    expect([(await quotaOf(proxy))?.cooldowns, said()]).toEqual([1, 1]);
    await reload('{ wait: 2ms, windows: 1000/d }');
    expect([(await quotaOf(proxy))?.cooldowns, said()]).toEqual([1, 1]);
  });

  test.each([
    '{ wait: 1ms, learn: false }',
    '{ wait: 1ms, scope: credential }',
    '{ wait: 1ms, formats: [{ limit: x-limit, remaining: x-left, reset: x-reset }] }',
    '{ wait: 1ms, credential_headers: [x-api-key] }',
  ])('quota: %s learns in another way, and begins again', async (changed) => {
    const { passed, proxy, reload } = await start('{ wait: 1ms }', { step: ok('ok', SAYS) });
    await passed(1);
    await reload(changed);
    expect((await quotaOf(proxy))?.credentials).toEqual([]);
  });
});

describe('calls that wait', () => {
  test('leave by the new limit, in their order', async () => {
    const { clock, origin, proxy, reload } = await start('{ windows: 1/h, wait: 10h }', {
      more: '    timeouts: { total: 20h, attempt: 10s }\n',
    });
    expect(await send(proxy, { path: '0' })).toBe(200);
    const calls: Promise<number>[] = [];
    for (const [before, path] of ['1', '2', '3'].entries()) {
      await waiting(proxy, before);
      calls.push(send(proxy, { path }));
    }
    await waiting(proxy, 3);
    await reload('{ windows: 3/h, wait: 10h }');
    await waiting(proxy, 1);
    await origin.untilRequests(3);
    expect(origin.requests.map(({ url }) => url)).toEqual(['/0', '/1', '/2']);
    await passTime(clock, () => origin.requests.length === 4, 60_000);
    // One unit of three an hour.
    expect(clock.now()).toBe(20 * 60_000);
    expect(await Promise.all(calls)).toEqual([200, 200, 200]);
  });

  test('are refused at once if the new limit lets them leave too late', async () => {
    const { proxy, reload } = await start('{ windows: 60/h, wait: 90s }', {
      more: '    timeouts: { total: 20h, attempt: 10s }\n',
    });
    for (let i = 0; i < 60; i++) expect(await send(proxy)).toBe(200);
    const call = send(proxy);
    await waiting(proxy, 1);
    await reload('{ windows: 30/h, wait: 90s }');
    expect(await call).toBe(429);
  });

  test('and later ones are held by one limit together', async () => {
    const { clock, origin, proxy, reload } = await start('{ windows: 60/h, wait: 150s }', {
      more: '    timeouts: { total: 20h, attempt: 10s }\n',
    });
    for (let i = 0; i < 60; i++) await send(proxy);
    const calls = [send(proxy)];
    await waiting(proxy, 1);
    await reload('{ windows: 60/h, wait: 20m }');
    for (const before of [1, 2]) {
      await waiting(proxy, before);
      calls.push(send(proxy));
    }
    await waiting(proxy, 3);
    await clock.advance(60_000);
    await origin.untilRequests(61);
    await waiting(proxy, 2);
    expect(origin.requests.length).toBe(61);
    await passTime(clock, () => origin.requests.length === 63, 60_000);
    expect(await Promise.all(calls)).toEqual([200, 200, 200]);
    expect(clock.now()).toBe(180_000);
  });

  test('and later ones use the same units, also if the quota learns in another way', async () => {
    const { clock, origin, proxy, reload } = await start('{ windows: 60/h, wait: 10m }', {
      more: '    timeouts: { total: 20h, attempt: 10s }\n',
    });
    for (let i = 0; i < 60; i++) await send(proxy);
    const before = send(proxy);
    await waiting(proxy, 1);
    await reload('{ windows: 60/h, wait: 10m, learn: false }');
    const after = send(proxy);
    await waiting(proxy, 1);
    await clock.advance(60_000);
    expect(await Promise.race([before, after])).toBe(200);
    expect(origin.requests.length).toBe(61);
    await passTime(clock, () => origin.requests.length === 62, 60_000);
    expect(await Promise.all([before, after])).toEqual([200, 200]);
    expect(clock.now()).toBe(120_000);
  });

  test('keep their places when the queue gets shorter', async () => {
    const { clock, origin, proxy, reload } = await start('{ windows: 60/h, wait: 10m }', {
      more: '    timeouts: { total: 20h, attempt: 10s }\n',
    });
    for (let i = 0; i < 60; i++) await send(proxy);
    const calls = [send(proxy), send(proxy)];
    await waiting(proxy, 2);
    await reload('{ windows: 60/h, wait: 10m, queue: 1 }');
    expect(await send(proxy)).toBe(429);
    await passTime(clock, () => origin.requests.length === 62, 60_000);
    expect(await Promise.all(calls)).toEqual([200, 200]);
  });
});
