import { expect, test } from 'vitest';
import { MemoryBody } from '../../src/http/bodies/memory-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { Reply } from '../../src/http/reply.ts';
import { responseCache } from '../../src/policies/response-cache/response-cache.ts';
import { CacheStore } from '../../src/policies/response-cache/store.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { compose } from '../../src/proxy/compose.ts';
import { dispatchBy, type Send } from '../../src/proxy/pipeline.ts';
import type { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sending, settled, stubCall, through } from '../support/stub-call.ts';

const OPTIONS = {
  ttlMs: 10_000,
  override: false,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 60_000,
  vary: [],
  maxReplyBytes: 1_000,
  memoryBytes: 100_000,
};

class WallClock extends FakeClock {
  offsetMs = 0;
  override wallTime(): number {
    return super.wallTime() + this.offsetMs;
  }
}

function setUp(answer: () => Reply, options = OPTIONS) {
  const clock = new WallClock();
  const running = new Set<Abort>();
  const store = new CacheStore(options.memoryBytes);
  const upstream: Send = () => Promise.resolve().then(answer);
  const cache = responseCache(options, {
    store,
    running,
    clock,
    memory: new ByteBudget(1_000_000),
    totalTimeoutMs: 30_000,
    callers: { identityOf: () => [], callerOf: () => ({ id: 'me', known: true }) },
  });
  const get = async (): Promise<Reply> => {
    const reply = await sending(through(cache, upstream))(stubCall({ deadline: clock.now() + 30_000 }));
    reply.body.discard();
    await settled();
    return reply;
  };
  return { clock, dispatch: compose([cache], dispatchBy(upstream)), get, running, store };
}

const reply = (status = 200): Reply => ({ status, statusText: '', headers: [], body: new MemoryBody([]) });

test('the wall clock makes nothing older or younger', async () => {
  let asked = 0;
  const { clock, get } = setUp(() => (asked++, reply()));
  await get();
  clock.offsetMs = 86_400_000;
  expect((await get()).origin).toBe('cache');
  clock.offsetMs = -86_400_000;
  await clock.advance(10_000);
  await get();
  expect(asked).toBe(2);
});

test('a fresh reply is given within the turn of its call', async () => {
  const { clock, dispatch, get } = setUp(reply);
  await get();
  const given: Reply[] = [];
  const call = stubCall({ deadline: clock.now() + 30_000 });
  dispatch(call, call.attempt, { replied: (each) => given.push(each), failed: () => {} });
  expect(given.map(({ origin }) => origin)).toEqual(['cache']);
});

test('a bug in the proxy and a client that left get no stale reply', async () => {
  const failures = [
    new TypeError('bug'),
    new ProxyError('client_gone', 'gone'),
    new ProxyError('draining', 'x'),
  ];
  const answers: (() => Reply)[] = [
    reply,
    ...failures.map((failure) => (): Reply => {
      throw failure;
    }),
  ];
  const { clock, get } = setUp(() => (answers.shift() ?? reply)());
  await get();
  await clock.advance(10_000);
  await expect(get()).rejects.toThrow('bug');
  await expect(get()).rejects.toThrow('gone');
  expect((await get()).origin).toBe('cache');
});

test.each([
  ['a reply', reply],
  ['an error', () => reply(503)],
  [
    'a refusal',
    () => {
      throw new ProxyError('breaker_open', 'open');
    },
  ],
])('what runs in the background is forgotten when it has ended with %s', async (_, later) => {
  const answers: (() => Reply)[] = [reply, later];
  const { clock, get, running } = setUp(() => (answers.shift() ?? reply)(), {
    ...OPTIONS,
    staleWhileRevalidateMs: 60_000,
  });
  await get();
  await clock.advance(10_000);
  await get();
  expect([running.size, clock.pending]).toEqual([0, 0]);
});
