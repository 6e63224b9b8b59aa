import { describe, expect, test, vi } from 'vitest';
import type { BodyEnd, BodySink, Reply } from '../../src/http/reply.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { Exchange } from '../../src/upstream/exchange.ts';
import type { ReplyFields } from '../../src/upstream/handler.ts';
import { sendBy } from '../../src/proxy/pipeline.ts';
import { upstreamDispatch } from '../../src/upstream/send.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sending, stubCall } from '../support/stub-call.ts';

const EMPTY: ReplyFields = { list: [] };
const GONE = new ProxyError('client_gone', 'gone');

function start() {
  const signal = new Abort();
  const clock = new FakeClock();
  const source = {
    close: vi.fn<() => void>(),
    [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }),
  };
  const call = stubCall({ signal });
  const { promise: reply, resolve: replied, reject: failed } = Promise.withResolvers<Reply>();
  const exchange = new Exchange({ call, attempt: call.attempt, replied, failed }, source, {
    clock,
    idleTimeoutMs: 1_000,
  });
  reply.catch(() => undefined);
  const ends: BodyEnd[] = [];
  exchange.onEnd((end) => ends.push(end));
  const controller = {
    pause: vi.fn<() => void>(),
    resume: vi.fn<() => void>(),
    // Like undici, which reports the error synchronously.
    abort: vi.fn<(reason: Error) => void>((reason) => exchange.onResponseError(undefined, reason)),
  };
  const sink = {
    destroyed: false as boolean,
    write: vi.fn<() => boolean>(() => true),
    end: vi.fn<() => void>(),
    destroy: vi.fn<() => void>(),
    on: vi.fn<() => void>(),
  } satisfies BodySink;
  return { signal, clock, source, exchange, reply, ends, controller, undici: controller, sink };
}

describe('the request body is released', () => {
  test('when the reply has ended, even before the whole body was sent', async () => {
    const { exchange, reply, undici, source, ends, signal, sink } = start();
    exchange.onRequestStart(undici);
    exchange.onResponseStart(undici, 413, { list: ['X-A', '\xe9'] }, 'Too Large');
    expect(await reply).toMatchObject({
      status: 413,
      statusText: 'Too Large',
      headers: ['X-A', '\xe9'],
    });
    exchange.pipeTo(sink);
    expect(source.close).not.toHaveBeenCalled();
    exchange.onResponseEnd(undici, EMPTY);
    expect(source.close).toHaveBeenCalledOnce();
    expect([ends, signal.listenerCount]).toEqual([['complete'], 0]);
    expect(sink.end).toHaveBeenCalledOnce();
  });

  test('when it failed', async () => {
    const { exchange, undici, source, ends, reply } = start();
    exchange.onRequestStart(undici);
    exchange.onResponseError(undici, Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    await expect(reply).rejects.toMatchObject({ code: 'connection_terminated', sent: 'sent_unknown' });
    expect([source.close.mock.calls.length, ends]).toEqual([1, ['broken']]);
  });

  test('when the call ends while undici is still connecting', async () => {
    const { exchange, undici, source, ends, reply, signal, controller } = start();
    signal.abort(GONE);
    await expect(reply).rejects.toBe(GONE);
    expect([source.close.mock.calls.length, ends, signal.listenerCount]).toEqual([1, ['discarded'], 0]);
    exchange.onRequestStart(undici);
    expect(controller.abort).toHaveBeenCalledExactlyOnceWith(GONE);
    expect(ends).toEqual(['discarded']);
  });
});

describe('a body that cannot be received completely never counts as complete', () => {
  test('one that broke before pipeTo destroys the sink', () => {
    const { exchange, undici, sink } = start();
    exchange.onRequestStart(undici);
    exchange.onResponseStart(undici, 200, EMPTY, 'OK');
    exchange.onResponseError(undici, new Error('reset'));
    exchange.pipeTo(sink);
    expect([sink.destroy.mock.calls.length, sink.end.mock.calls.length]).toEqual([1, 0]);
  });

  test('bytes before pipeTo abort it', () => {
    const { exchange, undici, ends, sink } = start();
    exchange.onRequestStart(undici);
    exchange.onResponseStart(undici, 200, EMPTY, 'OK');
    exchange.onResponseData(undici, Buffer.from('early'));
    expect(ends).toEqual(['broken']);
    exchange.pipeTo(sink);
    expect(sink.end).not.toHaveBeenCalled();
  });
});

describe('a discarded body', () => {
  test('is read to its end if it is small, so that its connection is reused', () => {
    const { exchange, undici, ends, controller } = start();
    exchange.onRequestStart(undici);
    exchange.onResponseStart(undici, 503, EMPTY, 'Unavailable');
    exchange.discard();
    exchange.onResponseData(undici, Buffer.alloc(64 * 1024));
    exchange.onResponseEnd(undici, EMPTY);
    expect([controller.abort.mock.calls.length, controller.resume.mock.calls.length, ends]).toEqual([
      0,
      1,
      ['discarded'],
    ]);
  });

  test('is aborted if it is large', () => {
    const { exchange, undici, ends, controller } = start();
    exchange.onRequestStart(undici);
    exchange.onResponseStart(undici, 503, EMPTY, 'Unavailable');
    exchange.discard();
    exchange.onResponseData(undici, Buffer.alloc(64 * 1024 + 1));
    expect([controller.abort.mock.calls.length, ends]).toEqual([1, ['discarded']]);
  });
});

test('a reply that has ended no longer refers to its connection, while a call waits for its next attempt', async () => {
  const { exchange, reply, undici, controller, sink } = start();
  exchange.onRequestStart(undici);
  exchange.onResponseStart(undici, 503, EMPTY, 'Unavailable');
  await reply;
  exchange.pipeTo(sink);
  exchange.onResponseEnd(undici, EMPTY);
  exchange.abort(GONE);
  expect(controller.abort).not.toHaveBeenCalled();
});

test('a body whose sink is destroyed is aborted, and the upstream is not to blame', () => {
  const { exchange, undici, ends, controller, sink } = start();
  exchange.onRequestStart(undici);
  exchange.onResponseStart(undici, 200, EMPTY, 'OK');
  exchange.pipeTo(sink);
  sink.destroyed = true;
  exchange.onResponseData(undici, Buffer.from('late'));
  expect([controller.abort.mock.calls.length, ends, sink.write.mock.calls.length]).toEqual([
    1,
    ['discarded'],
    0,
  ]);
});

describe('failures before an attempt are not counted as attempts', () => {
  const dispatcher = { dispatch: vi.fn<() => boolean>() };
  const send = sendBy(
    upstreamDispatch(dispatcher, 'http://x', {
      clock: new FakeClock(),
      idleTimeoutMs: 1_000,
    }),
  );

  test('a call that ended before its attempt', async () => {
    const call = stubCall();
    call.signal.abort(GONE);
    await expect(send(call, call.attempt)).rejects.toBe(GONE);
    expect([call.entries, dispatcher.dispatch.mock.calls.length]).toEqual([[], 0]);
  });
});

test('a request that undici refuses is the client’s mistake, and none of its bytes was sent', async () => {
  const refusing = {
    dispatch: () => {
      throw Object.assign(new Error('invalid path'), { code: 'UND_ERR_INVALID_ARG' });
    },
  };
  const send = sendBy(
    upstreamDispatch(refusing, 'http://x', {
      clock: new FakeClock(),
      idleTimeoutMs: 1_000,
    }),
  );
  await expect(sending(send)(stubCall())).rejects.toMatchObject({ code: 'bad_request', sent: 'not_sent' });
});
