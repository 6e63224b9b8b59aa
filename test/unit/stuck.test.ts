import { describe, expect, test } from 'vitest';
import { EMPTY_BODY } from '../../src/http/bodies/request-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { SecondDeps } from '../../src/policies/hedge/deps.ts';
import { hedgeStuck } from '../../src/policies/hedge/hedge.ts';
import { lookAgainMs, type Silence } from '../../src/policies/hedge/stuck.ts';
import { UsualTimes } from '../../src/policies/silence/usual-times.ts';
import { silencePolicies } from '../../src/policies/silence/policy.ts';
import type { AttemptStart } from '../../src/proxy/attempt.ts';
import type { Call } from '../../src/proxy/call.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import type { Policy } from '../../src/proxy/pipeline.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  type Entry,
  settled,
  type StubAttempt,
  stubCall,
  stubReply,
  stubUpstream,
  through,
} from '../support/stub-call.ts';

describe('when an attempt is stuck', () => {
  const fast: Silence = { silentMs: 0, patienceMs: 2_000, longestMs: 70, overtaken: true };

  test.each<[why: string, silence: Partial<Silence>, againMs: number]>([
    ['never before 20 s, however fast the path is', { silentMs: 19_000 }, 1_000],
    ['after 20 s, if the upstream has answered a later attempt', { silentMs: 20_000 }, 0],
    [
      'not while the upstream is silent to all: asked again later',
      { silentMs: 20_000, overtaken: false },
      5_000,
    ],
    ['four times the usual, where that is longer', { silentMs: 20_000, patienceMs: 60_000 }, 40_000],
    ['twice the longest answer of late', { silentMs: 20_000, longestMs: 300_000 }, 580_000],
    ['never, where nothing is known of the path', { silentMs: 599_000, patienceMs: Infinity }, Infinity],
    ['a trace of floating point is no time', { silentMs: 20_000 - 1e-9 }, 0],
  ])('%s', (_, silence, againMs) => {
    expect(lookAgainMs({ ...fast, ...silence })).toBe(againMs);
  });
});

const last = (attempts: readonly StubAttempt[]) => attempts.at(-1)!;

/** The policy over the real watch, and an upstream that a test answers by hand. */
function setUp(changes: Partial<SecondDeps> = {}) {
  const clock = new FakeClock();
  const upstream = stubUpstream();
  const pulse = { answeredAt: Number.NEGATIVE_INFINITY, wellAt: Number.NEGATIVE_INFINITY };
  const options = { attemptTimeoutMs: undefined, totalTimeoutMs: 600_000, clock };
  const { outer, inner } = silencePolicies(new UsualTimes(pulse), options);
  let tokens = 10;
  const budget = { withdraw: () => tokens > 0 && tokens-- > 0, refund: () => void tokens++ };
  const deps: SecondDeps = {
    clock,
    memory: new ByteBudget(1_000_000),
    budget,
    blocked: () => undefined,
    quotaHasRoom: () => true,
    failing: new Set([429, 503]),
    ...changes,
  };
  // As the innermost Send does it.
  const leaves: Policy = (next) => (call, attempt) => {
    attempt.startListener?.started(attempt.watch);
    return next(call, attempt);
  };
  const send = through([hedgeStuck(deps), outer, inner, leaves], upstream.send);
  const attempts = upstream.attempts as StubAttempt[];

  const start = (more: Partial<AttemptStart & Call> = {}) => {
    const call = stubCall({ tally: { hedges: 0 }, deadline: 600_000, target: '/reports/1', ...more });
    const reply = send(call, call.attempt).then(({ status }) => status);
    reply.catch(() => undefined);
    return { call, reply };
  };
  /** Answers the attempt, or the last one. */
  const answer = async (status = 200, attempt = last(attempts)) => {
    attempt.answer(stubReply(status));
    await settled();
  };
  /** Calls that are answered well after `ms`, one after the other. */
  const serve = async (count: number, ms = 50, more: Partial<AttemptStart & Call> = {}) => {
    for (let i = 0; i < count; i++) {
      // Later than the one before, as far as a clock can tell.
      await clock.advance(1);
      start(more);
      await clock.advance(ms - 1);
      await answer();
    }
  };
  /** A call that hangs on a path whose others are answered in 50 ms, and what it has sent by now. */
  const hang = async (more: Partial<AttemptStart & Call> = {}) => {
    if (attempts.length === 0) await serve(30);
    const before = attempts.length;
    const one = start(more);
    const first = last(attempts);
    await serve(1);
    const second = () => (attempts.length > before + 2 ? last(attempts) : undefined);
    return { ...one, first, second };
  };
  return { answer, attempts, clock, hang, serve, start, tokens: () => tokens };
}

