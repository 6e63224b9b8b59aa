import { expect, onTestFinished, test } from 'vitest';
import { startDemoApi } from '../../examples/demo-api/server.ts';
import { Anthropic, OpenAI } from '../../examples/sdk-retries/sdks.ts';

async function start() {
  const api = await startDemoApi({ port: 0, host: '127.0.0.1', habits: 'interval=0ms' });
  onTestFinished(() => api.close());
  return api;
}

test('the SDK of OpenAI reads chat and responses, and usage where it asks for it', async () => {
  const { url } = await start();
  const client = new OpenAI({ apiKey: 'k', baseURL: `${url}/v1`, maxRetries: 0 });
  const messages = [{ role: 'user', content: 'hello' }] as const;
  const options = { model: 'm', messages: [...messages], stream_options: { include_usage: true } };
  const chat = await client.chat.completions.create({ ...options, stream: true });
  let said = '';
  let tokens: number | undefined;
  for await (const chunk of chat) {
    said += chunk.choices[0]?.delta.content ?? '';
    tokens = chunk.usage?.total_tokens;
  }
  expect([said, tokens]).toEqual(['Ships wait behind the breakwater ', 17]);
  const whole = await client.chat.completions.create({ model: 'm', messages: [...messages] });
  expect([whole.choices[0]?.message.content, whole.usage?.total_tokens]).toEqual([said, tokens]);
  const response = await client.responses.stream({ model: 'm', input: 'hello' }).finalResponse();
  expect([response.output_text, response.usage?.total_tokens]).toEqual([said, tokens]);
  const failing = new OpenAI({
    apiKey: 'k',
    baseURL: `${url}/v1`,
    defaultHeaders: { 'demo-api': 'fault=error@3' },
  });
  const broken = await failing.chat.completions.create({ ...options, stream: true });
  const drained = async () => {
    for await (const _ of broken);
  };
  await expect(drained()).rejects.toThrow('overloaded');
});

test('the SDK of Anthropic reads messages, and reports their errors', async () => {
  const { url } = await start();
  const client = new Anthropic({ apiKey: 'k', baseURL: url, maxRetries: 0 });
  const options = { model: 'm', max_tokens: 9, messages: [{ role: 'user' as const, content: 'hello' }] };
  const whole = await client.messages.create(options);
  const streamed = await client.messages.stream(options).finalMessage();
  expect(streamed.content).toEqual(whole.content);
  expect(streamed.usage.output_tokens).toBe(5);
  for (const fault of ['error', 'failed@3']) {
    const stream = client.messages.stream(options, { headers: { 'demo-api': `fault=${fault}` } });
    await expect(stream.finalMessage()).rejects.toThrow(/overloaded|Internal/);
  }
  const cut = client.messages.stream(options, { headers: { 'demo-api': 'fault=end@last' } });
  await expect(cut.finalMessage()).rejects.toThrow('stream ended');
});
