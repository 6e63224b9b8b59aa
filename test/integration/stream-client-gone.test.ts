import { createGzip, constants } from 'node:zlib';
import { constants as h2 } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { connectHttp2 } from '../support/http2-client.ts';
import { ok, type Step, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy } from '../support/tidy.ts';

const SSE = { 'content-type': 'text/event-stream' };
const STREAM = `
    stream:
      first_event: 1m
      event_gap: 1m
      error: [{ event: error, status: 503 }]
      done: [{ event: end }]
`;
const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';

/** A stream that stays open after `text`. Its upstream would send more only if the test asked it to. */
function open(text: string, headers = SSE): Step {
  return ({ response }) => {
    response.writeHead(200, headers).flushHeaders();
    response.write(text);
  };
}

/** The same, compressed, and flushed after `text`. */
function packed(text: string): Step {
  return ({ response }) => {
    response.writeHead(200, { ...SSE, 'content-encoding': 'gzip' }).flushHeaders();
    const gzip = createGzip();
    gzip.pipe(response, { end: false });
    gzip.write(text);
    gzip.flush(constants.Z_SYNC_FLUSH);
  };
}

describe('a client that leaves ends the stream of the upstream, which has sent nothing more by then', () => {
  test('before the first event', async () => {
    const origin = await startOrigin(open(': still here\n\n'));
    const proxy = await startTidy(apiConfig(origin, STREAM));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await origin.untilRequests(1);
    client.abort();
    await origin.until(({ requests }) => requests[0]?.closed === true);
    expect(origin.openConnections).toBe(0);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'client_gone', attempts: 1 });
  });

  test.each([
    ['server-sent events', [open('data: 1\n\n')], 'data: 1'],
    ['NDJSON', [open('{"n":1}\n', { 'content-type': 'application/x-ndjson' })], '{"n":1}'],
    ['a compressed stream', [packed('data: 1\n\n')], '\r\n\r\n'],
    ['the second attempt', [ok('event: error\ndata: {}\n\n', SSE), open('data: 1\n\n')], 'data: 1'],
  ] satisfies readonly (readonly [string, readonly Step[], string])[])(
    'after the first event: %s',
    async (_, steps, seen) => {
      const origin = await startOrigin(...steps);
      const proxy = await startTidy(apiConfig(origin, STREAM));
      const client = await connectRaw(proxy.port);
      await client.send(GET);
      await client.untilText(seen);
      client.abort();
      await origin.until(({ requests }) => requests.at(-1)?.closed === true);
      const [record] = await proxy.untilEnded(1);
      expect(record).toMatchObject({
        outcome: 'client_gone',
        attempts: steps.length,
        notes: { stream: 'client_gone' },
      });
    },
  );

  test('over HTTP/2, where its connection stays open', async () => {
    const origin = await startOrigin(open('data: 1\n\n'));
    const proxy = await startTidy(`clients: { http2: true }\n${apiConfig(origin, STREAM)}`);
    const session = connectHttp2(proxy.url);
    const stream = session.request({ ':path': '/api/' });
    stream.on('error', () => undefined);
    await new Promise<void>((resolve) => void stream.once('data', () => resolve()));
    stream.close(h2.NGHTTP2_CANCEL);
    await origin.until(({ requests }) => requests[0]?.closed === true);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ notes: { stream: 'client_gone', events: 1 } });
    expect(session.destroyed).toBe(false);
  });
});
