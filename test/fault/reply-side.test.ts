import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { type Peer, type RawStep, refusingOrigin, startRawOrigin } from '../support/raw-origin.ts';
import {
  answer,
  answerThenHalfClose,
  breakAfter,
  closeAfterRequest,
  closeOnAccept,
  drip,
  garbage,
  oversizedHeaders,
  replyBytes,
  resetOnAccept,
  stallAfter,
  truncate,
  truncateChunked,
} from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';

const GET = 'GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n';
const POST = 'POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi';

async function call(step: RawStep, request = GET, more = '') {
  const origin = await startRawOrigin(step);
  const proxy = await startTidy(apiConfig(origin, more));
  const client = await connectRaw(proxy.port);
  await client.send(request);
  return { origin, proxy, client };
}

describe('a truncated body breaks the client’s connection and never looks complete', () => {
  test.each<[string, RawStep, string]>([
    ['content-length short, FIN', truncate(100, 'part', 'fin'), 'part'],
    ['chunked without its end, FIN', truncateChunked('part', 'fin'), 'part'],
    [
      'chunked without its end, FIN as announced',
      breakAfter(
        'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n',
        'fin',
      ),
      'part',
    ],
    [
      'content-length short, FIN as announced',
      breakAfter('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\npart', 'fin'),
      'part',
    ],
    [
      'a malformed chunk',
      answer('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n'),
      'part',
    ],
  ])('%s', async (_name, step, part) => {
    const { client, proxy, origin } = await call(step);
    await client.untilClosed();
    await expect(client.readReply()).rejects.toThrow('no whole reply');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      status: 200,
      outcome: 'failed',
      error: 'response_incomplete',
    });
    expect(client.received.toString()).toContain(part);
    expect(origin.requests.length).toBe(1);
  });

  test.each([
    ['content-length short', replyBytes(200, ['content-length: 100'], 'part')],
    ['chunked without its end', replyBytes(200, ['transfer-encoding: chunked'], '4\r\npart\r\n')],
  ])('%s, RST after the client has received the bytes before it', async (_name, bytes) => {
    let upstream: Peer | undefined;
    const { client, proxy, origin } = await call({
      at: 'request',
      run: (peer) => {
        upstream = peer;
        void peer.write(bytes);
      },
    });
    await client.untilText('part');
    upstream?.reset();
    await client.untilClosed();
    await expect(client.readReply()).rejects.toThrow('no whole reply');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'failed', error: 'response_incomplete' });
    expect(origin.requests.length).toBe(1);
  });

  test('and is never retried after the head was sent', async () => {
    const { client, origin } = await call(truncate(100, 'part', 'fin'));
    await client.untilClosed();
    expect(origin.requests.length).toBe(1);
  });

  test('a complete chunked reply stays complete for the client', async () => {
    const { client } = await call(
      answer('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\nx-sum: 1\r\n\r\n'),
    );
    expect((await client.readReply()).body.toString()).toBe('well');
  });

  test('a body that ends with the connection is complete', async () => {
    const { client } = await call(breakAfter('HTTP/1.1 200 OK\r\n\r\nuntil close', 'fin'));
    const reply = await client.readReply();
    expect(reply.body.toString()).toBe('until close');
    expect(rawHeader(reply, 'transfer-encoding')).toBe('chunked');
  });

  test('but not if the connection is reset', async () => {
    const arrived = Promise.withResolvers<void>();
    const { client, proxy } = await call({
      at: 'request',
      run: async (peer) => {
        await peer.write('HTTP/1.1 200 OK\r\n\r\nuntil close');
        await arrived.promise;
        peer.reset();
      },
    });
    await client.untilText('until close');
    arrived.resolve();
    await client.untilClosed();
    expect(client.received.toString()).not.toContain('0\r\n\r\n');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'failed', error: 'response_incomplete' });
  });

  test('a reply that arrives byte by byte', async () => {
    const { client } = await call(drip());
    expect((await client.readReply()).body.toString()).toBe('dripped');
  });

  test('a complete reply whose connection closes at once', async () => {
    const { client, proxy } = await call(answerThenHalfClose(replyBytes(200, [], 'ok')));
    expect((await client.readReply()).status).toBe(200);
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe('ok');
  });
});

describe('no reply: the error for the client, and the number of attempts', () => {
  test.each<[string, RawStep, string]>([
    ['reset on accept', resetOnAccept(), 'connection_terminated'],
    ['closed on accept', closeOnAccept(), 'connection_terminated'],
    ['closed after the request', closeAfterRequest(), 'connection_terminated'],
    ['garbage', garbage(), 'http_protocol_error'],
    ['headers beyond measure', oversizedHeaders(64 * 1024), 'http_protocol_error'],
    [
      'a 101 without an Upgrade in the request',
      answer('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
      'http_protocol_error',
    ],
    [
      'two lengths',
      answer('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'),
      'http_protocol_error',
    ],
    [
      'length and chunks',
      answer('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
      'http_protocol_error',
    ],
  ])('%s', async (_name, step, error) => {
    for (const [request, attempts] of [
      [GET, 3],
      [POST, 1],
    ] as const) {
      const { client, proxy } = await call(step, request);
      const reply = await client.readReply();
      expect(reply.status).toBe(502);
      expect(rawHeader(reply, 'proxy-status')).toContain(`error=${error};`);
      expect(rawHeader(reply, 'breakwater-attempts')).toBe(String(attempts));
      expect(rawHeader(reply, 'breakwater-origin')).toBe('proxy');
      expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'failed', attempts });
    }
  });

  test('refused, for a POST too: nothing was sent', async () => {
    const proxy = await startTidy(apiConfig(await refusingOrigin()));
    const client = await connectRaw(proxy.port);
    await client.send(POST);
    const reply = await client.readReply();
    expect(rawHeader(reply, 'proxy-status')).toContain('error=connection_refused');
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('3');
  });
});

describe('a body that stalls', () => {
  const IDLE = '    timeouts: { idle: 10s }\n';
  const stalled = stallAfter(replyBytes(200, ['content-length: 100'], 'part'));

  test('is aborted after the idle timeout, and not before', async () => {
    const clock = new FakeClock();
    const origin = await startRawOrigin(stalled);
    const proxy = await startTidy(apiConfig(origin, IDLE), { clock });
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await client.untilText('part');
    await clock.advance(9_999);
    expect(client.end).toBeUndefined();
    await clock.advance(1);
    await client.untilClosed();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      outcome: 'failed',
      error: 'idle_timeout',
      status: 200,
    });
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('each piece restarts the timeout, and no total timeout ends a stream', async () => {
    const clock = new FakeClock();
    let upstream: Peer | undefined;
    const origin = await startRawOrigin({
      at: 'request',
      run: async (peer) => {
        upstream = peer;
        await peer.write(
          'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n',
        );
      },
    });
    const proxy = await startTidy(apiConfig(origin, IDLE), { clock });
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    expect((await client.untilHead()).startLine).toContain('200');
    for (let event = 1; event <= 12; event++) {
      await clock.advance(8_000);
      await upstream?.write(`2\r\n${String(event).padStart(2, '0')}\r\n`);
      await client.untilText(`\r\n${String(event).padStart(2, '0')}\r\n`);
    }
    await upstream?.write('0\r\n\r\n');
    expect((await client.readReply()).body.length).toBe(24);
  });
});
