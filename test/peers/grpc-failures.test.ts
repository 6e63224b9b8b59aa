import { once } from 'node:events';
import { constants } from 'node:http2';
import { Metadata, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { type BreakwaterOptions, NO_WAIT } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type EchoHandlers, grpcClient, startGrpcServer, unary } from './grpc.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { startHttp2Origin } from '../support/http2-origin.ts';
import { refusingOrigin } from '../support/raw-origin.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

const config = (url: string, more = '') =>
  `clients: { http2: true }\n${NO_WAIT}  # RESOURCE_EXHAUSTED would have the others wait.\n  quota: off\nupstreams:\n  api:\n    url: ${url}\n    mount: { path: / }\n    allow_private: true\n    connection: { http2: require }\n${more}`;

async function start(handlers: EchoHandlers, more = '', options: BreakwaterOptions = {}) {
  const origin = await startGrpcServer(handlers);
  const proxy = await startTidy(config(origin.url, more), options);
  return { proxy, client: grpcClient(proxy.port) };
}

type Unary = (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => void;

/** One step per call in order of arrival; the last repeats. */
function script(...steps: Unary[]): { unary: Unary; seen: Metadata[] } {
  const seen: Metadata[] = [];
  return {
    seen,
    unary: (call, done) => {
      seen.push(call.metadata);
      (steps[seen.length - 1] ?? (steps.at(-1) as Unary))(call, done);
    },
  };
}

const fails =
  (code: status, fields: Record<string, string> = {}): Unary =>
  (_call, done) => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
    done({ code, details: status[code], metadata });
  };
const answers: Unary = (call, done) => done(null, `echo ${call.request}`);

const RETRIED = '    retry: { grpc_statuses: [unavailable, resource_exhausted] }\n';

