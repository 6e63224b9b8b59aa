import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, type Origin, type RecordedRequest, startOrigin, status } from '../support/origin.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

const events = ({ url }: Pick<Origin, 'url'>, more = `, secret: ${SECRET}`) =>
  `\nevents: { webhook: "${url}/hook/s3cret?t=1", allow_private: true${more} }\n`;

const SLACK = ', format: slack';

async function force(proxy: Breakwater, to: string): Promise<void> {
  const reply = await fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ force: to }),
  });
  expect(reply.status).toBe(200);
}

const textOf = (request: RecordedRequest | undefined) =>
  (JSON.parse(request?.body.toString() ?? '{}') as { text: string }).text;

const outcomes = ({ states }: Breakwater) =>
  states.flatMap((state) => (state.type === 'operator_event' ? [state.outcome] : []));

test('an upstream that fails opens its breaker, and the operator gets a signed message', async () => {
  const receiver = await startOrigin(status(204));
  const breaker = '    retry: { attempts: 1 }\n    breaker: { connect_failures: 3 }\n';
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }, breaker) + events(receiver));
  for (let i = 0; i < 4; i++) await fetch(`${proxy.url}/api/`);
  await receiver.until(({ requests }) => requests[0]?.complete === true);
  const [request] = receiver.requests;
  expect(request).toMatchObject({ method: 'POST', url: '/hook/s3cret?t=1' });
  const headers = request?.headers as Record<string, string>;
  expect(new Webhook(SECRET).verify(request?.body.toString() ?? '', headers)).toMatchObject({
    type: 'breaker.opened',
    data: { upstream: 'api', scope: 'api', cause: 'connect_failures', changes: 1 },
  });
  expect(headers['webhook-id']).toMatch(/^evt_[\da-f]{32}$/);
  await proxy.until(() => outcomes(proxy).includes('delivered'));
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_operator_events_total{outcome="delivered"} 1');
});

test('a quota that is used up, and a refused reload, are reported; types selects', async () => {
  const receiver = await startOrigin(status(204));
  const used = { error: { type: 'insufficient_quota', code: 'insufficient_quota' } };
  const origin = await startOrigin(status(429, { 'content-type': 'application/json' }, JSON.stringify(used)));
  const text = (types = '') =>
    apiConfig(origin, '    preset: openai\n') + events(receiver, `${SLACK}${types}`);
  const proxy = await startBreakwater(text(', types: [quota.exhausted, config.refused]'));
  for (const to of ['open', 'auto']) await force(proxy, to);
  await fetch(`${proxy.url}/api/v1/chat/completions`, { method: 'POST', body: '{}' });
  await receiver.untilRequests(1);
  proxy.rewrite('upstreams: { }');
  await proxy.app.reload();
  await receiver.untilRequests(2);
  await receiver.until(({ requests }) => requests[1]?.complete === true);
  expect(receiver.requests.map(textOf)).toEqual([
    expect.stringContaining('quota of api is used up') as string,
    expect.stringContaining('a new configuration was refused') as string,
  ]);
});

const changesOf = ({ states }: Breakwater) =>
  states.flatMap((state) => (state.type === 'breaker_changed' ? [`${state.to}: ${state.cause}`] : []));

const BREAKER = '    breaker: { min_requests: 5 }\n    retry: off\n';

test.each([
  ['replaced', (yaml: string) => yaml.replace('min_requests: 5', 'min_requests: 6')],
  ['removed', (yaml: string) => yaml.replace('  api:', '  other:')],
])('an open breaker that a reload has %s is reported as closed', async (_, edited) => {
  const clock = new FakeClock();
  const receiver = await startOrigin(ok());
  const yaml = apiConfig({ url: 'http://127.0.0.1:1' }, BREAKER) + events(receiver, SLACK);
  const proxy = await startBreakwater(yaml, { clock });
  await force(proxy, 'open');
  await proxy.until(() => outcomes(proxy).includes('delivered'));
  proxy.rewrite(edited(yaml));
  await proxy.app.reload();
  await clock.advance(60_000);
  await receiver.until(({ requests }) => requests[1]?.complete === true);
  expect(textOf(receiver.requests[1])).toContain('api closed: a reload has replaced or removed it');
  expect(changesOf(proxy)).toEqual(['open: forced', 'closed: reload']);
});

