import { get, type IncomingMessage } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { Changes } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, type Step, startOrigin, status } from '../support/origin.ts';

interface State {
  readonly names?: readonly string[];
  readonly upstreams: readonly { readonly name: string; readonly last_minute?: { readonly calls: number } }[];
  readonly notable_calls: number;
  readonly refused_reload?: { readonly problems: readonly string[] };
}

const UPSTREAMS = (url: string) =>
  `upstreams:\n  api: { url: '${url}', allow_private: true, retry: off }\n  other: { url: 'http://127.0.0.1:1', allow_private: true }\n`;

/** The messages of `/api/live` as they come. */
async function live({ adminUrl }: Pick<Breakwater, 'adminUrl'>, headers = {}) {
  const changes = new Changes();
  const messages: State[] = [];
  const res = await new Promise<IncomingMessage>((resolve, reject) => {
    const req = get(`${adminUrl}/api/live`, { headers, agent: false }, resolve).on('error', reject);
    onTestFinished(() => void req.destroy());
  });
  let text = '';
  res.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = `${text}${chunk}`.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) messages.push(JSON.parse(part.replace(/^event: state\ndata: /, '')) as State);
    changes.notify();
  });
  res.on('error', () => {});
  return { res, messages, until: (holds: () => boolean) => changes.until(holds) };
}

test('the first message has all, the next ones what has changed', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(UPSTREAMS(origin.url));
  const { res, messages, until } = await live(proxy);
  expect(res.headers['content-type']).toBe('text/event-stream; charset=utf-8');
  await until(() => messages.length > 0);
  expect(messages[0]).toMatchObject({
    names: ['api', 'other'],
    upstreams: [{ name: 'api' }, { name: 'other' }],
  });
  await (await fetch(`${proxy.url}/api/`)).text();
  await until(() => messages.slice(1).some(({ upstreams }) => upstreams.length > 0));
  const change = messages.slice(1).find(({ upstreams }) => upstreams.length > 0);
  expect(change?.upstreams).toMatchObject([{ name: 'api', last_minute: { calls: 1 } }]);
  expect(change?.names).toBeUndefined();
});

test('a notable call and a refused reload are in the next message', async () => {
  const origin = await startOrigin(status(503));
  const proxy = await startBreakwater(UPSTREAMS(origin.url));
  const { messages, until } = await live(proxy);
  await (await fetch(`${proxy.url}/api/`)).text();
  await until(() => messages.at(-1)?.notable_calls === 1);
  proxy.rewrite('upstreams: { api: { urll: 1 } }');
  await proxy.app.reload();
  await until(() => messages.at(-1)?.refused_reload !== undefined);
  expect(messages.at(-1)?.refused_reload?.problems[0]).toMatch(/config\.yaml:3:\d+ .*url: is missing/);
  proxy.rewrite(UPSTREAMS(origin.url));
  await proxy.app.reload();
  await until(() => messages.at(-1)?.refused_reload === undefined);
});

test('a reload that removes an upstream sends the new names', async () => {
  const proxy = await startBreakwater(UPSTREAMS('http://127.0.0.1:1'));
  const { messages, until } = await live(proxy);
  await until(() => messages.length > 0);
  proxy.rewrite("upstreams: { other: { url: 'http://127.0.0.1:1', allow_private: true } }");
  await proxy.app.reload();
  await until(() => messages.at(-1)?.names !== undefined && messages.length > 1);
  expect(messages.findLast(({ names }) => names !== undefined)?.names).toEqual(['other']);
  proxy.rewrite(UPSTREAMS('http://127.0.0.1:1'));
  await proxy.app.reload();
  await until(() => messages.at(-1)?.names?.length === 2);
  // It is as it was, but the page has forgotten it.
  expect(messages.at(-1)?.upstreams.map(({ name }) => name)).toContain('api');
});

test('it needs the token, and other web pages cannot read it', async () => {
  const proxy = await startBreakwater(`admin_token: s3cret\n${UPSTREAMS('http://127.0.0.1:1')}`);
  const statusOf = async (headers: Record<string, string>) => (await live(proxy, headers)).res.statusCode;
  expect(await statusOf({})).toBe(401);
  expect(await statusOf({ authorization: 'Bearer s3cret' })).toBe(200);
  expect(await statusOf({ authorization: 'Bearer s3cret', origin: 'http://evil.example' })).toBe(403);
});

test('the number of streams is limited, and a closed one makes room', async () => {
  const proxy = await startBreakwater(UPSTREAMS('http://127.0.0.1:1'));
  const open = await Promise.all(Array.from({ length: 32 }, () => live(proxy)));
  expect((await live(proxy)).res.statusCode).toBe(503);
  open[0]?.res.destroy();
  for (;;) if ((await live(proxy)).res.statusCode === 200) break;
});

test('a reload changes which calls are slow, and so notable', async () => {
  const late: Step = async (exchange) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return ok()(exchange);
  };
  const origin = await startOrigin(late);
  const proxy = await startBreakwater(`log: { slow: 1h }\n${UPSTREAMS(origin.url)}`);
  const seen = async () => {
    const calls = await fetch(`${proxy.adminUrl}/api/calls`);
    return ((await calls.json()) as { seen: number }).seen;
  };
  await (await fetch(`${proxy.url}/api/`)).text();
  await proxy.untilEnded(1);
  expect(await seen()).toBe(0);
  proxy.rewrite(`log: { slow: 1ms }\n${UPSTREAMS(origin.url)}`);
  await proxy.app.reload();
  await (await fetch(`${proxy.url}/api/`)).text();
  await proxy.untilEnded(2);
  expect(await seen()).toBe(1);
});

test('a breaker that a reload replaces is closed in the traffic too', async () => {
  const clock = new FakeClock();
  const config = (breaker: string) =>
    `upstreams: { api: { url: 'http://127.0.0.1:1', allow_private: true, retry: off, breaker: ${breaker} } }`;
  const proxy = await startBreakwater(config('{}'), { clock });
  const opened = () => proxy.states.some((state) => state.type === 'breaker_changed' && state.to === 'open');
  while (!opened()) await (await fetch(`${proxy.url}/api/`)).text();
  const states = async () => {
    const answer = await fetch(`${proxy.adminUrl}/api/traffic`);
    const { upstreams } = (await answer.json()) as { upstreams: readonly { breaker: readonly number[] }[] };
    return upstreams[0]?.breaker.slice(-2);
  };
  await clock.advance(5_000);
  expect(await states()).toEqual([2, 2]);
  proxy.rewrite(config('off'));
  await proxy.app.reload();
  await clock.advance(10_000);
  expect(await states()).toEqual([0, 0]);
});