const results = (entries: readonly Entry[]) =>
  entries.flatMap(([name, result]) => (name === 'stuck' ? [result] : []));

test('a second attempt in parallel with a stuck one answers the call; the first is ended, and nothing is left behind', async () => {
  const { answer, clock, hang, tokens } = setUp();
  const { call, first, reply, second } = await hang();
  await clock.advance(19_900);
  expect(second()).toBeUndefined();
  await clock.advance(100);
  expect([second()?.attempt.number, tokens()]).toEqual([2, 9]);
  await answer();
  expect(await reply).toBe(200);
  expect(first.attempt.signal.reason).toMatchObject({ code: 'hedge_lost' });
  expect([results(call.entries), clock.pending]).toEqual([['won'], 0]);
  expect(call.entries).toContainEqual(['hedgeStarted', 2, expect.closeTo(20_000, -1)]);
});

test('the first is not cut: it may be answered yet, also after the second has failed', async () => {
  const { answer, attempts, clock, hang } = setUp();
  const { call, first, reply } = await hang();
  await clock.advance(30_000);
  last(attempts).fail(new ProxyError('connection_terminated', 'reset', { sent: 'sent_unknown' }));
  await clock.advance(300_000);
  await answer(200, first);
  expect(await reply).toBe(200);
  expect(results(call.entries)).toEqual(['failed']);
});

test('a call has at most one second attempt', async () => {
  const { attempts, clock, hang } = setUp();
  const tally = { hedges: 0 };
  await hang({ tally });
  await clock.advance(30_000);
  expect(tally.hedges).toBe(1);
  const before = attempts.length;
  await hang({ tally, number: 3 });
  await clock.advance(300_000);
  expect(attempts.length).toBe(before + 2);
});

