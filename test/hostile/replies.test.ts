import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { type RawOrigin, type RawStep, startRawOrigin } from '../support/raw-origin.ts';
import { answer, replyBytes } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';
import { HOSTILE_REPLIES, type HostileReply } from './replies.ts';

/** Larger payloads would take a turn of the event loop per byte for nothing. */
const MAX_DRIPPED_BYTES = 400;

const OWN_FIELDS = ['breakwater-attempts', 'breakwater-origin', 'breakwater-gave-up'];
const HOP_BY_HOP = ['proxy-authenticate', 'upgrade', 'te', 'x-one'];

const request = (method = 'GET') => `${method} /api/x HTTP/1.1\r\nHost: app\r\n\r\n`;

/** Writes the payload in one piece, or byte by byte as long as somebody listens. */
function hostile({ bytes, fin = false }: HostileReply, dripping: boolean): RawStep {
  return {
    at: 'request',
    run: async ({ write, fin: close }) => {
      for (const piece of dripping ? bytes : [bytes]) {
        if (!(await write(piece))) return;
        if (dripping) await new Promise((resolve) => setImmediate(resolve));
      }
      if (fin) close();
    },
  };
}

async function start(reply: HostileReply, dripping = false) {
  const origin = await startRawOrigin(hostile(reply, dripping), answer(replyBytes(200, [], 'mine')));
  const proxy = await startTidy(apiConfig(origin, '    retry: off\n'));
  const client = await connectRaw(proxy.port);
  await client.send(request(reply.method));
  return { origin, proxy, client };
}

async function judge({ verdict }: HostileReply, client: RawClient): Promise<void> {
  if (verdict.kind === 'cut') {
    await client.untilClosed();
    await expect(client.readReply()).rejects.toThrow('no whole reply');
    return;
  }
  const reply = await client.readReply();
  expect(rawHeader(reply, 'via')).toBe(verdict.kind === 'passed' ? '1.1 breakwater' : undefined);
  for (const name of OWN_FIELDS) expect(count(reply.rawHeaders, name)).toBeLessThanOrEqual(1);
  expect(rawHeader(reply, 'breakwater-attempts')).toBe('1');
  expect(rawHeader(reply, 'breakwater-origin')).toBe(verdict.kind === 'passed' ? 'upstream' : 'proxy');
  if (verdict.kind === 'failed') {
    expect(reply.status).toBe(502);
    expect(rawHeader(reply, 'content-type')).toBe('application/problem+json');
    expect(rawHeader(reply, 'proxy-status')).toContain(`error=${verdict.error};`);
    return;
  }
  expect([reply.status, reply.body.toString()]).toEqual([verdict.status, verdict.body]);
  for (const name of HOP_BY_HOP) expect(rawHeader(reply, name)).toBeUndefined();
}

const count = (rawHeaders: readonly string[], name: string) =>
  rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === name).length;

/** Whoever calls next gets his own reply; on a connection of its own, unless the first is as good as new. */
async function nextIsUnharmed(
  { verdict }: HostileReply,
  proxy: Breakwater,
  origin: RawOrigin,
): Promise<void> {
  const next = await connectRaw(proxy.port);
  await next.send(request());
  const reply = await next.readReply();
  expect([reply.status, reply.body.toString()]).toEqual([200, 'mine']);
  const reused = verdict.kind === 'passed' && verdict.reused;
  expect(origin.connections).toBe(reused ? 1 : 2);
  await origin.until(({ openConnections }) => openConnections <= 1);
}

describe.each(Object.entries(HOSTILE_REPLIES))('%s', (_group, replies) => {
  test.each(replies)('$name', async (reply) => {
    const { client, origin, proxy } = await start(reply);
    await judge(reply, client);
    await nextIsUnharmed(reply, proxy, origin);
    expect(client.received.includes('stray')).toBe(false);
  });

  const dripped = replies.filter(({ bytes }) => bytes.length <= MAX_DRIPPED_BYTES);
  test.each(dripped)('$name, byte by byte', async (reply) => {
    const { client, proxy } = await start(reply, true);
    await judge(reply, client);
    expect(client.received.includes('stray')).toBe(false);
    expect((await proxy.untilEnded(1)).length).toBe(1);
  });
});
