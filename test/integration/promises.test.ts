import { createHook } from 'node:async_hooks';
import { expect, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';

/*
 * A promise between the upstream and the client delays the reader of a reply until undici has paused its socket and put the bytes
 * back that it has read. So an answered call makes none, with the policies of presets too.
 */

const CHAT = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
const ANSWER = JSON.stringify({ choices: [], usage: { total_tokens: 3 } });
const EVENTS = `data: ${JSON.stringify({ choices: [{ delta: { content: 'hi' } }] })}\n\ndata: [DONE]\n\n`;
const JSON_TYPE = { 'content-type': 'application/json' };

const UPSTREAMS = {
  'no preset': '',
  openai: 'preset: openai',
  anthropic: 'preset: anthropic',
  stripe: 'preset: stripe',
  'a timeout of attempts': 'timeouts: { attempt: 5s }',
  'a fallback': 'fallback: { reply: { status: 503 } }',
  'a hedge': 'hedge: { after: 5s }',
  targets: 'targets: [{ name: a }, { name: b }]',
};

/** The places in `src/` that make promises while `work` runs. */
async function promisesOf(work: () => Promise<unknown>): Promise<string[]> {
  const places: string[] = [];
  const hook = createHook({
    init: (_id, type) => {
      if (type !== 'PROMISE') return;
      const place = /\/src\/(?:policies|proxy|server|upstream|http)\/\S+/.exec(
        new Error('place').stack ?? '',
      );
      if (place !== null) places.push(place[0]);
    },
  }).enable();
  await work();
  hook.disable();
  return places;
}

const REPLIES = {
  'a reply': ok(ANSWER, JSON_TYPE),
  'a stream': ok(EVENTS, { 'content-type': 'text/event-stream' }),
};

const CASES = Object.entries(UPSTREAMS).flatMap(([what, option]) =>
  Object.entries(REPLIES).map(([reply, step]) => ({ what, option, reply, step })),
);

test.each(CASES)('an answered call makes no promise: $reply, $what', async ({ option, step }) => {
  const origin = await startOrigin(step);
  const proxy = await startBreakwater(apiConfig(origin, option === '' ? '' : `    ${option}\n`));
  const client = await connectRaw(Number(new URL(proxy.url).port));
  const request = `POST /api/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${CHAT.length}\r\n\r\n${CHAT}`;
  const call = async () => {
    await client.send(request);
    expect((await client.readReply()).status).toBe(200);
  };
  await call();
  expect(await promisesOf(call)).toEqual([]);
});
