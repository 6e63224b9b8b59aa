import { expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type OriginExchange, type Step, startOrigin } from '../support/origin.ts';
import { startTidy } from '../support/tidy.ts';

/* A second attempt in parallel with a stuck one, as it works without configuration. */

/** Answers at once; while `hold` is set, it holds the next request for the test to answer. */
function oneHangs() {
  const held: OriginExchange[] = [];
  const state = { hold: false };
  const step: Step = async (exchange) => {
    if (state.hold) held.push(exchange);
    state.hold = false;
    await exchange.body();
    if (!held.includes(exchange)) exchange.response.end('quick');
  };
  return { held, state, step };
}

const config = (url: string, more = '') =>
  `upstreams:\n  api:\n    url: ${url}\n    allow_private: true\n${more}`;

async function start(more = '') {
  const clock = new FakeClock();
  const { held, state, step } = oneHangs();
  const origin = await startOrigin(step);
  const proxy = await startTidy(config(origin.url, more), { clock });
  const send = async () => {
    const reply = await fetch(`${proxy.url}/api/items/17`);
    return {
      status: reply.status,
      body: await reply.text(),
      attempts: reply.headers.get('breakwater-attempts'),
    };
  };
  const serve = async (count: number) => {
    for (let i = 0; i < count; i++) await send();
  };
  /** A call that hangs, while another is answered. */
  const hang = async () => {
    await serve(30);
    state.hold = true;
    const reply = send();
    await origin.untilRequests(31);
    await clock.advance(1);
    await serve(1);
    return reply;
  };
  return { clock, hang, held, origin, proxy, state };
}

const metric = async (proxy: Breakwater): Promise<string[]> => {
  const text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  return [...text.matchAll(/^breakwater_stuck_attempts_total\{.*result="(\w+)"\} (\d+)$/gm)].map(
    ([, result, count]) => `${result} ${count}`,
  );
};

test('a GET on a connection that hangs is rescued after 20 s, and log and metric say why', async () => {
  const { clock, hang, origin, proxy } = await start();
  const hung = hang();
  await origin.untilRequests(32);
  // First the attempt is suspected, then it is stuck.
  await clock.untilWaiting('attempt-watch.ts', 1_999);
  await clock.advance(1_999);
  expect(origin.requests.length).toBe(32);
  await clock.advance(18_000);
  expect(await hung).toEqual({ status: 200, body: 'quick', attempts: '2' });
  expect(origin.requests.length).toBe(33);
  const record = (await proxy.untilEnded(32)).at(-1);
  expect(record).toMatchObject({ outcome: 'rescued', notes: { stuck: 'won' } });
  await proxy.until(() => record?.entries[0]?.error !== undefined);
  expect(record?.entries).toMatchObject([
    { n: 1, error: 'hedge_lost' },
    { n: 2, status: 200, hedgedAfterMs: 20_000 },
  ]);
  expect(proxy.logs.find(({ fields }) => fields['stuck'] === 'won')?.message).toMatch(
    /GET api\/items\/17 200 rescued on attempt 2/,
  );
  expect(await metric(proxy)).toEqual(['won 1']);
});

test('the hung attempt may still answer first: then the second one is ended', async () => {
  const { clock, hang, held, origin, proxy, state } = await start();
  const hung = hang();
  await origin.untilRequests(32);
  await clock.untilWaiting('attempt-watch.ts', 1_999);
  state.hold = true;
  await clock.advance(19_999);
  await origin.untilRequests(33);
  held[0]?.response.end('late');
  expect(await hung).toMatchObject({ status: 200, body: 'late' });
  await origin.until(({ requests }) => requests[32]?.closed === true);
  expect(await metric(proxy)).toEqual(['lost 1']);
});

test.each([
  ['retry.attempts is 1', '    retry: off\n'],
  ['hedge is off', '    hedge: off\n'],
  ['the budget is empty', '    retry: { budget: { cap: 0 } }\n'],
])('none is sent where %s', async (_, more) => {
  const { clock, hang, held, origin } = await start(more);
  const hung = hang();
  await origin.untilRequests(32);
  await clock.untilWaiting('attempt-watch.ts', 1_999);
  await clock.advance(300_000);
  held[0]?.response.end('alone');
  expect(await hung).toEqual({ status: 200, body: 'alone', attempts: '1' });
  expect(origin.requests.length).toBe(32);
});

