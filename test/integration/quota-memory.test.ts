import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { type Running, run, temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { type Origin, startOrigin } from '../support/origin.ts';

/* Real processes and a real file. `test/unit/quota-memory.test.ts` asserts the times, in virtual time. */

const WAIT = { timeout: 20_000, interval: 10 };

interface State {
  readonly quota_memory?: { readonly credentials: number; readonly unwritten: number };
  readonly upstreams: readonly {
    readonly scopes: readonly {
      readonly quota?: { readonly credentials: readonly { readonly cooldown?: object }[] };
    }[];
  }[];
}

interface Started {
  readonly process: Running;
  readonly ask: (path: string) => Promise<number>;
  readonly state: () => Promise<State>;
  readonly metrics: () => Promise<string>;
}

const config = ({ url }: Origin, folder: string) => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
durable: { store: ${join(folder, 'store.db')} }
defaults: { retry: off }
upstreams:
  daily: { url: ${url}, allow_private: true, durable: on, quota: { windows: [3/d], wait: 1ms } }
  gated: { url: ${url}, allow_private: true, quota: { scope: credential, wait: 1ms } }
`;

/** The compile cache of the process before reduces the start time to a third. */
async function start(folder: string): Promise<Started> {
  const env = { NODE_COMPILE_CACHE: join(folder, 'compiled') };
  const args = ['src/main.ts', 'start', '--config', join(folder, 'config.yaml')];
  const process_ = run(process.execPath, args, { env });
  const [, adminUrl = '', url = ''] = await process_.untilPrinted(
    /"admin":"(http:[^"]+)".*listening on (http:[^"]+)"/,
  );
  const get = async (where: string) => {
    const reply = await fetch(where, { headers: { authorization: 'Bearer s3cret', connection: 'close' } });
    return { status: reply.status, text: await reply.text() };
  };
  return {
    process: process_,
    ask: async (path) => (await get(`${url}${path}`)).status,
    state: async () => JSON.parse((await get(`${adminUrl}/api/state`)).text) as State,
    metrics: async () => (await get(`${adminUrl}/metrics`)).text,
  };
}

async function end({ process: running }: Started, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  running.child.kill(signal);
  await running.ended();
}

const untilWritten = ({ state }: Started, credentials: number) =>
  vi.waitFor(
    async () => expect((await state()).quota_memory).toMatchObject({ credentials, unwritten: 0 }),
    WAIT,
  );

test('used units and a cooldown outlive a process that is killed, and one that is stopped', {
  timeout: 30_000,
}, async () => {
  const seen: string[] = [];
  const origin = await startOrigin(({ request, response }) => {
    const path = request.url ?? '';
    seen.push(path);
    response.writeHead(path === '/limited' ? 429 : 200, { 'retry-after': '600' }).end('ok');
  });
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'config.yaml'), config(origin, folder));

  const first = await start(folder);
  expect(await first.ask('/daily/x')).toBe(200);
  expect(await first.ask('/daily/x')).toBe(200);
  for (let i = 0; i < 2; i++) expect(await first.ask('/gated/limited')).toBe(429);
  await untilWritten(first, 2);
  await end(first, 'SIGKILL');

  // The process is stopped within the second in which it would have written.
  const second = await start(folder);
  await second.process.untilPrinted(/"remembered":2.*quotas of an earlier process are remembered/);
  expect(await second.ask('/daily/x')).toBe(200);
  expect(await second.ask('/daily/x')).toBe(429);
  await end(second, 'SIGTERM');

  const third = await start(folder);
  const before = seen.length;
  expect(await third.ask('/daily/x')).toBe(429);
  await third.process.untilPrinted(/quota of daily: what an earlier process knew about one credential/);
  // It may be a probe, which the upstream refuses too.
  expect(await third.ask('/gated/limited')).toBe(429);
  await third.process.untilPrinted(/quota of gated: all calls of one credential wait .*an earlier process/);
  expect(seen.slice(before)).not.toContain('/x');
  const { upstreams } = await third.state();
  expect(JSON.stringify(upstreams)).toContain('"reported_by":"an earlier process"');
  const metrics = await third.metrics();
  expect(metrics).toContain('breakwater_quota_remembered_total{upstream="daily",scope="daily"} 1');
  expect(metrics).toContain(
    'breakwater_quota_cooldowns_remembered_total{upstream="gated",scope="gated",cause="retry_after"} 1',
  );
});

test('a durable request that waits is not sent by the next process while the quota is used up', async () => {
  const origin = await startOrigin();
  const yaml = durableConfig(origin, { more: '    quota: { windows: [1/d], wait: 1ms }\n' });
  const first = await startDurable(yaml);
  expect((await first.call('GET', '/api/x')).status).toBe(200);
  const location = await first.accepted({ 'breakwater-delay': '30m' });
  await first.proxy.app.stop(0);
  // It is due at once in the next process, which starts an hour later.
  const clock: Clock = { ...systemClock, wallTime: () => systemClock.wallTime() + 3_600_000 };
  const second = await startDurable(yaml, { clock });
  await second.proxy.until(() => second.proxy.states.some(({ type }) => type === 'durable_deferred'));
  expect((await second.monitor(location)).attempts.made).toBe(0);
  expect(origin.requests.length).toBe(1);
});

test('a reload that changes how a quota learns takes nothing for the knowledge of an earlier process', async () => {
  const origin = await startOrigin();
  const yaml = durableConfig(origin, { more: '    quota: { windows: [3/d], wait: 1ms }\n' });
  const client = await startDurable(yaml);
  const { proxy } = client;
  for (let i = 0; i < 2; i++) expect((await client.call('GET', '/api/x')).status).toBe(200);
  const written = async () => JSON.parse(await (await fetch(`${proxy.adminUrl}/api/state`)).text()) as State;
  await vi.waitFor(
    async () => expect((await written()).quota_memory).toMatchObject({ credentials: 1, unwritten: 0 }),
    WAIT,
  );
  proxy.rewrite(yaml.replace('wait', 'learn: false, wait'));
  expect(await proxy.app.reload()).toMatchObject({ ok: true });
  expect((await client.call('GET', '/api/x')).status).toBe(200);
  expect((await client.call('GET', '/api/x')).status).toBe(429);
  expect(proxy.states.filter(({ type }) => type === 'quota_remembered')).toEqual([]);
});
