import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { connectRaw, type RawClient, type RawReply } from '../support/raw-client.ts';
import { type RawMessage, rawHeader } from '../support/raw-http.ts';
import { type RawOrigin, startRawOrigin } from '../support/raw-origin.ts';
import { answer } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';
import { HOSTILE_REQUESTS, type HostileRequest } from './requests.ts';

/** Follows every payload: a proxy that mistakes the end of the payload, or continues after an error, serves it. */
const SMUGGLED = 'GET /api/smuggled HTTP/1.1\r\nHost: app\r\n\r\n';

/** Larger payloads would take a turn of the event loop per byte for nothing. */
const MAX_DRIPPED_BYTES = 1_000;

const SET = '    headers: { set: { x-ours: ours } }\n';

/**
 * node:http loses bytes in the same packet after a request whose `Upgrade` it ignores. No client pipelines
 * after an upgrade request, because the upgrade may succeed.
 */
const isLossy = (bytes: string) => /^Connection: Upgrade/m.test(bytes);

/** Whether the next request on the connection is served, too. */
const isFollowed = (bytes: string) => !/\/1\.0\r\n/.test(bytes) && !isLossy(bytes);

interface Outcome {
  readonly replies: readonly string[];
  readonly closed: boolean;
  /** Requests at the upstream, with the fields of the proxy. */
  readonly upstream: readonly string[];
  readonly touched: boolean;
}

const problem = (status: number, close: boolean) =>
  `${status} application/problem+json ${status} breakwater ${close ? 'close' : 'open'}`;
const seen = (request: string) => `${request} ours`;

function expected({ bytes, result }: HostileRequest): Outcome {
  if (result.kind === 'passed') {
    const upstream = (isFollowed(bytes) ? [...result.as, 'GET /smuggled'] : result.as).map(seen);
    return { replies: upstream.map(() => '200'), closed: false, upstream, touched: true };
  }
  if (result.kind === 'declined') {
    const replies = [problem(result.status, false), '200'];
    return { replies, closed: false, upstream: [seen('GET /smuggled')], touched: true };
  }
  const replies = [problem(result.status, true)];
  return { replies, closed: true, upstream: [], touched: result.kind === 'broken' };
}

async function observed(wanted: Outcome, client: RawClient, origin: RawOrigin): Promise<Outcome> {
  const replies: string[] = [];
  for (const _ of wanted.replies) replies.push(shown(await client.readReply()));
  if (wanted.closed) await client.untilClosed();
  const count = client.received.toString('latin1').match(/^HTTP\/1\.1 /gm)?.length ?? 0;
  for (let more = replies.length; more < count; more++) replies.push('one too many');
  const { host } = new URL(origin.url);
  return {
    replies,
    closed: wanted.closed,
    upstream: origin.requests.map((request) => asSeen(request, host)),
    // A call whose body turns out to be broken may have reached the upstream.
    touched: (wanted.closed && wanted.touched) || origin.connections > 0,
  };
}

function shown(reply: RawReply): string {
  if (reply.status === 200) return '200';
  const type = rawHeader(reply, 'content-type');
  const [by, error] = (rawHeader(reply, 'proxy-status') ?? '').split('; ');
  const end = rawHeader(reply, 'connection') === 'close' ? 'close' : 'open';
  const named = error?.startsWith('error=') === true ? by : 'nobody';
  return `${reply.status} ${type} ${JSON.parse(reply.body.toString()).status} ${named} ${end}`;
}

function asSeen(request: RawMessage, host: string): string {
  const line = request.startLine.replace(/ HTTP\/1\.1$/, '');
  const authority = rawHeader(request, 'host') === host ? '' : ' with a foreign Host';
  return `${line} ${request.body.toString('latin1')}`.trim() + `${authority} ${rawHeader(request, 'x-ours')}`;
}

/** Sends the payload in one piece, or byte by byte while the connection is open. */
async function play(hostile: HostileRequest, wanted: Outcome, dripping = false): Promise<Outcome> {
  const origin = await startRawOrigin(answer());
  const proxy = await startTidy(apiConfig(origin, SET));
  const client = await connectRaw(proxy.port);
  const bytes = hostile.bytes + (isLossy(hostile.bytes) ? '' : SMUGGLED);
  for (const piece of dripping ? bytes : [bytes]) {
    if (client.end !== undefined) break;
    await client.send(piece).catch(() => undefined);
    if (dripping) await new Promise((resolve) => setImmediate(resolve));
  }
  const outcome = await observed(wanted, client, origin);
  if (wanted.closed) await origin.until(({ openConnections }) => openConnections === 0);
  return outcome;
}

describe.each(Object.entries(HOSTILE_REQUESTS))('%s', (_group, requests) => {
  test.each(requests)('$name', async (hostile) => {
    const wanted = expected(hostile);
    expect(await play(hostile, wanted)).toEqual(wanted);
  });

  const dripped = requests.filter(({ bytes }) => bytes.length <= MAX_DRIPPED_BYTES);
  test.each(dripped)('$name, byte by byte', async (hostile) => {
    const wanted = expected(hostile);
    expect(await play(hostile, wanted, true)).toEqual(wanted);
  });
});