describe('a retry by grpc-status', () => {
  test('follows if the route says that the status means "not processed"', async () => {
    const { unary: step, seen } = script(
      fails(status.UNAVAILABLE),
      fails(status.RESOURCE_EXHAUSTED),
      answers,
    );
    const { client, proxy } = await start({ unary: step }, RETRIED);
    const answer = await unary(client, 'hello');
    expect(answer.value).toBe('echo hello');
    expect(answer.head?.get('breakwater-attempts')).toEqual(['3']);
    expect(seen.map((metadata) => metadata.get('grpc-previous-rpc-attempts'))).toEqual([[], ['1'], ['2']]);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'rescued', status: 200 });
    expect(record?.entries.map(({ grpc, reason }) => [grpc, reason])).toEqual([
      ['unavailable', undefined],
      ['resource_exhausted', 'grpc_unavailable'],
      [undefined, 'grpc_resource_exhausted'],
    ]);
    expect(proxy.logs.find(({ message }) => message.includes('rescued'))?.message).toMatch(
      /rescued on attempt 3: unavailable → .* → resource_exhausted → .* → 200$/,
    );
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toContain(
      'breakwater_retries_total{upstream="api",route="default",reason="grpc_unavailable"} 1',
    );
  });

  test('does not follow otherwise: a gRPC call is a POST', async () => {
    const { unary: step, seen } = script(fails(status.UNAVAILABLE, { 'x-why': 'tired' }), answers);
    const { client, proxy } = await start({ unary: step });
    const { error } = await unary(client, 'hello');
    expect(error).toMatchObject({ code: status.UNAVAILABLE, details: 'UNAVAILABLE' });
    expect(error?.metadata.get('x-why')).toEqual(['tired']);
    expect(error?.metadata.get('breakwater-gave-up')).toEqual(['not_idempotent']);
    expect(seen).toHaveLength(1);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'upstream_error', status: 503 });
  });

  test('nor for other errors, nor after a part of a reply has arrived', async () => {
    const { client, proxy } = await start(
      {
        unary: fails(status.INVALID_ARGUMENT),
        down: (call) => {
          call.sendMetadata(new Metadata());
          call.emit('error', { code: status.UNAVAILABLE, details: 'too late' });
        },
      },
      RETRIED,
    );
    expect((await unary(client, 'hello')).error?.code).toBe(status.INVALID_ARGUMENT);
    const call = client.down('hello', new Metadata());
    call.resume();
    const [error] = await once(call, 'error');
    expect(error).toMatchObject({ code: status.UNAVAILABLE, details: 'too late' });
    const [first, second] = await proxy.untilEnded(2);
    expect(first).toMatchObject({ attempts: 1, outcome: 'ok', status: 400, notes: {} });
    // The trailers' word counts, too, though too late for a retry.
    expect(second).toMatchObject({ attempts: 1, outcome: 'upstream_error', status: 503 });
  });

  test.each(['-1', 'soon'])('nor against the pushback %s of the server', async (pushback) => {
    const { unary: step, seen } = script(
      fails(status.UNAVAILABLE, { 'grpc-retry-pushback-ms': pushback }),
      answers,
    );
    const { client } = await start({ unary: step }, RETRIED);
    const { error } = await unary(client, 'hello');
    expect(error?.metadata.get('breakwater-gave-up')).toEqual(['veto']);
    expect(error?.metadata.get('grpc-retry-pushback-ms')).toEqual(['-1']);
    expect(seen).toHaveLength(1);
  });

  test('waits at least as long as the server asks, and has less time left', async () => {
    const clock = new FakeClock();
    const { unary: step, seen } = script(
      fails(status.UNAVAILABLE, { 'grpc-retry-pushback-ms': '2000' }),
      answers,
    );
    const origin = await startGrpcServer({ unary: step });
    const proxy = await startTidy(config(origin.url, RETRIED), { clock });
    const session = connectHttp2(proxy.url);
    const pending = ask(
      session,
      {
        ':method': 'POST',
        ':path': '/test.Echo/Unary',
        'content-type': 'application/grpc',
        'grpc-timeout': '10S',
        'grpc-previous-rpc-attempts': '2',
        te: 'trailers',
      },
      Buffer.from([0, 0, 0, 0, 1, 97]),
    );
    await clock.untilAsleep();
    await clock.advance(1_999);
    expect(seen).toHaveLength(1);
    await clock.advance(300);
    expect(await pending).toMatchObject({
      status: 200,
      trailers: expect.arrayContaining(['grpc-status', '0']),
    });
    expect(seen[1]?.get('grpc-previous-rpc-attempts')).toEqual(['3']);
    expect(proxy.ended[0]?.entries[1]?.waitMs).toBeGreaterThanOrEqual(2_000);
    session.destroy();
    while (clock.pending > 0) {
      await clock.advance(600_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  test('ends with the last reply unchanged, and tells the client not to retry', async () => {
    const { unary: step, seen } = script(fails(status.UNAVAILABLE, { 'x-why': 'tired' }));
    const { client } = await start({ unary: step }, RETRIED);
    const { error } = await unary(client, 'hello');
    expect(error).toMatchObject({ code: status.UNAVAILABLE, details: 'UNAVAILABLE' });
    expect(error?.metadata.get('x-why')).toEqual(['tired']);
    expect(error?.metadata.get('breakwater-gave-up')).toEqual(['attempts']);
    expect(error?.metadata.get('grpc-retry-pushback-ms')).toEqual(['-1']);
    expect(error?.metadata.get('proxy-status')).toEqual([
      'breakwater; received-status=200; details="attempts=3; gave_up=attempts"',
    ]);
    expect(seen).toHaveLength(3);
  });

  test('of a stream repeats its messages', async () => {
    const bodies: string[][] = [];
    const { client } = await start(
      {
        up: (call, done) => {
          const got: string[] = [];
          bodies.push(got);
          if (bodies.length === 1) {
            call.once('data', (message: string) => {
              got.push(message);
              done({ code: status.UNAVAILABLE });
            });
            return;
          }
          call.on('data', (message: string) => got.push(message));
          call.on('end', () => done(null, got.join()));
        },
      },
      RETRIED,
    );
    const answer = await new Promise((resolve, reject) => {
      const call = client.up((error, value) => (error === null ? resolve(value) : reject(error)));
      for (const message of ['one', 'two', 'three']) call.write(message);
      call.end();
    });
    expect(answer).toBe('one,two,three');
    expect(bodies[0]).toEqual(['one']);
  });
});

describe('an error of the proxy is a gRPC status', () => {
  test('an upstream that is down: UNAVAILABLE, with the attempts that were made', async () => {
    const origin = await refusingOrigin();
    const proxy = await startTidy(config(origin.url));
    const { error } = await unary(grpcClient(proxy.port), 'hello');
    expect(error?.code).toBe(status.UNAVAILABLE);
    expect(error?.details).toMatch(/^connection_refused: /);
    expect(error?.metadata.get('breakwater-attempts')).toEqual(['3']);
    expect(error?.metadata.get('breakwater-origin')).toEqual(['proxy']);
    expect(error?.metadata.get('proxy-status')[0]).toMatch(/^breakwater; error=connection_refused; /);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ status: 502, error: 'connection_refused' });
  });

  test('as HTTP 200 with only a head; other clients get problem details', async () => {
    const origin = await refusingOrigin();
    const proxy = await startTidy(config(origin.url, '    breaker: off\n'));
    const session = connectHttp2(proxy.url);
    const head = { ':method': 'POST', ':path': '/test.Echo/Unary' };
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x=y'])
      expect(await ask(session, { ...head, 'content-type': type }, 'x')).toMatchObject({
        status: 200,
        headOnly: true,
        headers: { 'content-type': 'application/grpc', 'grpc-status': '14' },
      });
    for (const type of ['application/grpc-web', 'application/grpcish', 'application/json'])
      expect(await ask(session, { ...head, 'content-type': type }, 'x')).toMatchObject({
        status: 502,
        headers: { 'content-type': 'application/problem+json' },
      });
  });

  test.each([
    ['500m', 500],
    ['2H', 600_000],
    ['soon', 600_000],
  ])(
    'a deadline of %s: DEADLINE_EXCEEDED after %d ms, and the server call is cancelled',
    async (said, ms) => {
      const clock = new FakeClock();
      const origin = await startHttp2Origin([() => undefined], { plain: true });
      const proxy = await startTidy(config(origin.url), { clock });
      const session = connectHttp2(proxy.url);
      const call = { ':method': 'POST', ':path': '/test.Echo/Unary', 'content-type': 'application/grpc' };
      const pending = ask(session, { ...call, 'grpc-timeout': said }, 'x');
      await origin.until(({ requests }) => requests.length === 1);
      await clock.advance(ms - 1);
      expect(proxy.ended).toHaveLength(0);
      await clock.advance(1);
      expect((await pending).headers).toMatchObject({ 'grpc-status': '4', 'breakwater-attempts': '1' });
      await origin.until(({ requests }) => requests[0]?.reset === constants.NGHTTP2_CANCEL);
      expect(origin.requests[0]?.headers['grpc-timeout']).toBe(said);
      session.destroy();
      origin.cut();
      while (clock.pending > 0) {
        await clock.advance(600_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  );

  test('a server that fails in the middle: UNAVAILABLE in the trailers', async () => {
    const origin = await startHttp2Origin(
      [
        ({ stream }) => {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
          stream.write(Buffer.from([0, 0, 0, 0, 1, 97]), () => stream.destroy(new Error('broken')));
        },
      ],
      { plain: true },
    );
    const proxy = await startTidy(config(origin.url));
    const client = grpcClient(proxy.port);
    const call = client.down('hello', new Metadata());
    const messages: unknown[] = [];
    call.on('data', (message) => messages.push(message));
    const [error] = await once(call, 'error');
    expect(messages).toEqual(['a']);
    expect(error).toMatchObject({ code: status.UNAVAILABLE });
    expect((error as Error).message).toContain('connection_terminated');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ error: 'response_incomplete' });
  });

  test('a full limit: RESOURCE_EXHAUSTED; an unknown route: UNIMPLEMENTED', async () => {
    const { client, proxy } = await start(
      { down: (call) => void call.write('begun') },
      '    concurrency: { mode: fixed, max: 1, queue: 0 }\n',
    );
    const running = client.down('hello', new Metadata());
    running.on('error', () => undefined);
    await once(running, 'data');
    expect((await unary(client, 'second')).error?.code).toBe(status.RESOURCE_EXHAUSTED);
    running.cancel();
    await proxy.untilEnded(2);
    proxy.rewrite(config('http://127.0.0.1:1').replace('path: /', 'path: /elsewhere'));
    await proxy.app.reload();
    expect((await unary(client, 'third')).error?.code).toBe(status.UNIMPLEMENTED);
  });
});

test('the breaker counts trailers-only errors equivalent to a 5xx, and no others', async () => {
  let code = status.NOT_FOUND;
  const { client, proxy } = await start(
    { unary: (call, done) => fails(code)(call, done) },
    '    breaker: { min_requests: 5 }\n',
  );
  const state = async () => (await stateOf(proxy)).upstreams[0]?.scopes[0]?.breaker?.state;
  const some = async () => {
    for (let i = 0; i < 6; i++) await unary(client, 'hello');
  };
  await some();
  code = status.RESOURCE_EXHAUSTED;
  await some();
  expect(await state()).toBe('closed');
  code = status.UNAVAILABLE;
  for (let i = 0; i < 60; i++) await unary(client, 'hello');
  expect(await state()).toBe('open');
  const { error } = await unary(client, 'hello');
  expect(error).toMatchObject({ code: status.UNAVAILABLE });
  expect(error?.details).toMatch(/^breaker_open: /);
});