test('none is sent while the proxy drains', async () => {
  const clock = new FakeClock();
  const { held, state, step } = oneHangs();
  const origin = await startOrigin(step);
  const proxy = await startBreakwater(`drain_timeout: 100s\n${config(origin.url)}`, { clock });
  const send = async () => (await fetch(`${proxy.url}/api/items/17`)).text();
  for (let i = 0; i < 30; i++) await send();
  state.hold = true;
  const hung = send();
  await origin.untilRequests(31);
  await clock.advance(1);
  await send();
  const stopped = proxy.app.stop();
  await clock.advance(60_000);
  expect(origin.requests.length).toBe(32);
  held[0]?.response.end('in the drain');
  expect(await hung).toBe('in the drain');
  await clock.advance(60_000);
  await stopped;
});

test('a 404 of the second attempt is the answer, once the first has failed', async () => {
  const clock = new FakeClock();
  const { held, state, step } = oneHangs();
  let gone = false;
  const origin = await startOrigin((exchange) =>
    gone ? void exchange.response.writeHead(404).end('no such item') : step(exchange),
  );
  const proxy = await startTidy(config(origin.url), { clock });
  const send = () => fetch(`${proxy.url}/api/items/17`);
  for (let i = 0; i < 30; i++) await (await send()).text();
  state.hold = true;
  const hung = send();
  await origin.untilRequests(31);
  await clock.advance(1);
  await (await send()).text();
  gone = true;
  await clock.untilWaiting('attempt-watch.ts', 1_999);
  await clock.advance(20_000);
  await origin.until(({ requests }) => requests[32]?.closed === true);
  held[0]?.request.socket.resetAndDestroy();
  const reply = await hung;
  expect([reply.status, await reply.text(), origin.requests.length]).toEqual([404, 'no such item', 33]);
  expect(await metric(proxy)).toEqual(['failed 1']);
});

test('a durable GET that hangs gives its place back too; a durable PUT waits, because it might be made twice', async () => {
  const clock = new FakeClock();
  const { held, state, step } = oneHangs();
  const origin = await startOrigin(step);
  const client = await startDurable(durableConfig(origin), { clock });
  const run = async (method: string, hold: boolean) => {
    state.hold = hold;
    const init = method === 'GET' ? { method, body: null } : { method };
    return client.accepted({}, init, '/api/items/17');
  };
  for (let i = 0; i < 30; i++) await client.done(await run('GET', false));
  for (let i = 0; i < 30; i++) await client.done(await run('PUT', false));
  const hungGet = await run('GET', true);
  await origin.untilRequests(61);
  const hungPut = await run('PUT', true);
  await origin.untilRequests(62);
  await clock.advance(1);
  await client.done(await run('GET', false));
  await clock.advance(20_000);
  expect(await client.done(hungGet)).toMatchObject({ status: 'succeeded', attempts: { made: 1 } });
  await clock.advance(60_000);
  expect((await client.monitor(hungPut)).status).toBe('running');
  expect(origin.requests.length).toBe(64);
  held[1]?.response.end('late');
  expect((await client.done(hungPut)).status).toBe('succeeded');
});

test('a durable GET at its last attempt gets no second one', async () => {
  const clock = new FakeClock();
  const { held, state, step } = oneHangs();
  const origin = await startOrigin(step);
  const client = await startDurable(durableConfig(origin, { durable: 'attempts: 1' }), { clock });
  const get = () => client.accepted({}, { method: 'GET', body: null }, '/api/items/17');
  for (let i = 0; i < 30; i++) await client.done(await get());
  state.hold = true;
  const hung = await get();
  await origin.untilRequests(31);
  await clock.advance(1);
  await client.done(await get());
  await clock.advance(60_000);
  held[0]?.response.end('late');
  expect((await client.done(hung)).status).toBe('succeeded');
  expect(origin.requests.length).toBe(32);
});
