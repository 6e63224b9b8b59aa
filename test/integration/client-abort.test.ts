import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { type Peer, startRawOrigin } from '../support/raw-origin.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';

/** The one scope of the one upstream. */
async function scopeOf(proxy: Breakwater) {
  return (await stateOf(proxy)).upstreams[0]?.scopes[0];
}

const gone = { outcome: 'client_gone', error: 'client_gone' };

describe('a client that disconnects', () => {
  test('before the head: the attempt is cancelled at the upstream, and does not count as a failure', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(hang());
    const proxy = await startTidy(
      apiConfig(origin, '    breaker: { consecutive_failures: 1, min_requests: 1 }\n'),
      { clock },
    );
    for (let i = 0; i < 3; i++) {
      const client = await connectRaw(proxy.port);
      await client.send(GET);
      await origin.untilRequests(i + 1);
      client.abort();
      await origin.until(({ openConnections }) => openConnections === 0);
    }
    for (const record of await proxy.untilEnded(3))
      expect(record).toMatchObject({ ...gone, attempts: 1, status: 0 });
    expect(await scopeOf(proxy)).toMatchObject({
      breaker: { state: 'closed' },
      budget_tokens: 10,
      concurrency: { in_flight: 0, queued: 0 },
    });
    expect(proxy.states).toEqual([]);
  });

  test('with a FIN counts as disconnected too', async () => {
    const origin = await startOrigin(hang());
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await origin.untilRequests(1);
    client.halfClose();
    expect((await proxy.untilEnded(1))[0]).toMatchObject(gone);
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('on a connection that has served others before', async () => {
    const origin = await startOrigin(ok(), hang());
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await client.readReply();
    await client.send(GET);
    await origin.untilRequests(2);
    client.abort();
    expect((await proxy.untilEnded(2)).map(({ outcome }) => outcome)).toEqual(['ok', 'client_gone']);
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('in the body: the upstream’s connection is closed, the breaker does not count it', async () => {
    const origin = await startOrigin(({ response }) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('part');
    });
    const proxy = await startTidy(
      apiConfig(origin, '    breaker: { consecutive_failures: 1, min_requests: 1 }\n'),
    );
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await client.untilText('part');
    expect((await scopeOf(proxy))?.concurrency?.in_flight).toBe(1);
    client.abort();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ ...gone, status: 200 });
    await origin.until(({ openConnections }) => openConnections === 0);
    expect((await scopeOf(proxy))?.breaker?.state).toBe('closed');
  });

  test('with a FIN that is read just before an empty reply: nothing is written after the end of the response', async () => {
    const answering = Promise.withResolvers<Peer>();
    const origin = await startRawOrigin({ at: 'request', run: answering.resolve });
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    const upstream = await answering.promise;
    // Both are with the kernel at once, so the proxy reads them in one turn of its event loop, in this order.
    client.socket.destroy();
    await upstream.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ ...gone, status: 200 });
  });

  test('in backoff: no attempt follows, and the token is refunded', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503, {}, 'no'));
    const more = '    retry: { backoff: { overloaded_base: 1s }, budget: { refill: 0/s } }\n';
    const proxy = await startTidy(apiConfig(origin, more), { clock });
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await clock.untilAsleep();
    expect((await scopeOf(proxy))?.budget_tokens).toBe(9);
    client.abort();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      ...gone,
      notes: { gave_up: 'client_gone' },
      attempts: 1,
    });
    // The record ends with the client; the policies between let go one after the other.
    while (clock.pending > 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await scopeOf(proxy))?.budget_tokens).toBe(10);
    await clock.advance(60_000);
    expect(origin.requests.length).toBe(1);
  });

  test('in the queue: it frees its place, and the upstream gets no request', async () => {
    const clock = new FakeClock();
    let release = () => {};
    const origin = await startOrigin(async ({ response, request }) => {
      if (request.url === '/first') {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      }
      response.end('done');
    });
    const more =
      '    concurrency: { mode: fixed, max: 1, queue: 5, wait: 60s }\n    timeouts: { total: 1000s }\n';
    const proxy = await startTidy(apiConfig(origin, more), { clock });
    const [first, leaver, second] = await Promise.all([1, 2, 3].map(() => connectRaw(proxy.port)));
    await first?.send(GET.replace('/api/', '/api/first'));
    await origin.untilRequests(1);
    await leaver?.send(GET.replace('/api/', '/api/leaver'));
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
    await second?.send(GET.replace('/api/', '/api/second'));
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 2);
    leaver?.abort();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
    release();
    expect((await first?.readReply())?.status).toBe(200);
    expect((await second?.readReply())?.status).toBe(200);
    expect(origin.requests.map(({ url }) => url)).toEqual(['/first', '/second']);
    expect(proxy.ended.find(({ outcome }) => outcome === 'client_gone')).toMatchObject({ attempts: 0 });
  });

  test.each([
    ['declared and small', 'content-length: 100', 'part'],
    ['declared and large', 'content-length: 100000', 'part'],
    ['chunked', 'transfer-encoding: chunked', '4\r\npart\r\n'],
  ])(
    'in the middle of its upload, %s: at most one request, never complete, never retried',
    async (_name, framing, part) => {
      const clock = new FakeClock();
      const origin = await startOrigin(async ({ body }) => void (await body()));
      const proxy = await startTidy(apiConfig(origin), { clock });
      const client = await connectRaw(proxy.port);
      await client.send(`PUT /api/ HTTP/1.1\r\nhost: x\r\n${framing}\r\n\r\n${part}`);
      await origin.until((seen) => seen.requests[0]?.body.toString() === 'part');
      client.abort();
      expect((await proxy.untilEnded(1))[0]).toMatchObject({ ...gone, attempts: 1 });
      await origin.until(({ openConnections }) => openConnections === 0);
      expect(origin.requests.map(({ complete }) => complete)).toEqual([false]);
      expect(clock.pending).toBe(0);
    },
  );
});
