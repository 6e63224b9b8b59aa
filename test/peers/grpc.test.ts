import { once } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { NO_WAIT, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type EchoHandlers, grpcClient, startGrpcServer, unary } from './grpc.ts';
import { startTidy, untilState } from '../support/tidy.ts';
import { pem } from '../support/tls.ts';

const config = (url: string, { more = '', top = '' } = {}) =>
  `${top}clients: { http2: true }\n${NO_WAIT}upstreams:\n  api:\n    url: ${url}\n    mount: { path: / }\n    allow_private: true\n    connection: { http2: require }\n${more}`;

async function start(handlers: EchoHandlers, options: { more?: string; top?: string } = {}) {
  const origin = await startGrpcServer(handlers);
  const proxy = await startTidy(config(origin.url, options));
  return { proxy, origin };
}

const TLS = `tls: ${JSON.stringify(pem('server'))}\n`;

describe.each(['h2c', 'TLS'] as const)('gRPC by %s', (how) => {
  const tls = how === 'TLS';
  const begin = async (handlers: EchoHandlers) => {
    const { proxy } = await start(handlers, tls ? { top: TLS } : {});
    return grpcClient(proxy.port, { tls });
  };

  test('a unary call: message, metadata in the head and in the trailers', async () => {
    const client = await begin({
      unary: (call, done) => {
        const head = new Metadata();
        head.set('x-got', call.metadata.get('x-sent')[0] ?? 'nothing');
        head.set('x-bytes-bin', Buffer.from([0, 255]));
        call.sendMetadata(head);
        const trailer = new Metadata();
        trailer.set('x-trailer', 'behind');
        done(null, `echo ${call.request}`, trailer);
      },
    });
    const metadata = new Metadata();
    metadata.set('x-sent', 'before');
    const answer = await unary(client, 'hello', { metadata });
    expect(answer.error).toBeNull();
    expect(answer.value).toBe('echo hello');
    expect(answer.head?.get('x-got')).toEqual(['before']);
    expect(answer.head?.get('x-bytes-bin')).toEqual([Buffer.from([0, 255])]);
    expect(answer.head?.get('breakwater-attempts')).toEqual(['1']);
    expect(answer.status).toMatchObject({ code: status.OK });
    expect(answer.status.metadata.get('x-trailer')).toEqual(['behind']);
  });

  test('an error: code, message and metadata, without a body', async () => {
    const client = await begin({
      unary: (_call, done) => {
        const metadata = new Metadata();
        metadata.set('x-why', 'not yours');
        done({ code: status.PERMISSION_DENIED, details: 'gehört jemand anderem', metadata });
      },
    });
    const { error } = await unary(client, 'hello');
    expect(error).toMatchObject({ code: status.PERMISSION_DENIED, details: 'gehört jemand anderem' });
    expect(error?.metadata.get('x-why')).toEqual(['not yours']);
    expect(error?.metadata.get('breakwater-origin')).toEqual(['upstream']);
  });

  test('10 000 messages to a slow reader all arrive in order, with back-pressure to the server', async () => {
    let paused = 0;
    const client = await begin({
      down: async (call) => {
        for (let i = 0; i < 10_000; i++) {
          if (call.write(`${i} ${'x'.repeat(1_000)}`)) continue;
          paused++;
          await once(call, 'drain');
        }
        call.end();
      },
    });
    const call = client.down('all');
    let next = 0;
    for await (const message of call) {
      expect((message as string).startsWith(`${next++} `)).toBe(true);
      if (next % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(next).toBe(10_000);
    expect(paused).toBeGreaterThan(0);
  });

  test('a client stream with one reply', async () => {
    const client = await begin({
      up: async (call, done) => {
        let count = 0;
        for await (const message of call) count += (message as string).length;
        done(null, String(count));
      },
    });
    const answer = await new Promise((resolve, reject) => {
      const call = client.up((error, value) => (error === null ? resolve(value) : reject(error)));
      for (let i = 0; i < 1_000; i++) call.write('x'.repeat(1_000));
      call.end();
    });
    expect(answer).toBe('1000000');
  });

  test('a bidirectional stream, each message answered before the next', async () => {
    const client = await begin({
      both: (call) => {
        call.on('data', (message: string) => call.write(`echo ${message}`));
        call.on('end', () => call.end());
      },
    });
    const call = client.both();
    const answers: string[] = [];
    const ended = once(call, 'status');
    call.on('data', (message: string) => {
      answers.push(message);
      if (answers.length < 100) call.write(String(answers.length));
      else call.end();
    });
    call.write('0');
    expect((await ended)[0]).toMatchObject({ code: status.OK });
    expect(answers).toEqual(Array.from({ length: 100 }, (_, i) => `echo ${i}`));
  });

  test('cancelling a stream cancels it at the server', async () => {
    const cancelled = Promise.withResolvers<string>();
    const client = await begin({
      down: (call) => {
        call.on('cancelled', () => cancelled.resolve('cancelled'));
        call.write('begun');
      },
    });
    const call = client.down('for ever');
    await once(call, 'data');
    call.on('error', () => undefined);
    call.cancel();
    expect(await cancelled.promise).toBe('cancelled');
  });

  test('a status that arrives before the end of the upload reaches the client', async () => {
    const client = await begin({
      up: (call, done) => {
        call.once('data', () => done({ code: status.INVALID_ARGUMENT, details: 'enough' }));
      },
    });
    const error = await new Promise<unknown>((resolve) => {
      const call = client.up((failure) => resolve(failure));
      call.on('error', () => undefined);
      call.write('one');
    });
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, details: 'enough' });
  });
});

test('a gRPC stream keeps its permit, and is not refused at its end', async () => {
  const first = Promise.withResolvers<void>();
  const origin = await startGrpcServer({
    up: (stream, done) => {
      stream.on('data', () => first.resolve());
      stream.on('end', () => done(null, 'whole'));
    },
    unary: (_call, done) => done(null, 'other'),
  });
  const clock = new FakeClock();
  const proxy = await startBreakwater(
    `clients: { http2: true }\nupstreams:\n  api:\n    url: ${origin.url}\n    mount: { path: / }\n    allow_private: true\n    connection: { http2: require }\n    concurrency: { mode: fixed, max: 1, wait: 9s }\n`,
    { clock },
  );
  const client = grpcClient(proxy.port);
  const whole = Promise.withResolvers<unknown>();
  const stream = client.up((error, value) => whole.resolve(error ?? value));
  stream.write('a');
  await first.promise;
  await clock.advance(5_000);
  const other = unary(client, 'b');
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
  stream.end();
  expect([await whole.promise, (await other).value]).toEqual(['whole', 'other']);
});
