import { describe, expect, test } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { Reply } from '../../src/http/reply.ts';
import { fallback } from '../../src/policies/fallback/fallback.ts';
import type { FallbackOptions, FallbackUpstream } from '../../src/policies/fallback/options.ts';
import { deadline } from '../../src/policies/timeouts/deadline.ts';
import { compose } from '../../src/proxy/compose.ts';
import { type ErrorCode, ProxyError } from '../../src/proxy/errors.ts';
import { dispatchBy, type Send } from '../../src/proxy/pipeline.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sending, settled, stubCall, stubReply, stubUpstream, through } from '../support/stub-call.ts';

const STATIC: FallbackOptions = {
  statuses: new Set([503]),
  upstreams: [],
  reply: { status: 200, set: [], body: 'stale' },
  reserve: 0.3,
};

async function outcomeOf(code: ErrorCode | 503, grpc = false): Promise<unknown> {
  const policy = fallback(STATIC, {
    clock: new FakeClock(),
    memory: new ByteBudget(0),
    notProcessed: new Set(),
    forward: () => () => {
      throw new Error('nothing is sent');
    },
  });
  const send = through(policy, () =>
    code === 503 ? Promise.resolve(stubReply(503)) : Promise.reject(new ProxyError(code, 'why')),
  );
  try {
    const { origin, status } = await sending(send)(stubCall(grpc ? { grpc: { deadline: undefined } } : {}));
    return origin ?? status;
  } catch (error) {
    return (error as ProxyError).code;
  }
}

test.each<ErrorCode | 503>([
  503,
  'connection_refused',
  'connection_terminated',
  'attempt_timeout',
  'deadline_exceeded',
  'dns_error',
  'tls_certificate_error',
  'breaker_open',
  'concurrency_limit',
  'quota',
])('%s is a failure that another may answer', async (code) => expect(await outcomeOf(code)).toBe('fallback'));

test.each<ErrorCode>([
  'client_gone',
  'bad_request',
  'request_timeout',
  'idempotency_key_required',
  'egress_denied',
  'client_forbidden',
  'draining',
  'proxy_loop',
  'address_prohibited',
  'body_not_buffered',
])('%s is not', async (code) => expect(await outcomeOf(code)).toBe(code));

test('a call of gRPC gets no text from the configuration', async () =>
  expect([await outcomeOf('breaker_open', true), await outcomeOf(503, true)]).toEqual(['breaker_open', 503]));

