import { describe, expect, onTestFinished, test } from 'vitest';
import { type DemoApi, startDemoApi } from '../../examples/demo-api/server.ts';
import { apiConfig, NO_WAIT } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { startTidy } from '../support/tidy.ts';

const BODY = JSON.stringify({ model: 'm', max_tokens: 9, stream: true, messages: [] });
const FIRST_EVENT_MS = 300_000;

interface Api {
  readonly upstream: string;
  readonly path: string;
}

const RULES = `
    routes: [{ match: { path: /** }, retry: { safe: true } }]
    stream:
      first_event: 5m
      error: [{ body: { /error: "*" }, status: 503 }]
      done: [{ body: { /done: "true" } }]
`;

const APIS: Readonly<Record<string, Api>> = {
  'OpenAI chat': { upstream: '    preset: openai\n', path: '/v1/chat/completions' },
  'Azure OpenAI': { upstream: '    preset: azure-openai\n', path: '/openai/deployments/d/chat/completions' },
  Anthropic: { upstream: '    preset: anthropic\n', path: '/v1/messages' },
  Google: { upstream: '    preset: google\n', path: '/v1beta/models/m:streamGenerateContent' },
  'OpenAI responses, where they may be repeated': {
    upstream: '    preset: openai\n    routes: [{ match: { path: /v1/responses }, retry: { safe: true } }]\n',
    path: '/v1/responses',
  },
  'NDJSON with rules of its own': { upstream: RULES, path: '/api/chat' },
};
const apis = Object.entries(APIS);

/** Each is a failed attempt, although its status is 200. */
const FAULTS = ['error', 'failed', 'stall', 'comments', 'pings', 'end', 'cut@1'] as const;
const SILENT: ReadonlySet<string> = new Set(['stall', 'comments', 'pings']);

async function startDemo(): Promise<DemoApi> {
  const demo = await startDemoApi({ port: 0, host: '127.0.0.1', habits: 'interval=0ms' });
  onTestFinished(() => demo.close());
  return demo;
}

async function start(upstream: string, fault: string, more = '', faked = SILENT.has(fault)) {
  const clock = faked ? new FakeClock() : undefined;
  const demo = await startDemo();
  const yaml = `${NO_WAIT}
upstreams:
  api:
    url: ${demo.url}
    allow_private: true
    mount: { path: / }
${upstream}${more.replaceAll('DEMO', demo.url)}`;
  const proxy = await startTidy(yaml, clock === undefined ? {} : { clock });
  return { clock, demo, proxy };
}

const post = (url: string) =>
  fetch(url, { method: 'POST', body: BODY, headers: { 'content-type': 'application/json' } });

/** The good stream, from the API itself. */
async function goodOf({ url }: DemoApi, path: string): Promise<string> {
  return (await post(`${url}${path}`)).text();
}

/** Requests as the API saw them. */
async function outcomes({ url }: DemoApi): Promise<readonly string[]> {
  const log = (await (await fetch(`${url}/_log`)).json()) as readonly { readonly outcome: string }[];
  return log.map(({ outcome }) => outcome);
}

/** The reply, after the silence of a silent stream has lasted for too long. */
async function answered(replying: Promise<Response>, clock: FakeClock | undefined): Promise<Response> {
  if (clock !== undefined) {
    await clock.untilWaiting('stream-body.ts', FIRST_EVENT_MS);
    await clock.advance(FIRST_EVENT_MS);
  }
  return replying;
}

describe.each(apis)('%s', (_, { upstream, path }) => {
  test.each(FAULTS)('after %s, the client sees one good stream, byte for byte', async (fault) => {
    const { clock, demo, proxy } = await start(upstream, fault);
    const good = await goodOf(demo, path);
    const reply = await answered(post(`${proxy.url}${path}?script=${fault},200`), clock);
    expect([reply.status, await reply.text()]).toEqual([200, good]);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
    expect((await outcomes(demo)).slice(1)).toEqual([
      expect.stringMatching(`^${fault.split('@')[0]}`),
      '200',
    ]);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      outcome: 'rescued',
      notes: { stream: 'complete' },
    });
  });

  test.each(FAULTS)('after %s without an attempt that is left, the fallback answers', async (fault) => {
    const spare = `    retry: { attempts: 1 }
    fallback: { upstream: spare, unsafe: true }
  spare: { url: DEMO, allow_private: true, mount: { path: /spare }, headers: { set: { demo-api: "script=200" } } }
`;
    const { clock, demo, proxy } = await start(upstream, fault, spare);
    const good = await goodOf(demo, path);
    const target = `${proxy.url}${path}?of=${fault}`;
    const replying = fetch(target, {
      method: 'POST',
      body: BODY,
      headers: { 'content-type': 'application/json', 'demo-api': `fault=${fault}` },
    });
    const reply = await answered(replying, clock);
    expect([reply.status, await reply.text()]).toEqual([200, good]);
    expect(reply.headers.get('breakwater-origin')).toBe('fallback');
    expect((await outcomes(demo)).slice(2)).toEqual(['200']);
  });

  test.each(FAULTS)('after %s at one target, the stream of another one follows at once', async (fault) => {
    const other = await startDemo();
    const targets = `    retry: { attempts: 2, backoff: { kind: constant, base: 10s } }
    targets:
      - { name: first, headers: { set: { demo-api: "fault=${fault}" } } }
      - { name: second, url: ${other.url}, headers: { set: { demo-api: "script=200" } } }
`;
    const { clock, demo, proxy } = await start(upstream, fault, targets);
    const good = await goodOf(demo, path);
    const reply = await answered(post(`${proxy.url}${path}?of=${fault}`), clock);
    expect([reply.status, await reply.text()]).toEqual([200, good]);
    expect(reply.headers.get('breakwater-target')).toBe('second');
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'rescued', notes: { stream: 'complete' } });
    expect(record?.entries.map(({ target, waitMs }) => [target, waitMs])).toEqual([
      ['first', 0],
      ['second', 0],
    ]);
    expect([(await outcomes(demo)).slice(1), await outcomes(other)]).toEqual([
      [expect.stringMatching(`^${fault.split('@')[0]}`)],
      ['200'],
    ]);
  });
});