describe('calls that a second attempt could harm', () => {
  test.each<[string, Partial<AttemptStart & Call>]>([
    ['a POST', { method: 'POST' }],
    [
      'a POST with a key, which an API may not check while the first runs',
      { method: 'POST', idempotencyKey: 'k' },
    ],
    ['a PUT', { method: 'PUT' }],
    ['a DELETE, whose second answer is a 404', { method: 'DELETE' }],
    ['a call whose attempts are used up', { last: true }],
    ['a call without a count of second attempts', { tally: undefined }],
  ])('%s: none is sent', async (_, more) => {
    const { clock, serve, attempts, start } = setUp();
    await serve(30, 50, more);
    start(more);
    await serve(1, 50, more);
    const before = attempts.length;
    await clock.advance(590_000);
    expect(attempts.length).toBe(before);
  });

  test('a search by POST on a route whose calls only read is a read', async () => {
    const { clock, serve, attempts, start } = setUp();
    const search = { method: 'POST', safe: true };
    await serve(30, 50, search);
    start(search);
    await serve(1, 50, search);
    await clock.advance(20_000);
    expect(attempts.length).toBe(33);
  });

  test('a path of which too little is known: none is sent', async () => {
    const { attempts, clock, serve, start } = setUp();
    await serve(18);
    start();
    await serve(1);
    await clock.advance(590_000);
    expect(attempts.length).toBe(20);
  });

  test('a path that usually takes 30 s has 120 s and more', async () => {
    const { attempts, clock, serve, start } = setUp();
    await serve(30, 30_000);
    start();
    await serve(1);
    await clock.advance(120_000 - 50);
    expect(attempts.length).toBe(32);
  });

  test('a report of five minutes among answers of 50 ms: twice the first time, and then never again', async () => {
    const { answer, attempts, clock, hang, serve, start } = setUp();
    const { first, reply, second } = await hang();
    await clock.advance(299_950);
    expect(second()).toBeDefined();
    await answer(200, first);
    expect(await reply).toBe(200);

    const before = attempts.length;
    start();
    const report = last(attempts);
    await serve(100);
    await clock.advance(300_000);
    await answer(200, report);
    expect(attempts.length).toBe(before + 101);
    // It is remembered while five hundred others are answered.
    await serve(400);
    start();
    await serve(1);
    await clock.advance(300_000);
    expect(attempts.length).toBe(before + 503);
  });

  test('an upstream that answers one after the other: the first is answered first, and the second is ended', async () => {
    const { answer, clock, hang } = setUp();
    const { call, first, reply, second } = await hang();
    await clock.advance(60_000);
    const waiting = second();
    await answer(200, first);
    expect([await reply, results(call.entries)]).toEqual([200, ['lost']]);
    expect(waiting?.attempt.signal.reason).toMatchObject({ code: 'hedge_lost' });
  });

  test('an upstream that is silent to all gets none; once it answers others, the lost call is sent again', async () => {
    const { attempts, clock, serve, start } = setUp();
    await serve(30);
    for (let i = 0; i < 5; i++) start();
    await clock.advance(120_000);
    expect(attempts.length).toBe(35);
    await serve(1);
    await clock.advance(5_000);
    expect(attempts.length).toBe(36 + 5);
  });

  test('a path that is silent to all gets none, although the upstream answers on other paths', async () => {
    const { attempts, clock, serve, start } = setUp();
    await serve(30);
    await serve(30, 50, { target: '/items/1' });
    for (let i = 0; i < 5; i++) start();
    await serve(10, 50, { target: '/items/1' });
    await clock.advance(300_000);
    expect(attempts.length).toBe(75);
  });

  test.each([409, 403, 404, 410])(
    'a second poll or a link that works once: its %d does not end the first',
    async (status) => {
      const { answer, clock, hang } = setUp();
      const { call, first, reply } = await hang();
      await clock.advance(20_000);
      await answer(status);
      await clock.advance(30_000);
      await answer(200, first);
      expect([await reply, results(call.entries)]).toEqual([200, ['failed']]);
    },
  );

  test('a long poll that the second one ends with 409: the second one’s answer is used', async () => {
    const { answer, attempts, clock, hang } = setUp();
    const { call, first, reply } = await hang();
    await clock.advance(20_000);
    const second = last(attempts);
    await answer(409, first);
    await clock.advance(30_000);
    await answer(200, second);
    expect([await reply, results(call.entries)]).toEqual([200, ['won']]);
  });

  test('a body that cannot be sent again: none is sent, and this is noted once', async () => {
    const { clock, hang } = setUp();
    const { call, second } = await hang({ body: { ...EMPTY_BODY, replayable: false } });
    await clock.advance(60_000);
    expect([second(), results(call.entries)]).toEqual([undefined, ['refused_body']]);
  });

  test('the time of an upload is not silence', async () => {
    const { clock, hang } = setUp();
    const { second } = await hang({
      body: { ...EMPTY_BODY, broughtOnAt: (now: number) => Math.min(now, 60_000) },
    });
    await clock.advance(70_000);
    expect(second()).toBeUndefined();
    await clock.advance(10_000);
    expect(second()).toBeDefined();
  });

  test('an open breaker, a drain, a used-up quota or budget: none is sent until that is over', async () => {
    let blocked: ReturnType<SecondDeps['blocked']> = 'refused_breaker';
    let [room, paid] = [false, false];
    const budget = { withdraw: () => paid, refund: () => undefined };
    const { clock, hang } = setUp({ blocked: () => blocked, quotaHasRoom: () => room, budget });
    const { call, second } = await hang();
    await clock.advance(60_000);
    blocked = 'refused_draining';
    await clock.advance(10_000);
    blocked = undefined;
    await clock.advance(10_000);
    room = true;
    await clock.advance(10_000);
    expect(second()).toBeUndefined();
    paid = true;
    await clock.advance(5_000);
    expect(second()).toBeDefined();
    expect(results(call.entries)).toEqual([
      'refused_breaker',
      'refused_draining',
      'refused_quota',
      'refused_budget',
    ]);
  });

  test('a refusal of our own on its way costs nothing', async () => {
    const { attempts, clock, hang, tokens } = setUp();
    const { call } = await hang();
    await clock.advance(20_000);
    last(attempts).fail(new ProxyError('concurrency_limit', 'full'));
    await settled();
    expect([results(call.entries), tokens()]).toEqual([['refused'], 10]);
  });

  test('after a refusal of our own on its way, a second attempt is tried again', async () => {
    const { answer, attempts, clock, hang, tokens } = setUp();
    const tally = { hedges: 0 };
    const { call, reply } = await hang({ tally });
    await clock.advance(20_000);
    for (let i = 0; i < 2; i++) {
      last(attempts).fail(new ProxyError('concurrency_limit', 'full'));
      await settled();
      expect(tally.hedges).toBe(0);
      await clock.advance(5_000);
    }
    expect([last(attempts).attempt.number, tally.hedges, tokens()]).toEqual([2, 1, 9]);
    await answer();
    expect([await reply, results(call.entries), clock.pending]).toEqual([200, ['refused', 'won'], 0]);
  });

  test('a client that has gone wants none', async () => {
    const { attempts, clock, hang } = setUp();
    const { call } = await hang();
    await clock.advance(10_000);
    const before = attempts.length;
    call.signal.abort(new ProxyError('client_gone', 'left'));
    await clock.advance(60_000);
    expect([attempts.length, clock.pending]).toEqual([before, 0]);
  });
});
