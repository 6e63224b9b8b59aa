import { join } from 'node:path';
import { Pool } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { type Running, run, temporaryFolder } from '../support/command.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, type OriginExchange, ok, startOrigin } from '../support/origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer, replyBytes } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';

const get = (path = 'x') => `GET /api/${path} HTTP/1.1\r\nHost: app\r\n\r\n`;

describe('drain', () => {
  test('streams get drain_timeout: one that ends within it is complete, another one is visibly truncated', async () => {
    const clock = new FakeClock();
    const streams = new Map<string | undefined, OriginExchange>();
    const origin = await startOrigin((exchange) => {
      streams.set(exchange.request.url, exchange);
      exchange.response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    });
    const proxy = await startBreakwater(`drain_timeout: 10s\n${apiConfig(origin)}`, { clock });
    const [short, long] = [await connectRaw(proxy.port), await connectRaw(proxy.port)];
    await short.send(get('short'));
    await long.send(get('long'));
    for (const client of [short, long]) await client.untilText('data: 1');
    const stopped = proxy.app.stop();
    await clock.advance(9_000);
    streams.get('/short')?.response.end('data: 2\n\n');
    expect((await short.readReply()).body.toString()).toBe('data: 1\n\ndata: 2\n\n');
    expect(long.end).toBeUndefined();
    await clock.advance(2_000);
    await stopped;
    await long.untilClosed();
    await expect(long.readReply()).rejects.toThrow('no whole reply');
    expect(proxy.ended.map(({ error }) => error)).toEqual([undefined, 'draining']);
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('under load no call fails: each is answered until the listener is closed', async () => {
    const origin = await startOrigin(ok());
    const proxy = await startBreakwater(apiConfig(origin));
    const CALLERS = 16;
    const pool = new Pool(proxy.url, { connections: CALLERS });
    onTestFinished(() => pool.destroy());
    let answered = 0;
    const caller = async (): Promise<string> => {
      for (;;) {
        try {
          const reply = await pool.request({ method: 'GET', path: '/api/' });
          await reply.body.dump();
          if (reply.statusCode !== 200) return `answered ${reply.statusCode}`;
          answered++;
        } catch (error) {
          return String((error as { code?: unknown }).code);
        }
      }
    };
    const callers = Array.from({ length: CALLERS }, caller);
    await proxy.untilEnded(10 * CALLERS);
    await proxy.app.stop();
    // When the listener closes, the kernel resets connections that the process has not accepted yet.
    for (const end of await Promise.all(callers)) expect(['ECONNREFUSED', 'ECONNRESET']).toContain(end);
    expect(proxy.ended.every(({ outcome }) => outcome === 'ok')).toBe(true);
    expect(answered).toBe(proxy.ended.length);
  });
});

describe('a client that closes its side', () => {
  test('before the reply counts as disconnected, and the upstream connection is released', async () => {
    const origin = await startOrigin(hang());
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(get());
    await origin.untilRequests(1);
    client.halfClose();
    await client.untilClosed();
    await origin.until(({ openConnections }) => openConnections === 0);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone' });
  });

  test('after the reply gets it complete, and the connection ends', async () => {
    const proxy = await startTidy(apiConfig(await startOrigin(ok('all'))));
    const client = await connectRaw(proxy.port);
    await client.send(get());
    expect((await client.readReply()).body.toString()).toBe('all');
    client.halfClose();
    expect(await client.untilClosed()).toBe('fin');
  });

  test('in the middle of a head or a body causes no complete call at an upstream', async () => {
    const origin = await startRawOrigin(answer());
    const proxy = await startTidy(apiConfig(origin));
    for (const part of [
      'GET /api/x HT',
      'PUT /api/x HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npa',
    ]) {
      const client = await connectRaw(proxy.port);
      await client.send(part);
      client.halfClose();
      await client.untilClosed();
    }
    await origin.until(({ openConnections }) => openConnections === 0);
    expect(origin.requests.length).toBe(0);
  });
});

describe('an upstream that restarts', () => {
  test('costs calls during the restart a retry, and later calls nothing', async () => {
    const clock = new FakeClock();
    const origin = await startRawOrigin(answer(replyBytes(200, [], 'up')));
    const more = '    retry: { backoff: { kind: constant, base: 100ms, jitter: none } }\n';
    const proxy = await startTidy(apiConfig(origin, more), { clock });
    // One fewer than open the breaker.
    const clients = await Promise.all(Array.from({ length: 4 }, () => connectRaw(proxy.port)));
    const [first] = clients as [RawClient];
    await first.send(get());
    await first.readReply();
    origin.refuse();
    origin.closeConnections('reset');
    await origin.until(({ openConnections }) => openConnections === 0);
    for (const client of clients) await client.send(get());
    while (clock.sleeping < clients.length) await new Promise((resolve) => setImmediate(resolve));
    await origin.accept();
    await clock.advance(100);
    for (const client of clients) {
      const reply = await client.readReply();
      expect([reply.status, reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual([
        200,
        'up',
        '2',
      ]);
    }
    await first.send(get());
    expect(rawHeader(await first.readReply(), 'breakwater-attempts')).toBe('1');
  });
});

test('an exception within a call is a 500 for that call only, with its stack in the log', async () => {
  const origin = await startOrigin(async ({ request, response }) => {
    if (request.url === '/slow') await released;
    response.writeHead(request.url === '/slow' ? 200 : 503).end('slow');
  });
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const more = '    retry: { backoff: { kind: constant, overloaded_base: 100ms, jitter: full } }\n';
  const proxy = await startBreakwater(apiConfig(origin, more), {
    // A dependency of a policy fails in the middle of its decision.
    random: () => {
      throw new TypeError('secret internals');
    },
  });
  const [other, failing] = [await connectRaw(proxy.port), await connectRaw(proxy.port)];
  await other.send(get('slow'));
  await origin.untilRequests(1);
  await failing.send(get());
  const reply = await failing.readReply();
  expect([reply.status, rawHeader(reply, 'content-type')]).toEqual([500, 'application/problem+json']);
  expect(rawHeader(reply, 'proxy-status')).toContain('error=proxy_internal_error');
  expect(reply.body.toString()).not.toContain('secret');
  release();
  expect((await other.readReply()).body.toString()).toBe('slow');
  const stacks = proxy.logs.map(({ fields }) =>
    fields['error'] instanceof Error ? fields['error'].stack : '',
  );
  expect(stacks.join('')).toContain('secret internals');
  // The connection of the failed call serves the next.
  await failing.send(get('slow'));
  expect((await failing.readReply()).status).toBe(200);
});

describe('the process', () => {
  const yaml = (url: string) => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstreams:
  api: { url: "${url}", allow_private: true, retry: off, breaker: off }
`;

  async function started(origin: { url: string }, program: string, ...before: readonly string[]) {
    const folder = temporaryFolder({ 'config.yaml': yaml(origin.url) });
    const main = ['src/main.ts', 'start', '--config', join(folder, 'config.yaml')];
    const proxy: Running = run(program, [...before, ...main]);
    const [, url = ''] = await proxy.untilPrinted(/listening on (http:[^"]+)/);
    return { proxy, port: Number(new URL(url).port) };
  }

  test.each([
    ['exception', 'throw new Error("stray")'],
    ['rejection', 'Promise.reject(new Error("stray"))'],
  ])(
    'a stray %s is logged with its stack; running calls finish, then the process ends with 1',
    async (_name, code) => {
      const exchanges: OriginExchange[] = [];
      const origin = await startOrigin((exchange) => void exchanges.push(exchange));
      const hook = `data:text/javascript,process.on("SIGUSR2",()=>{${encodeURIComponent(code)}})`;
      const { proxy, port } = await started(origin, process.execPath, '--import', hook);
      const client = await connectRaw(port);
      await client.send(get());
      await origin.untilRequests(1);
      proxy.child.kill('SIGUSR2');
      await proxy.untilPrinted(/exception outside any call/);
      exchanges[0]?.response.end('done');
      expect((await client.readReply()).body.toString()).toBe('done');
      expect(await proxy.ended()).toBe(1);
      expect(proxy.out).toMatch(/stray.*at .*SIGUSR2|stray[\s\S]*\\n +at /);
    },
  );

  test('without a free file descriptor it answers or refuses, and recovers', async () => {
    const origin = await startOrigin(ok());
    const { proxy, port } = await started(
      origin,
      'sh',
      '-c',
      `ulimit -n 64; exec "$0" "$@"`,
      process.execPath,
    );
    const early = await connectRaw(port);
    const crowd = await Promise.all(
      Array.from({ length: 100 }, () => connectRaw(port).catch(() => undefined)),
    );
    for (const client of crowd) await client?.send(get()).catch(() => undefined);
    await early.send(get());
    // It had its connection before the crowd, but there is none left for the upstream.
    const reply = await early.readReply();
    expect([200, 503]).toContain(reply.status);
    for (const client of crowd) client?.abort();
    for (;;) {
      await early.send(get());
      if ((await early.readReply()).status === 200) break;
    }
    const late = await connectRaw(port);
    await late.send(get());
    expect((await late.readReply()).status).toBe(200);
    proxy.child.kill('SIGTERM');
    expect(await proxy.ended()).toBe(0);
  });
});
