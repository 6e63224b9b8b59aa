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

/** Fields of the upstream that never reach the client: they are about another connection, or belong to the proxy. */
const NOT_RETURNED = ['proxy-authenticate', 'upgrade', 'te', 'x-one'];
const OURS = ['breakwater-request-id', 'breakwater-attempts', 'breakwater-origin', 'breakwater-gave-up'];

const request = (method = 'GET') => `${method} /api/x HTTP/1.1\r\nHost: app\r\n\r\n`;

/** The reply for the client, in a few words. */
function expected({ result }: HostileReply): string {
  if (result.kind === 'cut') return 'cut';
  if (result.kind === 'failed') return `502 proxy 1 application/problem+json ${result.error}`;
  return `${result.status} upstream 1 "${result.body}"`;
}

async function observed(client: RawClient): Promise<string> {
  await client.untilHead().catch(() => undefined);
  const reply = await client.readReply().catch(() => undefined);
  if (reply === undefined) return 'cut';
  const { rawHeaders } = reply;
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  const forbidden = NOT_RETURNED.filter((name) => names.includes(name));
  const forged = OURS.filter((name) => names.indexOf(name) !== names.lastIndexOf(name));
  if (forbidden.length + forged.length > 0) return `with ${[...forbidden, ...forged].join()}`;
  const [origin, attempts] = ['breakwater-origin', 'breakwater-attempts'].map((name) =>
    rawHeader(reply, name),
  );
  const body =
    origin === 'proxy'
      ? `${rawHeader(reply, 'content-type')} ${/error=(\w+);/.exec(rawHeader(reply, 'proxy-status') ?? '')?.[1]}`
      : `"${reply.body.toString()}"`;
  return `${reply.status} ${origin} ${attempts} ${body}`;
}

/** Writes the payload in one piece, or byte by byte while the connection is open. */
function hostile({ bytes, fin = false }: HostileReply, dripping: boolean): RawStep {
  return {
    at: 'request',
    run: async (peer) => {
      for (const piece of dripping ? bytes : [bytes]) {
        if (!(await peer.write(piece))) return;
        if (dripping) await new Promise((resolve) => setImmediate(resolve));
      }
      if (fin) peer.fin();
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

/** The next caller gets its own reply. Returns the number of connections that it took. */
async function callNext(proxy: Breakwater, origin: RawOrigin): Promise<readonly [string, number]> {
  const next = await connectRaw(proxy.port);
  await next.send(request());
  const result = await observed(next);
  await origin.until(({ openConnections }) => openConnections <= 1);
  return [result, origin.connections];
}

describe.each(Object.entries(HOSTILE_REPLIES))('%s', (_group, replies) => {
  test.each(replies)('$name', async (reply) => {
    const { client, origin, proxy } = await start(reply);
    expect(await observed(client)).toBe(expected(reply));
    const reused = reply.result.kind === 'passed' && reply.result.reused;
    expect(await callNext(proxy, origin)).toEqual(['200 upstream 1 "mine"', reused ? 1 : 2]);
    expect(client.received.includes('stray')).toBe(false);
  });

  const dripped = replies.filter(({ bytes }) => bytes.length <= MAX_DRIPPED_BYTES);
  test.each(dripped)('$name, byte by byte', async (reply) => {
    const { client, proxy } = await start(reply, true);
    expect(await observed(client)).toBe(expected(reply));
    expect(client.received.includes('stray')).toBe(false);
    expect((await proxy.untilEnded(1)).length).toBe(1);
  });
});
