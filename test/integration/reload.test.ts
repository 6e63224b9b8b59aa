import { request } from 'undici';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { Changes } from '../support/changes.ts';
import { ok, startOrigin, status } from '../support/origin.ts';

const get = async (url: string) => {
  const reply = await request(url);
  return { status: reply.statusCode, body: await reply.body.text() };
};

const breakerOf = async (proxy: Breakwater) => {
  const state = (await (await fetch(`${proxy.adminUrl}/api/state`)).json()) as {
    upstreams: {
      name: string;
      scopes: {
        scope: string;
        breaker: { state: string; forced?: boolean; retry_after_ms?: number };
        concurrency: { limit?: number };
        budget_tokens: number;
      }[];
    }[];
  };
  return state.upstreams[0]?.scopes[0];
};

const forceOpen = (proxy: Breakwater) =>
  fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"force":"open"}',
  });

test('reloading under load drops no call', async () => {
  const before = await startOrigin(ok('before'));
  const after = await startOrigin(ok('after'));
  const proxy = await startBreakwater(apiConfig(before));
  const CALLERS = 16;
  const seen = new Map<string, number>();
  let reloads = 0;
  const caller = async () => {
    while (reloads < 20) {
      const reply = await get(`${proxy.url}/api/`);
      expect(reply.status).toBe(200);
      seen.set(reply.body, (seen.get(reply.body) ?? 0) + 1);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  for (; reloads < 20; reloads++) {
    const calls = proxy.ended.length;
    await proxy.untilEnded(calls + CALLERS);
    proxy.rewrite(apiConfig(reloads % 2 === 0 ? after : before));
    expect(await proxy.app.reload()).toMatchObject({ ok: true });
  }
  await Promise.all(callers);
  expect(proxy.ended.every(({ outcome }) => outcome === 'ok')).toBe(true);
  expect(Math.min(seen.get('before') ?? 0, seen.get('after') ?? 0)).toBeGreaterThan(CALLERS);
});

test('a call that runs during a reload keeps its configuration', async () => {
  const slow = await startOrigin(async ({ response }) => {
    await released;
    response.end('from the old upstream');
  });
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const other = await startOrigin(ok('from the new upstream'));
  const proxy = await startBreakwater(apiConfig(slow));
  const running = get(`${proxy.url}/api/`);
  await slow.untilRequests(1);
  proxy.rewrite(apiConfig(other));
  await proxy.app.reload();
  expect(await get(`${proxy.url}/api/`)).toMatchObject({ body: 'from the new upstream' });
  release();
  expect(await running).toEqual({ status: 200, body: 'from the old upstream' });
});

test('an invalid file is refused with all its problems, and the old configuration stays', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(apiConfig(origin));
  proxy.rewrite(apiConfig(origin, '    timeouts: { attempt: 10 }\n    retires: 3\n'));
  const result = await proxy.app.reload();
  expect(result.ok).toBe(false);
  const errors = proxy.logs.filter(({ level }) => level === 'error').map(({ message }) => message);
  expect(errors.join('\n')).toMatch(/config\.yaml:\d+:\d+ .*attempt.*unit/);
  expect(errors.join('\n')).toMatch(/config\.yaml:\d+:\d+ .*retires.*did you mean "retry"/);
  expect(await get(`${proxy.url}/api/`)).toMatchObject({ status: 200 });
});

test('an unchanged upstream keeps its breaker, budget and connections; a changed part starts again', async () => {
  const origin = await startOrigin(status(503), status(503), status(503), ok());
  const proxy = await startBreakwater(apiConfig(origin));
  await get(`${proxy.url}/api/`);
  const spent = (await breakerOf(proxy))?.budget_tokens ?? 10;
  expect(spent).toBeLessThan(8.5);
  await forceOpen(proxy);

  proxy.rewrite(`${apiConfig(origin)}  other:\n    url: http://127.0.0.1:1\n    allow_private: true\n`);
  await proxy.app.reload();
  const unchanged = await breakerOf(proxy);
  expect(unchanged?.breaker.state).toBe('open');
  expect(unchanged?.budget_tokens).toBeLessThan(9);
  expect((await get(`${proxy.url}/api/`)).status).toBe(503);

  proxy.rewrite(apiConfig(origin, '    breaker: { min_requests: 5 }\n'));
  await proxy.app.reload();
  const renewed = await breakerOf(proxy);
  expect(renewed?.breaker.state).toBe('closed');
  expect(renewed?.budget_tokens).toBeLessThan(9);
  expect((await get(`${proxy.url}/api/`)).status).toBe(200);
  expect(origin.connections).toBe(1);
});

test('the fallback of an unchanged upstream follows a change of the other one', async () => {
  const failing = await startOrigin(status(503));
  const [old, next] = [await startOrigin(ok('old')), await startOrigin(ok('next'))];
  const config = (backup: { readonly url: string }) =>
    `${apiConfig(failing, '    retry: off\n    fallback: { upstream: backup }\n')}  backup:\n    url: ${backup.url}\n    allow_private: true\n`;
  const proxy = await startBreakwater(config(old));
  expect((await get(`${proxy.url}/api/`)).body).toBe('old');
  proxy.rewrite(config(next));
  await proxy.app.reload();
  expect((await get(`${proxy.url}/api/`)).body).toBe('next');
});

test('a forced breaker is shown as forced, without the time of a probe', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(apiConfig(origin));
  expect((await breakerOf(proxy))?.breaker).not.toHaveProperty('forced');
  await forceOpen(proxy);
  const { breaker } = (await breakerOf(proxy)) ?? {};
  expect(breaker).toMatchObject({ state: 'open', forced: true });
  expect(breaker).not.toHaveProperty('retry_after_ms');
});