describe('upstreams in turn', () => {
  const to = (upstream: string, unsafe = false): FallbackUpstream => ({
    upstream,
    path: '/**',
    headers: { set: [], remove: [] },
    unsafe,
  });

  interface Setting {
    readonly upstreams?: readonly FallbackUpstream[];
    readonly reply?: FallbackOptions['reply'];
    readonly call?: Parameters<typeof stubCall>[0];
    /** Statuses by which b reports that it processed nothing. */
    readonly notProcessed?: readonly number[];
  }

  function start({ upstreams = [to('b'), to('c')], reply, call: changes, notProcessed = [] }: Setting = {}) {
    const clock = new FakeClock();
    const places = new Map(['a', 'b', 'c'].map((name) => [name, stubUpstream()]));
    const send = (name: string): Send => places.get(name)?.send as Send;
    const policy = fallback(
      { statuses: new Set([503]), upstreams, reply, reserve: 0.4 },
      {
        clock,
        memory: new ByteBudget(1_000),
        notProcessed: new Set(),
        forward: ({ upstream }) => {
          // Its own deadline, as the other upstream's route has one.
          const dispatch = compose([deadline(clock)], dispatchBy(send(upstream)));
          const route = { dispatch, totalTimeoutMs: 60_000, notProcessed: new Set(notProcessed) };
          return (call) => {
            if (upstream === 'denied') throw new ProxyError('egress_denied', 'not allowed');
            return { call, route };
          };
        },
      },
    );
    const call = stubCall({ deadline: clock.now() + 10_000, ...changes });
    const outcome = sending(through(policy, send('a')))(call).then(
      ({ origin, status }) => origin ?? status,
      (error: ProxyError) => error.code,
    );
    const fail = async (name: string, reached: boolean, how: Reply | ProxyError) => {
      await settled();
      const one = places.get(name)?.attempts.at(-1);
      if (one === undefined) throw new Error(`nothing was sent to ${name}`);
      if (reached) one.attempt.onReached?.();
      if (how instanceof ProxyError) one.fail(how);
      else one.answer(how);
      await settled();
    };
    const asked = () => [...places].filter(([, { attempts }]) => attempts.length > 0).map(([name]) => name);
    return { clock, call, outcome, places, fail, asked };
  }

  const answered = (body: string): Reply => ({ ...stubReply(200), statusText: body });
  const refused = () => new ProxyError('connection_refused', 'no');
  const lost = () => new ProxyError('connection_terminated', 'cut', { sent: 'sent_unknown' });

  test('a first one that hangs leaves half of the reserved time for the second', async () => {
    const { clock, call, outcome, places, fail, asked } = start();
    await clock.advance(5_999);
    expect(asked()).toEqual(['a']);
    await clock.advance(1);
    await settled();
    expect(asked()).toEqual(['a', 'b']);
    await clock.advance(1_999);
    expect(asked()).toEqual(['a', 'b']);
    await clock.advance(1);
    await settled();
    expect(asked()).toEqual(['a', 'b', 'c']);
    expect(places.get('c')?.attempts[0]?.attempt.deadline).toBe(call.attempt.deadline);
    await fail('c', true, answered('c'));
    expect(await outcome).toBe('fallback');
    expect(call.entries).toEqual([
      ['fallback_failed', 'b deadline_exceeded'],
      ['fallback_to', 'c'],
      ['fallback', 'answered'],
    ]);
    expect(call.signal.aborted).toBe(false);
  });

  test('one that has no route for the call is passed over', async () => {
    const { call, outcome, fail } = start({ upstreams: [to('denied'), to('c')] });
    await fail('a', true, stubReply(503));
    await fail('c', true, answered('c'));
    expect(await outcome).toBe('fallback');
    expect(call.entries[0]).toEqual(['fallback_failed', 'denied egress_denied']);
  });

  const POST = { method: 'POST' };
  const refusedCredential: Reply = {
    ...stubReply(503),
    classification: {
      name: 'revoked',
      kind: 'credential_refused',
      throttled: false,
      retryAfterMs: undefined,
    },
  };

  test('a POST that the second one may have processed goes to no third', async () => {
    const { call, outcome, fail, asked } = start({ call: POST });
    await fail('a', false, refused());
    await fail('b', true, lost());
    expect(await outcome).toBe('connection_refused');
    expect(asked()).toEqual(['a', 'b']);
    expect(call.entries.at(-1)).toEqual(['fallback', 'failed']);
  });

  test.each([
    ['it never got it', {}, false, refused()],
    ['it says that it did nothing', { notProcessed: [503] }, true, stubReply(503)],
    ['it has refused the credential', {}, true, refusedCredential],
  ])('a POST goes to a third one if %s', async (_, setting, reached, how) => {
    const { outcome, fail } = start({ call: POST, ...setting });
    await fail('a', false, refused());
    await fail('b', reached, how);
    await fail('c', true, answered('c'));
    expect(await outcome).toBe('fallback');
  });

  test('a status that says so at one upstream says nothing about another', async () => {
    const { outcome, fail, asked } = start({ call: POST, notProcessed: [503] });
    await fail('a', true, stubReply(503));
    expect(await outcome).toBe(503);
    expect(asked()).toEqual(['a']);
  });

  test('a key that the call got there does not make it safe elsewhere', async () => {
    const { outcome, fail, asked } = start({
      call: { ...POST, idempotencyKey: 'k' },
      notProcessed: [503],
    });
    await fail('a', false, refused());
    await fail('b', true, stubReply(503));
    expect(await outcome).toBe('connection_refused');
    expect(asked()).toEqual(['a', 'b']);
  });

  test('only one that is marked unsafe gets a POST that may have been processed', async () => {
    const { outcome, fail, asked } = start({ call: POST, upstreams: [to('b'), to('c', true)] });
    await fail('a', true, lost());
    expect(asked()).toEqual(['a', 'c']);
    await fail('c', true, answered('c'));
    expect(await outcome).toBe('fallback');
  });

  test('none is asked once the client has left', async () => {
    const { call, outcome, fail, asked } = start();
    await fail('a', true, stubReply(503));
    call.signal.abort(new ProxyError('client_gone', 'left'));
    await settled();
    expect(await outcome).toBe('client_gone');
    expect(asked()).toEqual(['a', 'b']);
    expect(call.entries).toEqual([
      ['fallback_failed', 'b client_gone'],
      ['fallback', 'failed'],
    ]);
  });

  test('early hints of one that is not the last are not for the client', async () => {
    const { places, fail } = start({ call: { interims: { onInterim: () => {} } } });
    await fail('a', true, stubReply(503));
    await fail('b', true, stubReply(503));
    const interims = ['a', 'b', 'c'].map((name) => places.get(name)?.attempts[0]?.attempt.interims);
    expect(interims.map((sink) => sink !== undefined)).toEqual([false, false, true]);
  });

  test('the fixed reply answers if none of them does', async () => {
    const { call, outcome, fail } = start({ reply: STATIC.reply, call: POST });
    await fail('a', true, lost());
    expect(await outcome).toBe('fallback');
    expect(call.entries).toEqual([['fallback', 'answered']]);
  });
});