test.each([
  ['Azure OpenAI', 'the result of the filter', '2'],
  ['Anthropic', 'message_start', '2'],
  ['OpenAI responses, where they may be repeated', 'response.created and response.in_progress', '3'],
])('%s: faults after %s come before the first event', async (name, _, at) => {
  const { upstream, path } = APIS[name] as Api;
  for (const fault of ['error', 'end', 'cut', 'stall']) {
    const { clock, demo, proxy } = await start(upstream, fault);
    const good = await goodOf(demo, path);
    const reply = await answered(post(`${proxy.url}${path}?script=${fault}@${at},200`), clock);
    expect([reply.status, await reply.text()]).toEqual([200, good]);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
  }
});

describe('a response of OpenAI, which may not be repeated', () => {
  const openai = '    preset: openai\n';
  const path = '/v1/responses';

  test('gets its error once, as the API sent it', async () => {
    const { demo, proxy } = await start(openai, 'error');
    const direct = await (await post(`${demo.url}${path}?fault=error`)).text();
    const reply = await post(`${proxy.url}${path}?script=error,200`);
    expect([reply.status, await reply.text()]).toEqual([200, direct]);
    expect(reply.headers.get('breakwater-attempts')).toBe('1');
    expect(await outcomes(demo)).toHaveLength(2);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ status: 500, notes: { stream: 'error_event' } });
  });

  test('is repeated after an overload, because nothing was processed', async () => {
    const { demo, proxy } = await start(openai, 'failed');
    const good = await goodOf(demo, path);
    const reply = await post(`${proxy.url}${path}?script=failed@3,200`);
    expect([reply.headers.get('breakwater-attempts'), await reply.text()]).toEqual(['2', good]);
  });

  test('is repeated after an overload, although each of its events repeats long instructions', async () => {
    const long = 'x'.repeat(100_000);
    const event = (type: string, error: object | null) =>
      `event: ${type}\ndata: ${JSON.stringify({ type, response: { instructions: long, error } })}\n\n`;
    const head = event('response.created', null) + event('response.in_progress', null);
    const overloaded = head + event('response.failed', { code: 'server_is_overloaded' });
    const good = head + event('response.completed', null);
    const sse = { 'content-type': 'text/event-stream' };
    const origin = await startOrigin(ok(overloaded, sse), ok(good, sse));
    const proxy = await startTidy(apiConfig(origin, openai));
    const reply = await post(`${proxy.url}/api${path}`);
    expect([reply.headers.get('breakwater-attempts'), await reply.text()]).toEqual(['2', good]);
  });

  test('is repeated after an overload in a plain reply with status 200', async () => {
    const { demo, proxy } = await start(openai, 'error');
    const plain = (url: string) => fetch(url, { method: 'POST', body: '{"model":"m"}' });
    expect(await (await plain(`${demo.url}${path}?fault=error`)).json()).toMatchObject({ status: 'failed' });
    const reply = await plain(`${proxy.url}${path}?script=error,200`);
    expect([reply.headers.get('breakwater-attempts'), await reply.json()]).toMatchObject([
      '2',
      { status: 'completed' },
    ]);
    expect((await proxy.untilEnded(1))[0]?.entries[0]).toMatchObject({ detail: 'response_overloaded' });
  });

  test.each([...SILENT])('gets 504 once after %s', async (fault) => {
    const { clock, demo, proxy } = await start(openai, fault);
    const reply = await answered(post(`${proxy.url}${path}?script=${fault},200`), clock);
    expect([reply.status, await reply.json()]).toMatchObject([504, { code: 'first_event_timeout' }]);
    expect(reply.headers.get('breakwater-attempts')).toBe('1');
    expect(await outcomes(demo)).toHaveLength(1);
  });
});

test('an error of Gemini outside of any event is found, before and after the first event', async () => {
  const { proxy } = await start('    preset: google\n    retry: off\n', 'failed');
  const path = '/v1beta/models/m:streamGenerateContent';
  for (const at of ['', '@3']) await (await post(`${proxy.url}${path}?fault=failed${at}`)).text();
  const [first, later] = await proxy.untilEnded(2);
  expect(first).toMatchObject({ status: 503, notes: { stream: 'error_event', events: 1 } });
  expect(later?.notes).toMatchObject({ stream: 'error_event', stream_error: 'unavailable', events: 3 });
});

test.each([...FAULTS])('an API that answers every stream with %s opens the breaker', async (fault) => {
  const breaker = '    preset: anthropic\n    retry: off\n    breaker: { consecutive_failures: 3 }\n';
  const { clock, demo, proxy } = await start(breaker, fault, '', true);
  for (let call = 1; call <= 3; call++) {
    // Failures of one moment do not open it.
    await clock?.advance(1_000);
    const replying = post(`${proxy.url}/v1/messages?fault=${fault}`);
    await (await answered(replying, SILENT.has(fault) ? clock : undefined)).text();
    await proxy.untilEnded(call);
  }
  const refused = await post(`${proxy.url}/v1/messages?fault=${fault}`);
  expect(await refused.json()).toMatchObject({ code: 'breaker_open' });
  expect(await outcomes(demo)).toHaveLength(3);
});
