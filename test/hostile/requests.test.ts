import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { rawHeader, type RawMessage } from '../support/raw-http.ts';
import { type RawOrigin, startRawOrigin } from '../support/raw-origin.ts';
import { answer } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';
import { HOSTILE_REQUESTS, type HostileRequest } from './requests.ts';

/** Follows every payload: whoever takes the payload's end for its beginning, or goes on after an error, serves it. */
const SMUGGLED = 'GET /api/smuggled HTTP/1.1\r\nHost: app\r\n\r\n';

/** Larger payloads would take a turn of the event loop per byte for nothing. */
const MAX_DRIPPED_BYTES = 1_000;

const SET = '    headers: { set: { x-ours: ours } }\n';

async function start() {
  const origin = await startRawOrigin(answer());
  const proxy = await startTidy(apiConfig(origin, SET));
  return { origin, client: await connectRaw(proxy.port) };
}

/** One byte at a time, as far as the other side listens. */
async function drip(client: RawClient, bytes: string): Promise<void> {
  for (const byte of bytes) {
    if (client.end !== undefined) return;
    await client.send(byte).catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Whether the next request on the connection is served, too. */
const isFollowed = (bytes: string) => !/\/1\.0\r\n|^Connection: Upgrade/m.test(bytes);

const asSeen = ({ startLine, body }: RawMessage) =>
  `${startLine.replace(/ HTTP\/1\.1$/, '')} ${body.toString('latin1')}`.trim();

async function judge(
  { verdict, bytes }: HostileRequest,
  client: RawClient,
  origin: RawOrigin,
): Promise<void> {
  if (verdict.kind === 'passed') {
    const expected = isFollowed(bytes) ? [...verdict.as, 'GET /smuggled'] : verdict.as;
    for (const _ of expected) expect((await client.readReply()).status).toBe(200);
    expect(origin.requests.map(asSeen)).toEqual(expected);
    for (const request of origin.requests) {
      expect(rawHeader(request, 'host')).toBe(new URL(origin.url).host);
      expect(rawHeader(request, 'x-ours')).toBe('ours');
    }
    return;
  }
  const reply = await client.readReply();
  expect(reply.status).toBe(verdict.status);
  expect(rawHeader(reply, 'content-type')).toBe('application/problem+json');
  expect(JSON.parse(reply.body.toString())).toMatchObject({ status: verdict.status });
  expect(rawHeader(reply, 'proxy-status')).toMatch(/^breakwater; error=/);
  if (verdict.kind === 'declined') {
    expect((await client.readReply()).status).toBe(200);
    expect(origin.requests.map(asSeen)).toEqual(['GET /smuggled']);
    return;
  }
  expect(rawHeader(reply, 'connection')).toBe('close');
  await client.untilClosed();
  expect(client.received.toString('latin1').match(/^HTTP\/1\.1 /gm)?.length).toBe(1);
  expect(origin.requests.map(asSeen)).toEqual([]);
  if (verdict.kind === 'refused') expect(origin.connections).toBe(0);
  else await origin.until(({ openConnections }) => openConnections === 0);
}

/**
 * node:http loses what comes in the same packet behind a request whose `Upgrade` it was told to ignore. Nobody pipelines
 * behind an upgrade, for it may come about.
 */
const isLossy = (bytes: string) => /^Connection: Upgrade/m.test(bytes);

describe.each(Object.entries(HOSTILE_REQUESTS))('%s', (_group, requests) => {
  test.each(requests)('$name', async (hostile) => {
    const { client, origin } = await start();
    await client.send(hostile.bytes + (isLossy(hostile.bytes) ? '' : SMUGGLED));
    await judge(hostile, client, origin);
  });

  const dripped = requests.filter(({ bytes }) => bytes.length <= MAX_DRIPPED_BYTES);
  test.each(dripped)('$name, byte by byte', async (hostile) => {
    const { client, origin } = await start();
    await drip(client, hostile.bytes + SMUGGLED);
    await judge(hostile, client, origin);
  });
});