test('calls that still run on a breaker that a reload has replaced open none that anyone sees', async () => {
  const origin = await startOrigin(hang());
  const yaml = apiConfig(origin, BREAKER);
  const proxy = await startBreakwater(yaml);
  const running = Array.from({ length: 5 }, () => fetch(`${proxy.url}/api/`));
  await origin.untilRequests(5);
  proxy.rewrite(yaml.replace('min_requests: 5', 'min_requests: 4'));
  await proxy.app.reload();
  await origin.close();
  await Promise.all(running);
  expect(changesOf(proxy)).toEqual([]);
});

test('a flapping breaker is one message a minute, with the latest state', async () => {
  const clock = new FakeClock();
  const receiver = await startOrigin(ok());
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }) + events(receiver, SLACK), {
    clock,
  });
  await force(proxy, 'open');
  await proxy.until(() => outcomes(proxy).includes('delivered'));
  for (let i = 0; i < 10; i++) for (const to of ['closed', 'open']) await force(proxy, to);
  await force(proxy, 'closed');
  await clock.advance(60_000);
  await receiver.untilRequests(2);
  await proxy.until(() => outcomes(proxy).filter((outcome) => outcome === 'delivered').length === 2);
  expect(textOf(receiver.requests[1])).toMatch(/breaker of api closed: forced.* \(the last of 21 changes\)$/);
  expect(outcomes(proxy).filter((outcome) => outcome === 'merged')).toHaveLength(20);
});

test('a webhook that fails is tried again with the same id, and the log has one line without its path', async () => {
  const clock = new FakeClock();
  const receiver = await startOrigin(status(503), status(429, { 'retry-after': '7' }), ok());
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }) + events(receiver), { clock });
  await force(proxy, 'open');
  const asked: boolean[] = [];
  for (const [failures, waitMs] of [
    [1, 1_000],
    [2, 7_000],
  ] as const) {
    await proxy.until(() => outcomes(proxy).filter((outcome) => outcome === 'failed').length === failures);
    asked.push(clock.deadlines.includes(clock.now() + 7_000));
    await clock.advance(waitMs);
  }
  await proxy.until(() => outcomes(proxy).includes('delivered'));
  expect(asked).toEqual([false, true]);
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  const lines = proxy.logs.filter(({ message }) => message.includes('event'));
  expect(lines.map(({ level }) => level)).toEqual(['warn', 'info']);
  const config = await (
    await fetch(`${proxy.adminUrl}/api/config`, { headers: { connection: 'close' } })
  ).text();
  expect(JSON.stringify(proxy.logs) + config).not.toContain('s3cret');
});

test('a message that the webhook refuses is not sent again', async () => {
  const receiver = await startOrigin(status(404));
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }) + events(receiver, SLACK));
  await force(proxy, 'open');
  await proxy.until(() => outcomes(proxy).includes('refused'));
  expect(receiver.requests).toHaveLength(1);
  expect(proxy.logs.some(({ message }) => message.includes('refused a message: it answered 404'))).toBe(true);
});

test('a webhook that does not answer has failed after 10 s', async () => {
  const clock = new FakeClock();
  const receiver = await startOrigin(hang());
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }) + events(receiver), { clock });
  await force(proxy, 'open');
  await receiver.untilRequests(1);
  await clock.advance(9_999);
  expect(outcomes(proxy)).toEqual([]);
  await clock.advance(1);
  await proxy.until(() => outcomes(proxy).includes('failed'));
});

test('a reload that changes nothing of the events does not break a delivery', async () => {
  const { promise: reloaded, resolve: answer } = Promise.withResolvers<void>();
  const receiver = await startOrigin(async (exchange) => {
    await reloaded;
    await ok()(exchange);
  });
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }) + events(receiver));
  await force(proxy, 'open');
  await receiver.untilRequests(1);
  expect((await proxy.app.reload()).ok).toBe(true);
  answer();
  await proxy.until(() => outcomes(proxy).length > 0);
  expect(outcomes(proxy)).toEqual(['delivered']);
});

test('without a webhook nothing is kept for one', async () => {
  const proxy = await startBreakwater(apiConfig({ url: 'http://127.0.0.1:1' }));
  await force(proxy, 'open');
  expect(outcomes(proxy)).toEqual([]);
});
