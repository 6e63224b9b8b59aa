import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { type DurableClient, durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, type Origin, ok, startOrigin, status } from '../support/origin.ts';
import { minutes, untilScheduled } from '../support/schedules.ts';

const RATES = 'cron: "*/2 * * * *", request: { path: "/api/fx/latest?base=EUR" }';

function config(origin: Origin, schedule = RATES, store?: string): string {
  const top = schedule === '' ? '' : `schedules: { rates: { ${schedule} } }`;
  return durableConfig(origin, { top, ...(store !== undefined && { store }) });
}

interface Schedule {
  readonly name: string;
  readonly paused: boolean;
  readonly next: readonly string[];
  readonly last?: { readonly status: string; readonly slot?: string; readonly href: string };
  readonly last_success?: { readonly href: string };
}

async function schedules(client: DurableClient): Promise<readonly Schedule[]> {
  const reply = await client.admin('GET', '/schedules');
  return ((await reply.json()) as { schedules: readonly Schedule[] }).schedules;
}

const results = ({ proxy }: DurableClient) =>
  proxy.states.flatMap((event) => (event.type === 'schedule_slot' ? [event.result] : []));

/** Waits until all runs have ended. */
async function ended(client: DurableClient, count: number): Promise<void> {
  await client.proxy.until(
    () => client.proxy.states.filter(({ type }) => type === 'durable_ended').length >= count,
  );
}

// The clock begins at 2026-01-01T00:00:00Z, which is a slot.

test('promise: periodic requests, result stored for later reads: each slot has one run by the rules of its route, and others read the result', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok('first'), ok('second'));
  const client = await startDurable(config(origin), { clock });
  await ended(client, 1);
  await minutes(clock, 1);
  expect(origin.requests).toHaveLength(1);
  await minutes(clock, 1);
  await ended(client, 2);
  expect(origin.requests.map(({ method, url }) => [method, url])).toEqual([
    ['GET', '/fx/latest?base=EUR'],
    ['GET', '/fx/latest?base=EUR'],
  ]);

  const [rates] = await schedules(client);
  expect(rates).toMatchObject({
    name: 'rates',
    cron: '*/2 * * * *',
    timezone: 'UTC',
    route: 'api/default',
    paused: false,
    next: ['2026-01-01T00:04:00.000Z', '2026-01-01T00:06:00.000Z', '2026-01-01T00:08:00.000Z'],
    last: { status: 'succeeded', slot: '2026-01-01T00:02:00.000Z' },
  });
  expect(rates?.last_success).toEqual(rates?.last);
  const shown = await (await fetch(`${client.proxy.adminUrl}/api/config`)).text();
  expect(shown).toContain('*/2 * * * *');
  expect(shown).not.toContain('base=EUR');
  expect(await client.monitor(rates?.last?.href ?? '')).toMatchObject({ kind: 'scheduled', parent: 'rates' });
  const result = await client.call('GET', '/_breakwater/schedules/rates/response');
  expect([result.status, await result.text()]).toEqual([200, 'second']);
  expect(await (await fetch(`${client.proxy.adminUrl}/metrics`)).text()).toContain(
    'breakwater_schedule_slots_total{schedule="rates",result="started"} 2',
  );
});

test('a failed run is retried like any durable request, and the last successful result stays readable', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok('good'), status(404));
  const client = await startDurable(config(origin), { clock });
  await ended(client, 1);
  await minutes(clock, 2);
  await ended(client, 2);
  const [rates] = await schedules(client);
  expect(rates?.last).toMatchObject({ status: 'failed' });
  expect(await (await client.call('GET', '/_breakwater/schedules/rates/response')).text()).toBe('good');
});

test('promise: overlap policy: skip skips slots during an unfinished run, also for a manual run', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(hang());
  const client = await startDurable(
    config(origin).replace('url:', 'timeouts: { attempt: 1h, total: 1h }\n    url:'),
    {
      clock,
    },
  );
  await origin.untilRequests(1);
  await minutes(clock, 4);
  expect(results(client)).toEqual(['started', 'overlap', 'overlap']);
  expect(origin.requests).toHaveLength(1);
  expect((await client.admin('POST', '/schedules/rates/run')).status).toBe(409);
  expect(client.proxy.logs.map(({ message }) => message)).toContain(
    'schedule rates: slot 2026-01-01T00:02:00.000Z is skipped: the previous run is still in progress',
  );
});

test('overlap: queue runs every slot, one at a time', async () => {
  const clock = new FakeClock();
  let answer = () => undefined as unknown;
  const held = new Promise<void>((resolve) => {
    answer = () => resolve();
  });
  const origin = await startOrigin(async ({ response }) => {
    await held;
    response.end('late');
  }, ok());
  const yaml = config(origin, `${RATES}, overlap: queue`);
  const client = await startDurable(yaml.replace('url:', 'timeouts: { attempt: 1h, total: 1h }\n    url:'), {
    clock,
  });
  await origin.untilRequests(1);
  await minutes(clock, 4);
  expect(results(client)).toEqual(['started', 'started', 'started']);
  expect(origin.requests).toHaveLength(1);
  answer();
  await ended(client, 3);
  expect(origin.requests).toHaveLength(3);
});

