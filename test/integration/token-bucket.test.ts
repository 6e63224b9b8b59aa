import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startOrigin } from '../support/origin.ts';
import { passTime } from '../support/quota-origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy } from '../support/tidy.ts';
import { Bucket, bucketHeaders } from '../support/token-bucket.ts';

test.each([
  ['anthropic', '/v1/messages'],
  ['openai', '/v1/chat/completions'],
] as const)(
  'a bucket of 30 of %s: after 30 calls at once, one every 2 s is neither refused nor held back',
  async (preset, path) => {
    const clock = new FakeClock();
    const bucket = new Bucket(clock, () => 30, 1_000);
    const seen: number[] = [];
    const origin = await startOrigin(async ({ response, body }) => {
      await body();
      const { allowed, stated, retryAfter } = bucket.take();
      const status = allowed ? 200 : 429;
      seen.push(status);
      response.writeHead(status, {
        date: new Date(clock.wallTime()).toUTCString(),
        ...bucketHeaders(preset, stated, clock.wallTime()),
        ...(!allowed && { 'retry-after': retryAfter }),
      });
      response.end('{}');
    });
    const proxy = await startTidy(apiConfig(origin, `    preset: ${preset}\n`), { clock });
    const statuses: number[] = [];
    const waits: number[] = [];
    const call = async (): Promise<void> => {
      const at = clock.now();
      const client = await connectRaw(proxy.port);
      const body = JSON.stringify({ model: 'm' });
      await client.send(
        `POST /api${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      statuses.push((await client.readReply()).status);
      waits.push(clock.now() - at);
    };
    await Promise.all([...Array.from({ length: 30 }, call), passTime(clock, () => statuses.length === 30)]);
    for (let sent = 31; sent <= 60; sent++) {
      await clock.advance(2_000);
      waits.length = 0;
      await Promise.all([call(), passTime(clock, () => statuses.length === sent)]);
      expect(waits[0]).toBeLessThanOrEqual(1_500);
    }
    expect(new Set([...statuses, ...seen])).toEqual(new Set([200]));
  },
);