test('a limit without a bound is not in the state', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(apiConfig(origin));
  await get(`${proxy.url}/api/`);
  expect((await breakerOf(proxy))?.concurrency).not.toHaveProperty('limit');
});

test('each reload says that a change of shared needs a restart, until the file says what runs', async () => {
  const yaml = apiConfig(await startOrigin(ok()));
  const proxy = await startBreakwater(yaml);
  const warnings = () => proxy.logs.filter(({ message }) => message.startsWith('changes of shared')).length;
  proxy.rewrite(`shared: { store: redis://127.0.0.1:1 }\n${yaml}`);
  await proxy.app.reload();
  await proxy.app.reload();
  expect(warnings()).toBe(2);
  proxy.rewrite(yaml);
  await proxy.app.reload();
  expect(warnings()).toBe(2);
});

test('an upstream that a reload removed is gone from routes, state and metrics', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(
    `${apiConfig(origin)}  old:\n    url: ${origin.url}\n    allow_private: true\n`,
  );
  expect((await get(`${proxy.url}/old/`)).status).toBe(200);
  proxy.rewrite(apiConfig(origin));
  await proxy.app.reload();
  expect((await get(`${proxy.url}/old/`)).status).toBe(404);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).not.toContain('upstream="old"');
});

test('a configuration that cannot be read at all is refused, and the old one stays', async () => {
  const origin = await startOrigin(ok());
  const beforeReload = () => Promise.reject(new Error('no memory for a thread'));
  const proxy = await startBreakwater(apiConfig(origin), { beforeReload });
  const reason = 'the configuration could not be read: no memory for a thread';
  expect(await proxy.app.reload()).toEqual({ ok: false, errors: [reason] });
  expect(proxy.logs.filter(({ level }) => level === 'error').map(({ message }) => message)).toContain(reason);
  expect(await (await fetch(`${proxy.adminUrl}/metrics`)).text()).toMatch(
    /config_last_reload_successful(?:\{.*\})? 0/,
  );
  expect(await get(`${proxy.url}/api/`)).toMatchObject({ status: 200 });
});

test('an exception while routes are built refuses the reload, and calls go on', async () => {
  const origin = await startOrigin(ok());
  const broken = (config: Config): Config => ({
    ...config,
    upstreams: config.upstreams.map((upstream) => ({ ...upstream, origin: 'not a URL' })),
  });
  let reloaded = broken;
  const proxy = await startBreakwater(apiConfig(origin), { reloaded: (config) => reloaded(config) });
  await forceOpen(proxy);
  const refused = await proxy.app.reload();
  expect(refused).toMatchObject({
    ok: false,
    errors: [expect.stringContaining('because of a bug in the proxy')],
  });
  const errors = proxy.logs.filter(({ level }) => level === 'error');
  expect(errors[0]?.fields['error']).toBeInstanceOf(Error);
  expect(errors.at(-1)?.message).toBe('the new configuration is refused; the running one stays in use');
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toMatch(/config_reloads_total\{result="failure".*\} 1/);
  expect(metrics).toMatch(/config_last_reload_successful(?:\{.*\})? 0/);

  // The running configuration has its state, and the next reload works.
  reloaded = (config) => config;
  expect(await proxy.app.reload()).toMatchObject({ ok: true });
  expect((await breakerOf(proxy))?.breaker.state).toBe('open');
});

test('calls are served while a reload reads; who asks meanwhile gets what is written after that', async () => {
  const [first, second, third] = [
    await startOrigin(ok('first')),
    await startOrigin(ok('second')),
    await startOrigin(ok('third')),
  ];
  const reading: (() => void)[] = [];
  const changes = new Changes();
  const beforeReload = () =>
    new Promise<void>((resolve) => {
      reading.push(resolve);
      changes.notify();
    });
  const proxy = await startBreakwater(apiConfig(first), { beforeReload });
  const body = async () => (await get(`${proxy.url}/api/`)).body;

  proxy.rewrite(apiConfig(second));
  const one = proxy.app.reload();
  await changes.until(() => reading.length === 1);
  expect(await body()).toBe('first');
  const two = proxy.app.reload();
  const three = proxy.app.reload();
  reading[0]?.();
  expect(await one).toMatchObject({ ok: true });
  expect(await body()).toBe('second');

  proxy.rewrite(apiConfig(third));
  await changes.until(() => reading.length === 2);
  reading[1]?.();
  expect([await two, await three]).toMatchObject([{ ok: true }, { ok: true }]);
  expect(await body()).toBe('third');
  expect(reading).toHaveLength(2);
});

test('a reload that a stop overtakes changes nothing', async () => {
  const origin = await startOrigin(ok());
  let go = () => {};
  const beforeReload = () => new Promise<void>((resolve) => (go = resolve));
  const proxy = await startBreakwater(apiConfig(origin), { beforeReload });
  proxy.rewrite(apiConfig(origin, '    breaker: { min_requests: 5 }\n'));
  const reload = proxy.app.reload();
  await Promise.resolve();
  const stopped = proxy.app.stop(0);
  go();
  expect(await reload).toEqual({ ok: false, errors: ['the proxy is shutting down'] });
  await stopped;
  expect(proxy.logs.map(({ message }) => message)).not.toContain('configuration reloaded');
});
