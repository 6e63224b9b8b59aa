import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { FieldNames } from '../../src/http/field-names.ts';
import type { Reply } from '../../src/http/reply.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { dispatchBy, type Send } from '../../src/proxy/pipeline.ts';
import type { Route } from '../../src/proxy/route.ts';
import { Router } from '../../src/routing/router.ts';
import { Door } from '../../src/server/door.ts';
import { Listener } from '../../src/server/listener.ts';
import type { CallRecord } from '../../src/telemetry/call-record.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { Changes } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectRaw } from '../support/raw-client.ts';
import { stubReply } from '../support/stub-call.ts';

async function start(
  send: Send,
  onEnded: () => void = () => undefined,
  router: (usual: Router<Route>) => Router<Route> = (usual) => usual,
) {
  const route: Route = {
    upstream: 'api',
    name: 'default',
    pattern: '/**',
    propagatesTrace: false,
    dispatch: dispatchBy(send),
    calls: { inFlight: 0, tunnels: 0 },
    totalTimeoutMs: 1_000,
    ownRetries: undefined,
    maxReplayBytes: 0,
    headers: { drop: new FieldNames([]), add: [] },
    idempotency: { mode: 'none', header: 'idempotency-key' },
  };
  const mounted = {
    mount: { path: '/' },
    basePath: '',
    routes: [{ methods: undefined, path: '/**', route }],
  };
  const usual = new Router([mounted]);
  const bugs: unknown[] = [];
  const ended: CallRecord[] = [];
  const changes = new Changes();
  const listener = new Listener({
    clock: new FakeClock(),
    observer: combine({
      callEnded: (record) => {
        ended.push(record);
        changes.notify();
        onEnded();
      },
    }),
    memory: new ByteBudget(0),
    newId: () => 'id',
    door: () => new Door([]),
    logPath: () => 'full',
    beginTrace: () => undefined,
    via: '1.1 test',
    router: () => router(usual),
    responseHeaders: () => true,
    leaving: () => false,
    draining: () => false,
    bodyTimeoutMs: () => 60_000,
    minBytesPerSecond: () => 240,
    sendTimeoutMs: () => 60_000,
    onBug: (error) => bugs.push(error),
  });
  const server = createServer((req, res) => {
    listener.handle(req, res);
    changes.notify();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const client = await connectRaw((server.address() as AddressInfo).port);
  await client.send('GET /x HTTP/1.1\r\nhost: x\r\n\r\n');
  await changes.until(() => listener.inFlight > 0 || ended.length > 0 || bugs.length > 0);
  const untilEnded = () => changes.until(() => ended.length > 0);
  return { client, bugs, ended, untilEnded, listener };
}

test('a bug is answered with 500, and its detail goes only to the log', async () => {
  const bug = new TypeError('secret internals');
  const { client, bugs, ended, listener } = await start(() => Promise.reject(bug));
  const reply = await client.readReply();
  expect(reply.status).toBe(500);
  expect(reply.body.toString()).not.toContain('secret');
  expect([bugs, ended.map(({ outcome }) => outcome), listener.inFlight]).toEqual([[bug], ['bug'], 0]);
});

test('an error of an observer at the end of a call is handled like other bugs', async () => {
  const { client, bugs, listener } = await start(
    () => Promise.reject(new ProxyError('breaker_open', 'no')),
    () => {
      throw new TypeError('observer');
    },
  );
  expect((await client.readReply()).status).toBe(503);
  client.abort();
  expect([bugs.map(String), listener.inFlight]).toEqual([['TypeError: observer'], 0]);
});

test('a reply that arrives just after the client disconnected is discarded', async () => {
  const reply = stubReply();
  let answer: (late: Reply) => void = () => undefined;
  const { client, ended, untilEnded, bugs } = await start(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  client.abort();
  await untilEnded();
  answer(reply);
  const end = await new Promise((resolve) => reply.body.onEnd(resolve));
  expect([end, ended.map(({ outcome }) => outcome), bugs]).toEqual(['discarded', ['client_gone'], []]);
});

test('a reply whose head cannot be written is discarded, and answered with 500', async () => {
  const reply = stubReply(200, ['not a name', 'x']);
  const { client, bugs } = await start(() => Promise.resolve(reply));
  let end: string | undefined;
  reply.body.onEnd((how) => {
    end = how;
  });
  expect((await client.readReply()).status).toBe(500);
  expect([bugs.length, end]).toEqual([1, 'discarded']);
});

test('a bug before a call exists closes its connection, is logged, and leaves no event handler', async () => {
  const bug = new TypeError('router');
  const { client, bugs, listener } = await start(
    () => Promise.reject(new Error('not asked')),
    () => undefined,
    () => {
      throw bug;
    },
  );
  await client.untilClosed();
  expect([bugs, listener.inFlight]).toEqual([[bug], 0]);
});
