import { describe, expect, onTestFinished, test } from 'vitest';
import { startDemoApi } from '../../examples/demo-api/server.ts';
import { FORMS } from '../../examples/demo-api/streams/frames.ts';
import { Anthropic, OpenAI } from '../../examples/sdk-retries/sdks.ts';
import { NO_WAIT } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startTidy, untilState } from '../support/tidy.ts';

const FIRST_EVENT_MS = 300_000;
const messages = [{ role: 'user' as const, content: 'hello' }];

/** All events that an SDK yields for a stream. */
async function all(stream: PromiseLike<AsyncIterable<unknown>>): Promise<readonly unknown[]> {
  const events: unknown[] = [];
  for await (const event of await stream) events.push(event);
  return events;
}

type Ask = (url: string, asked: string) => Promise<readonly unknown[]>;

/** The SDKs as they are. `asked` says how the demo API is to answer. */
const openai = (url: string, asked: string) =>
  new OpenAI({ apiKey: 'k', baseURL: `${url}/v1`, defaultHeaders: { 'demo-api': asked } });

const SDKS: Readonly<Record<string, { readonly preset: string; readonly ask: Ask }>> = {
  'openai, chat': {
    preset: 'openai',
    ask: (url, asked) =>
      all(
        openai(url, asked).chat.completions.create({
          model: 'm',
          messages,
          stream: true,
          stream_options: { include_usage: true },
        }),
      ),
  },
  'openai, responses': {
    preset: 'openai',
    ask: (url, asked) =>
      all(openai(url, asked).responses.create({ model: 'm', input: 'hello', stream: true })),
  },
  anthropic: {
    preset: 'anthropic',
    ask: (url, asked) =>
      all(
        new Anthropic({ apiKey: 'k', baseURL: url, defaultHeaders: { 'demo-api': asked } }).messages.create({
          model: 'm',
          max_tokens: 9,
          messages,
          stream: true,
        }),
      ),
  },
};

async function start(preset: string, clock?: FakeClock) {
  const demo = await startDemoApi({ port: 0, host: '127.0.0.1', habits: 'interval=0ms' });
  onTestFinished(() => demo.close());
  // The user knows that the tools of the responses change nothing, so they may be repeated too.
  const yaml = `${NO_WAIT}
upstreams:
  api:
    url: ${demo.url}
    allow_private: true
    mount: { path: / }
    preset: ${preset}
    routes: [{ match: { path: /v1/responses }, retry: { safe: true } }]
`;
  return { demo, proxy: await startTidy(yaml, clock === undefined ? {} : { clock }) };
}

const FORMED = [...FORMS, 'bom,crlf,lines,comments,pings', 'bytes,cr,lines', 'gzip,crlf,large'];

describe.each(Object.entries(SDKS))('%s', (_, { preset, ask }) => {
  test.each(FORMED)('yields the same events in form %s as from the API itself', async (form) => {
    const { demo, proxy } = await start(preset);
    const direct = await ask(demo.url, `form=${form}`);
    expect(direct.length).toBeGreaterThanOrEqual(8);
    expect(await ask(proxy.url, `form=${form}`)).toEqual(direct);
    const [record] = await proxy.untilEnded(1);
    // The SDK of OpenAI leaves at `[DONE]`, which may be before the proxy has unpacked it.
    const results = form.includes('gzip') ? ['complete', 'client_gone'] : ['complete'];
    expect(results).toContain(record?.notes.stream);
    // A stream is read to its end, although its client has left.
    const permits = (scopes: readonly { concurrency?: { in_flight: number } }[]) =>
      scopes.some(({ concurrency }) => concurrency?.in_flight === 1);
    await untilState(proxy, ({ upstreams }) => !upstreams.some(({ scopes }) => permits(scopes)));
    expect(record?.attempts).toBe(1);
  });

  test.each(['error', 'failed', 'end', 'cut@1'])(
    'yields the good stream after one with %s',
    async (fault) => {
      const { demo, proxy } = await start(preset);
      const good = await ask(demo.url, 'form=crlf');
      expect(await ask(proxy.url, `script=${fault},200`)).toEqual(good);
      expect((await proxy.untilEnded(1))[0]).toMatchObject({ attempts: 2, notes: { stream: 'complete' } });
    },
  );

  test.each(['stall', 'comments', 'pings'])('yields the good stream after one with %s', async (fault) => {
    const clock = new FakeClock();
    const { demo, proxy } = await start(preset, clock);
    const good = await ask(demo.url, 'form=crlf');
    const asking = ask(proxy.url, `script=${fault},200`);
    await clock.untilWaiting('stream-body.ts', FIRST_EVENT_MS);
    await clock.advance(FIRST_EVENT_MS);
    expect(await asking).toEqual(good);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ attempts: 2, notes: { stream: 'complete' } });
  });

  test.each(['error@4', 'failed@4', 'cut@4'])(
    'reports a fault after its first events, %s, as without a proxy',
    async (fault) => {
      const { demo, proxy } = await start(preset);
      const outcome = (url: string) =>
        ask(url, `fault=${fault}&interval=20ms`).then(
          (events) => ({ events: events.length, error: undefined }),
          (error: unknown) => ({
            events: undefined,
            error: error instanceof Error ? error.constructor.name : error,
          }),
        );
      expect(await outcome(proxy.url)).toEqual(await outcome(demo.url));
      expect((await proxy.untilEnded(1))[0]?.attempts).toBe(1);
    },
  );
});
