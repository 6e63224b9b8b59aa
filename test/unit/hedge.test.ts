import { expect, test } from 'vitest';
import { EMPTY_BODY } from '../../src/http/bodies/request-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { HedgeShare } from '../../src/policies/hedge/hedge-share.ts';
import { hedge } from '../../src/policies/hedge/hedge.ts';
import { Latency } from '../../src/policies/hedge/latency.ts';
import type { Attempt, AttemptStart } from '../../src/proxy/attempt.ts';
import type { Call } from '../../src/proxy/call.ts';
import { blamesUpstream, ProxyError } from '../../src/proxy/errors.ts';
import type { Send } from '../../src/proxy/pipeline.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  type Entry,
  type StubAttempt,
  settled,
  stubCall,
  stubReply,
  stubUpstream,
  through,
} from '../support/stub-call.ts';

interface Setting {
  readonly share?: number;
  readonly latency?: Latency;
}

/** The policy over an upstream that a test answers by hand. */
function setUp({ share: maxShare = 1, latency }: Setting = {}) {
  const clock = new FakeClock();
  const upstream = stubUpstream();
  const share = new HedgeShare(maxShare);
  let tokens = 10;
  const budget = {
    withdraw: () => tokens > 0 && tokens-- > 0,
    refund: () => void tokens++,
  };
  const after = latency === undefined ? { ms: 300 } : { percentile: 0.95 };
  // As the innermost Send does it.
  const next: Send = (call, attempt) => {
    attempt.startListener?.started(attempt.watch);
    return upstream.send(call, attempt);
  };
  const policy = hedge(
    { after, maxExtra: maxShare },
    {
      clock,
      memory: new ByteBudget(1_000_000),
      share,
      latency,
      budget,
      blocked: () => undefined,
      quotaHasRoom: () => true,
      failing: new Set([503]),
    },
  );
  const start = (changes: Partial<AttemptStart & Call> = {}, inner: Send = next) => {
    const call = stubCall({ tally: { hedges: 0 }, ...changes });
    const reply = through(policy, inner)(call, call.attempt);
    reply.catch(() => undefined);
    return { call, reply };
  };
  return { share, attempts: upstream.attempts as StubAttempt[], clock, start, tokens: () => tokens };
}

const results = (entries: readonly Entry[]) =>
  entries.flatMap(([name, result]) => (name === 'hedge' ? [result] : []));

test('a first attempt that lost counts as slow: hedging does not make the percentile fall', async () => {
  const latency = new Latency(0.95);
  for (let i = 0; i < 100; i++) latency.record(100, 0);
  const { attempts, clock, start } = setUp({ latency });
  for (let i = 0; i < 10; i++) {
    const { reply } = start();
    await clock.advance(200);
    attempts.at(-1)?.answer(stubReply());
    await settled();
    (await reply).body.discard();
  }
  expect(attempts.length).toBe(20);
  await clock.advance(3_000);
  // Ten of 110 took 200 ms at least, and 95 % are no longer answered within 100.
  expect(latency.percentileMs(clock.now())).toBeGreaterThan(190);
  expect(clock.pending).toBe(0);
});

test('a hedge that is refused on its way costs nothing of the share, nor of the budget', async () => {
  const { share, attempts, clock, start, tokens } = setUp();
  const { call, reply } = start();
  await clock.advance(300);
  attempts[1]?.fail(new ProxyError('concurrency_limit', 'full'));
  await settled();
  attempts[0]?.answer(stubReply());
  await reply;
  expect(results(call.entries)).toEqual(['refused']);
  expect([tokens(), share.take(), share.take()]).toEqual([10, true, false]);
});

test('if a hedge is refused after the first attempt failed, that failure counts', async () => {
  const { attempts, clock, start } = setUp();
  const { reply } = start();
  await clock.advance(300);
  attempts[0]?.fail(new ProxyError('connection_terminated', 'reset', { sent: 'sent_unknown' }));
  await settled();
  attempts[1]?.fail(new ProxyError('concurrency_limit', 'full'));
  await expect(reply).rejects.toMatchObject({ code: 'connection_terminated' });
});

test('its time counts from when the client last brought its upload on', async () => {
  const { attempts, clock, start } = setUp();
  let uploading = true;
  const body = { ...EMPTY_BODY, broughtOnAt: (now: number) => (uploading ? now : 1_000) };
  start({ body, method: 'PUT' });
  await clock.advance(1_000);
  uploading = false;
  await clock.advance(299);
  expect(attempts.length).toBe(1);
  await clock.advance(1);
  expect(attempts.length).toBe(2);
});

test('the loser is cancelled without counting as a failure, and both release the call’s signal', async () => {
  const { attempts, clock, start } = setUp();
  const { call, reply } = start();
  await clock.advance(300);
  attempts[1]?.answer(stubReply());
  const won = await reply;
  const reason = attempts[0]?.attempt.signal.reason as ProxyError;
  expect([reason.code, blamesUpstream(reason)]).toEqual(['hedge_lost', false]);
  won.body.discard();
  await settled();
  expect([call.signal.listenerCount, clock.pending]).toEqual([0, 0]);
  expect(attempts.map(({ attempt }) => attempt.number)).toEqual([1, 2]);
  expect(call.attempt.tally?.hedges).toBe(1);
});

test('a client that leaves during the winner’s body is noticed', async () => {
  const { attempts, clock, start } = setUp();
  const { call, reply } = start();
  await clock.advance(300);
  attempts[1]?.answer(stubReply());
  await reply;
  call.signal.abort(new ProxyError('client_gone', 'left'));
  expect(attempts[1]?.attempt.signal.aborted).toBe(true);
});

test('a bug in one ends both and is no outcome', async () => {
  const { clock, start } = setUp();
  const sent: Attempt[] = [];
  const { reply } = start({}, (_call, attempt) => {
    sent.push(attempt);
    attempt.startListener?.started(attempt.watch);
    return sent.length === 2 ? Promise.reject(new TypeError('a bug')) : new Promise(() => undefined);
  });
  await clock.advance(300);
  await expect(reply).rejects.toThrow('a bug');
  expect([sent[0]?.signal.aborted, clock.pending]).toEqual([true, 0]);
});

test.each([{ last: true }, { tally: undefined }])('%j: there is none', async (changes) => {
  const { attempts, clock, start } = setUp();
  start(changes);
  await clock.advance(10_000);
  expect(attempts.length).toBe(1);
});
