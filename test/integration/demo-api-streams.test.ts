import { gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startDemoApi } from '../../examples/demo-api/server.ts';
import { FORMS } from '../../examples/demo-api/streams/frames.ts';
import { connectRaw } from '../support/raw-client.ts';

async function start() {
  const api = await startDemoApi({ port: 0, host: '127.0.0.1', habits: 'interval=0ms' });
  onTestFinished(() => api.close());
  return api;
}

const PATHS = {
  'OpenAI chat': '/v1/chat/completions',
  'OpenAI responses': '/v1/responses',
  'Azure OpenAI': '/openai/deployments/d/chat/completions',
  Anthropic: '/v1/messages',
  Google: '/v1beta/models/m:streamGenerateContent',
  Ollama: '/api/chat',
  numbers: '/any?sse=5',
} as const;
const cases = Object.entries(PATHS).map(
  ([name, path]) => [name, `${path}${path.includes('?') ? '&' : '?'}`] as const,
);

/** The body of a stream as text; undefined if it broke. */
async function textOf(url: string): Promise<string | undefined> {
  try {
    return Buffer.from(await (await fetch(url)).arrayBuffer()).toString();
  } catch {
    return undefined;
  }
}

/** The data of all events, as https://html.spec.whatwg.org/multipage/server-sent-events.html has it, or all lines. */
function dataOf(text: string, lines: boolean): readonly string[] {
  const plain = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  if (lines) return plain.split('\n').filter((line) => line !== '');
  return plain.split('\n\n').flatMap((block) => {
    const data = block.split('\n').filter((line) => line.startsWith('data: '));
    const joined = data.map((line) => line.slice(6)).join('\n');
    if (joined === '' || block.includes('event: ping') || block.includes('event: keepalive')) return [];
    return [joined.startsWith('{') ? JSON.stringify(JSON.parse(joined)) : joined];
  });
}

describe.each(cases)('%s', (name, path) => {
  const lines = name === 'Ollama';

  test.each(FORMS.filter((form) => form !== 'large'))(
    'form %s has the same events in other bytes',
    async (form) => {
      const { url } = await start();
      const plain = await textOf(`${url}${path}`);
      const other = await textOf(`${url}${path}form=${form}`);
      expect(dataOf(plain ?? '', lines).length).toBeGreaterThanOrEqual(5);
      expect(dataOf(other ?? '', lines)).toEqual(dataOf(plain ?? '', lines));
      const unchanged = ['bytes', 'gzip', ...(lines ? ['lines'] : [])];
      expect(other === plain).toBe(unchanged.includes(form));
    },
  );

  test('an error takes the place of any event, a clean end too', async () => {
    const { url } = await start();
    const all = dataOf((await textOf(`${url}${path}`)) ?? '', lines);
    for (const [at, count] of [
      ['', 0],
      ['@3', 2],
      ['@last', all.length - 1],
    ] as const) {
      const failed = dataOf((await textOf(`${url}${path}fault=error${at}`)) ?? '', lines);
      expect(failed.slice(0, -1)).toEqual(all.slice(0, count));
      expect(failed.at(-1)).toMatch(/error/);
      const ended = dataOf((await textOf(`${url}${path}fault=end${at}`)) ?? '', lines);
      expect(ended).toEqual(all.slice(0, count));
      expect(await textOf(`${url}${path}fault=cut${at}`)).toBeUndefined();
    }
  });

  test.each(['stall', 'comments', 'pings'])('%s sends no event, and does not end', async (fault) => {
    const { url } = await start();
    const client = await connectRaw(Number(new URL(url).port));
    await client.send(`GET ${path}fault=${fault} HTTP/1.1\r\nhost: demo\r\n\r\n`);
    const { rawHeaders } = await client.untilHead();
    expect(rawHeaders).toContain(lines ? 'application/x-ndjson' : 'text/event-stream');
    if (fault !== 'stall') await client.untilBytes(client.received.length + 20);
    expect(dataOf(client.received.toString().replace(/^.*?\r\n\r\n/s, ''), false)).toEqual([]);
    expect(client.end).toBeUndefined();
  });
});

test('a request of an LLM without a stream gets one reply, with an error in it where it is asked for', async () => {
  const { url } = await start();
  const post = (path: string) => fetch(`${url}${path}`, { method: 'POST', body: '{"model":"m"}' });
  const failed = await post('/v1/messages?fault=error');
  expect([failed.status, await failed.json()]).toMatchObject([200, { type: 'error' }]);
  expect(await (await post('/v1/messages?status=529')).json()).toMatchObject({
    error: { type: 'overloaded_error' },
  });
  expect((await post('/v1/messages?fault=stall')).status).toBe(400);
  const google = await post('/v1beta/models/gem:generateContent');
  expect(await google.json()).toMatchObject({ modelVersion: 'gem' });
});

test('an event of 300 KiB is one event', async () => {
  const { url } = await start();
  const events = dataOf((await textOf(`${url}/v1/messages?form=large`)) ?? '', false);
  expect(events.findIndex((event) => event.length > 300_000)).toBe(3);
});

test('a compressed event can be read before the next one comes', async () => {
  const { url } = await start();
  const client = await connectRaw(Number(new URL(url).port));
  await client.send('GET /v1/messages?form=gzip&fault=stall@2 HTTP/1.1\r\nhost: demo\r\n\r\n');
  await client.untilHead();
  await client.untilText('\r\n\r\n');
  await client.untilBytes(client.received.length + 1);
  const [, size = '', packed = ''] =
    /\r\n\r\n([\da-f]+)\r\n(.*)$/s.exec(client.received.toString('latin1')) ?? [];
  const bytes = Buffer.from(packed, 'latin1').subarray(0, Number.parseInt(size, 16));
  expect(gunzipSync(bytes, { finishFlush: 2 }).toString()).toContain('event: message_start');
});

test('the log counts the events that were sent before the client left', async () => {
  const { url } = await start();
  const client = await connectRaw(Number(new URL(url).port));
  await client.send('GET /v1/messages?fault=stall@4 HTTP/1.1\r\nhost: demo\r\n\r\n');
  await client.untilText('content_block_delta');
  client.abort();
  expect(await (await fetch(`${url}/_log`)).json()).toMatchObject([{ outcome: 'stall@4', events_sent: 3 }]);
});

test('a script of streams is played, and a header may say it', async () => {
  const { url } = await start();
  const headers = { 'demo-api': 'script=error,200' };
  const seen = [];
  for (let i = 0; i < 3; i++) seen.push(await (await fetch(`${url}/v1/messages`, { headers })).text());
  expect(seen.map((text) => text.includes('overloaded'))).toEqual([true, false, true]);
  expect((await fetch(`${url}/v1/messages`, { headers: { 'demo-api': 'fault=nothing' } })).status).toBe(400);
});