test.each([
  ['latest', 1],
  ['none', 0],
])('catchup: %s runs %i of the missed slots', async (catchup, runs) => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const yaml = config(origin, `${RATES}, catchup: ${catchup}`, join(temporaryFolder(), 'store.db'));
  const before = await startDurable(yaml, { clock });
  await ended(before, 1);
  const stopped = before.proxy.app.stop(0);
  await clock.advance(1_000);
  await stopped;
  await clock.advance(3_659_000);

  const after = await startDurable(yaml, { clock });
  await ended(after, runs);
  await untilScheduled(clock);
  expect(origin.requests).toHaveLength(1 + runs);
  const [rates] = await schedules(after);
  expect(rates?.last).toMatchObject({
    slot: runs === 1 ? '2026-01-01T01:00:00.000Z' : '2026-01-01T00:00:00.000Z',
  });
  await minutes(clock, 1);
  await ended(after, runs + 1);
  expect(origin.requests).toHaveLength(2 + runs);
});

test('only operators can pause, run and resume a schedule', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const client = await startDurable(config(origin), { clock });
  await ended(client, 1);
  for (const what of ['run', 'pause', 'resume'])
    expect((await client.call('POST', `/_breakwater/schedules/rates/${what}`)).status).toBe(401);
  expect((await client.call('GET', '/_breakwater/schedules')).status).toBe(401);
  expect((await client.admin('POST', '/schedules/none/run')).status).toBe(404);

  expect(await (await client.admin('POST', '/schedules/rates/pause')).json()).toEqual({
    schedule: 'rates',
    paused: true,
  });
  await minutes(clock, 2);
  expect(results(client)).toEqual(['started', 'paused']);
  expect(await schedules(client)).toMatchObject([{ paused: true }]);
  const run = await client.admin('POST', '/schedules/rates/run');
  expect([run.status, run.headers.get('location')]).toEqual([
    202,
    expect.stringMatching(/^\/_breakwater\/requests\/req_/),
  ]);
  await ended(client, 2);
  await client.admin('POST', '/schedules/rates/resume');
  await minutes(clock, 2);
  await ended(client, 3);
  expect(origin.requests).toHaveLength(3);
});

test('a reload adds, changes and removes schedules', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const store = join(temporaryFolder(), 'store.db');
  const client = await startDurable(config(origin, '', store), { clock });
  expect(await schedules(client)).toEqual([]);
  const change = async (schedule: string) => {
    client.proxy.rewrite(config(origin, schedule, store));
    expect(await client.proxy.app.reload()).toMatchObject({ ok: true });
  };
  await change(RATES);
  await ended(client, 1);
  await change('cron: "5 * * * *", request: { method: PUT, path: /api/other, body: "{}" }');
  await minutes(clock, 5);
  await ended(client, 2);
  expect(origin.requests.map(({ method, url, body }) => [method, url, body.toString()])).toEqual([
    ['GET', '/fx/latest?base=EUR', ''],
    ['PUT', '/other', '{}'],
  ]);
  await change('');
  expect(await schedules(client)).toEqual([]);
  expect((await client.call('GET', '/_breakwater/schedules/rates/response')).status).toBe(404);
});

test('every run of a POST has a key of its own slot', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(503), ok());
  const schedule =
    'cron: "0 0 1 1 *", request: { method: POST, path: /api/report, headers: { accept: text/csv } }';
  const client = await startDurable(config(origin, schedule), { clock });
  await origin.untilRequests(1);
  await clock.untilWaiting('runner.ts', 1);
  await clock.advance(1);
  await ended(client, 1);
  const keys = origin.requests.map(({ headers }) => [headers['idempotency-key'], headers.accept]);
  expect(keys).toEqual([
    ['rates-2026-01-01T00:00:00.000Z', 'text/csv'],
    ['rates-2026-01-01T00:00:00.000Z', 'text/csv'],
  ]);
});

test('the result of a schedule fills the cache of its route, and the stored result stays unchanged', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(
    ok('first'),
    status(404),
    ok('second', { 'x-own': '1' }),
    ok('changed'),
    ok('third'),
  );
  const yaml = config(origin).replace('    allow_private', '    cache: 5m\n    allow_private');
  const client = await startDurable(yaml, { clock });
  const read = async (init: RequestInit = {}) => {
    const reply = await fetch(`${client.proxy.url}/api/fx/latest?base=EUR`, init);
    return [await reply.text(), reply.headers.get('breakwater-origin')];
  };
  await ended(client, 1);
  expect(await read()).toEqual(['first', 'cache']);
  await minutes(clock, 2);
  await ended(client, 2);
  // That run failed, so the result before it remains.
  expect(await read()).toEqual(['first', 'cache']);
  await minutes(clock, 2);
  await ended(client, 3);
  expect(await read()).toEqual(['second', 'cache']);
  expect(origin.requests).toHaveLength(3);
  const result = await client.call('GET', '/_breakwater/schedules/rates/response');
  expect([result.headers.get('x-own'), result.headers.get('cache-status')]).toEqual(['1', null]);

  // A durable request that changes something, as any other would.
  await client.done(await client.accepted({}, { method: 'DELETE' }, '/api/fx/latest?base=EUR'));
  expect(await read()).toEqual(['third', 'upstream']);
});

test('a client key with the name of a schedule does not block its runs', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const client = await startDurable(config(origin, `${RATES}, overlap: queue`), { clock });
  await ended(client, 1);
  await client.accepted({ 'breakwater-key': 'schedule:rates', 'breakwater-delay': '1h' });
  await minutes(clock, 2);
  await ended(client, 2);
  expect(results(client)).toEqual(['started', 'started']);
  const [rates] = await schedules(client);
  expect(await client.monitor(rates?.last?.href ?? '')).not.toHaveProperty('key');
});
