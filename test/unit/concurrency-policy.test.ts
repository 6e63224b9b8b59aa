import { expect, test } from 'vitest';
import type { Reply } from '../../src/http/reply.ts';
import { ConcurrencyLimit } from '../../src/policies/concurrency/limit.ts';
import type { ConcurrencyOptions } from '../../src/policies/concurrency/options.ts';
import { permitQueue } from '../../src/policies/concurrency/permits.ts';
import { concurrencyLimit } from '../../src/policies/concurrency/policy.ts';
import { AttemptWatch } from '../../src/proxy/attempt-watch.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  type StubAttempt,
  sending,
  settled,
  stubCall,
  stubReply,
  stubUpstream,
  through,
} from '../support/stub-call.ts';

function setUp({ max = 1, queue: capacity = 4, ...others }: Partial<ConcurrencyOptions> = {}) {
  const clock = new FakeClock();
  const options: ConcurrencyOptions = {
    mode: 'fixed',
    min: 1,
    max,
    queue: capacity,
    waitMs: 100,
    latencyCeilingMs: undefined,
    ...others,
  };
  const limit = new ConcurrencyLimit(options);
  const queue = permitQueue(capacity);
  const { send, attempts } = stubUpstream();
  const policy = concurrencyLimit(limit, { queue, waitMs: options.waitMs, clock });
  return { clock, limit, queue, attempts, policy, send: sending(through(policy, send)), upstream: send };
}

/** An adaptive limit that has fallen to `to`. */
function fallenTo(to: number, changes: Partial<ConcurrencyOptions> = {}) {
  const all = setUp({ mode: 'adaptive', max: Infinity, ...changes });
  const { limit } = all;
  for (let i = 0; i < to + 4; i++) limit.tryAcquire();
  while (limit.inFlight > 0) limit.release(limit.inFlight > to ? 'overload' : 'ignored', 1_000, -1);
  expect(limit.limit).toBe(to);
  return all;
}

const REJECTED = ['rejected', 'concurrency_limit'];

test('a free permit is given at once, and held until the body has ended', async () => {
  const { send, limit, attempts, clock } = setUp();
  const call = stubCall();
  const reply = stubReply();
  const pending = send(call);
  attempts[0]?.answer(reply);
  expect(await pending).toBe(reply);
  expect(limit.inFlight).toBe(1);
  reply.body.end('complete');
  expect(limit.inFlight).toBe(0);
  expect(call.entries).toEqual([]);
  expect(clock.pending).toBe(0);
});

test('a failed attempt gives its permit back, be it a bug', async () => {
  const { send, limit, attempts } = setUp();
  for (const error of [new ProxyError('connection_terminated', 'reset'), new TypeError('a bug')]) {
    const pending = send(stubCall());
    attempts.at(-1)?.fail(error);
    await expect(pending).rejects.toBe(error);
    expect(limit.inFlight).toBe(0);
  }
});

test('a queued attempt is admitted when a body ends, in order, and its wait is noted', async () => {
  const { send, limit, queue, attempts, clock } = setUp();
  const first = send(stubCall());
  const second = stubCall();
  const third = stubCall();
  const waiting = [send(second), send(third)];
  expect(queue.size).toBe(2);
  const reply = stubReply();
  attempts[0]?.answer(reply);
  await first;
  await clock.advance(40);
  expect(attempts).toHaveLength(1);
  reply.body.end('complete');
  await settled();
  expect(attempts.map((attempt) => attempt.call)).toEqual([expect.anything(), second]);
  expect(second.entries).toEqual([['queued', 40]]);
  expect(limit.inFlight).toBe(1);
  attempts[1]?.fail(new ProxyError('connection_terminated', 'reset'));
  await expect(waiting[0]).rejects.toThrow('reset');
  await settled();
  expect(attempts[2]?.call).toBe(third);
  attempts[2]?.answer(stubReply());
  (await waiting[1]!).body.discard();
  expect([limit.inFlight, queue.size, clock.pending]).toEqual([0, 0, 0]);
});

test('routes that share limit and queue let each other in', async () => {
  const { send, policy, upstream, attempts, limit } = setUp();
  const otherRoute = sending(through(policy, upstream));
  const first = send(stubCall());
  const waiting = otherRoute(stubCall());
  attempts[0]?.answer(stubReply());
  (await first).body.discard();
  await settled();
  attempts[1]?.answer(stubReply());
  (await waiting).body.discard();
  expect(limit.inFlight).toBe(0);
});

test('waits no longer than configured, then is refused; the upstream is not touched', async () => {
  const { send, queue, attempts, clock } = setUp();
  void send(stubCall());
  const call = stubCall();
  const waiting = send(call);
  waiting.catch(() => {});
  await clock.advance(99);
  expect(queue.size).toBe(1);
  await clock.advance(1);
  await expect(waiting).rejects.toMatchObject({
    code: 'concurrency_limit',
    sent: 'not_sent',
    retryAfterMs: 1_000,
  });
  expect(call.entries).toEqual([['queued', 100], REJECTED]);
  expect([queue.size, attempts.length, clock.pending]).toEqual([0, 1, 0]);
});

test('a wait that brought no sign of overload ends with a permit while the adaptive limit may grow', async () => {
  const { send, limit, queue, attempts, clock } = fallenTo(3, { max: 8, queue: 6 });
  for (let i = 0; i < 3; i++) void send(stubCall());
  const waiting = Array.from({ length: 6 }, () => send(stubCall()));
  for (const promise of waiting) promise.catch(() => {});
  await clock.advance(100);
  expect([attempts.length, limit.limit, queue.size]).toEqual([8, 8, 0]);
  await expect(waiting[5]).rejects.toMatchObject({ code: 'concurrency_limit' });

  for (const attempt of attempts) attempt.answer(stubReply());
  for (const promise of [waiting[0], waiting[1]]) (await promise)?.body.discard();
});

test('a wait with a sign of overload ends with a refusal', async () => {
  const { send, attempts, clock } = fallenTo(2);
  send(stubCall()).catch(() => {});
  void send(stubCall());
  await clock.advance(1);
  const waiting = [send(stubCall()), send(stubCall())];
  for (const promise of waiting) promise.catch(() => {});
  attempts[0]?.fail(new ProxyError('attempt_timeout', 'too slow', { sent: 'sent_unknown' }));
  await clock.advance(100);
  await expect(waiting[1]).rejects.toMatchObject({ code: 'concurrency_limit' });
});

test('waits no longer than a tenth of the time left', async () => {
  const { send, clock } = setUp();
  void send(stubCall());
  await clock.advance(1_000);
  const waiting = send(stubCall({ deadline: 1_500 }));
  waiting.catch(() => {});
  await clock.advance(50);
  await expect(waiting).rejects.toMatchObject({ code: 'concurrency_limit' });
});

test('a full queue refuses at once, and so does a call without time to wait', async () => {
  const { send, clock } = setUp({ queue: 1 });
  void send(stubCall());
  const late = stubCall({ deadline: 0 });
  await expect(send(late)).rejects.toMatchObject({ code: 'concurrency_limit' });
  void send(stubCall()).catch(() => {});
  const call = stubCall();
  await expect(send(call)).rejects.toMatchObject({ code: 'concurrency_limit' });
  expect(call.entries).toEqual([REJECTED]);
  expect(late.entries).toEqual([REJECTED]);
  expect(clock.now()).toBe(0);
});

test('a client that leaves frees its place in the queue at once', async () => {
  const { send, queue, attempts, clock } = setUp();
  void send(stubCall());
  const call = stubCall();
  const waiting = send(call);
  const gone = new ProxyError('client_gone', 'gone');
  call.signal.abort(gone);
  await expect(waiting).rejects.toBe(gone);
  expect(call.entries).toEqual([['queued', 0]]);
  expect([queue.size, attempts.length, clock.pending, call.signal.listenerCount]).toEqual([0, 1, 0, 0]);
  await expect(send(call)).rejects.toBe(gone);
  expect(queue.size).toBe(0);
});

test('a deadline that passes in the queue is a refusal by the limit', async () => {
  const { send } = setUp();
  void send(stubCall());
  const call = stubCall();
  const waiting = send(call);
  call.signal.abort(new ProxyError('deadline_exceeded', 'too late', { sent: 'sent_unknown' }));
  await expect(waiting).rejects.toMatchObject({ code: 'concurrency_limit', sent: 'not_sent' });
});

test('a permit that was waited for leaves no listener on the call', async () => {
  const { send, attempts } = setUp();
  const first = send(stubCall());
  const call = stubCall();
  const waiting = send(call);
  attempts[0]?.answer(stubReply());
  (await first).body.discard();
  await settled();
  attempts[1]?.answer(stubReply());
  (await waiting).body.discard();
  expect(call.signal.listenerCount).toBe(0);
});

test('an entry found past its time is passed over, and no permit is lost', async () => {
  const { send, limit, queue, attempts } = setUp();
  const first = send(stubCall());
  attempts[0]?.answer(stubReply());
  const reply = await first;
  // As when a busy event loop runs a socket's callback before the timer that was due first.
  let touched = false;
  const touch = () => (touched = true);
  queue.push({ client: '', part: '', rank: 1 }, { expiresAt: 0, admit: touch, refuse: touch }, false);
  reply.body.discard();
  expect([touched, limit.inFlight]).toEqual([false, 0]);
});

test('clients take turns, and a client that fills the queue loses a place to another', async () => {
  const { send, attempts, queue } = setUp({ queue: 3 });
  const first = send(stubCall({ client: 'greedy' }));
  const greedy = Array.from({ length: 3 }, () => stubCall({ client: 'greedy' }));
  const waiting = greedy.map((call) => send(call));
  for (const promise of waiting) promise.catch(() => {});
  const modest = stubCall({ client: 'modest' });
  void send(modest);
  await expect(waiting[0]).rejects.toMatchObject({ code: 'concurrency_limit' });
  expect(greedy[0]?.entries).toEqual([['queued', 0], REJECTED]);
  expect(queue.size).toBe(3);
  const order = [];
  let reply = await answered(first, attempts.at(-1));
  for (let turn = 0; turn < 2; turn++) {
    reply.body.discard();
    await settled();
    order.push(attempts.at(-1)?.call.client);
    const next = stubReply();
    attempts.at(-1)?.answer(next);
    await settled();
    reply = next;
  }
  expect(order).toEqual(['greedy', 'modest']);
});

async function answered(pending: Promise<Reply>, attempt: StubAttempt | undefined): Promise<Reply> {
  attempt?.answer(stubReply());
  return pending;
}

test('when the limit grows, two are admitted for one that ends', async () => {
  const { send, attempts, limit } = fallenTo(1);
  const first = send(stubCall());
  void send(stubCall()).catch(() => {});
  void send(stubCall()).catch(() => {});
  attempts[0]?.answer(stubReply());
  (await first).body.discard();
  await settled();
  expect([attempts.length, limit.inFlight, limit.limit]).toEqual([3, 2, 2]);
});

// --- evidence ---

async function limitAfter(settle: (attempt: ReturnType<typeof stubUpstream>['attempts'][number]) => void) {
  const { send, attempts, limit, clock } = setUp({ mode: 'adaptive', max: 10 });
  const pending = Array.from({ length: 10 }, () => send(stubCall()));
  await clock.advance(1_000);
  for (const attempt of attempts) settle(attempt);
  for (const result of await Promise.allSettled(pending)) {
    if (result.status === 'fulfilled') result.value.body.discard();
  }
  expect(limit.inFlight).toBe(0);
  return limit;
}

test('timeouts of attempts are evidence of overload', async () => {
  const limit = await limitAfter((attempt) => attempt.fail(new ProxyError('attempt_timeout', 'late')));
  expect(limit.limit).toBe(9);
});

test.each([
  ['overload', false, 9],
  ['none, if a later attempt was answered', true, 10],
] as const)('silent streams are evidence: %s', async (_, overtaken, expected) => {
  const { send, attempts, limit, clock } = setUp({ mode: 'adaptive', max: 10 });
  const pending = Array.from({ length: 10 }, () => {
    const { call, pulse, watch } = watched(clock);
    watch.start(call.body);
    if (overtaken) pulse.wellAt = 1;
    return send(call);
  });
  await clock.advance(1_000);
  for (const attempt of attempts) attempt.fail(new ProxyError('first_event_timeout', 'silent'));
  await Promise.allSettled(pending);
  expect(limit.limit).toBe(expected);
});

test('a stream that fails after its first event is no success', async () => {
  const { send, attempts, limit } = fallenTo(1);
  const reply = stubReply();
  const pending = send(stubCall());
  attempts[0]?.answer(reply);
  await pending;
  reply.body.end('failed');
  expect([limit.limit, limit.inFlight]).toEqual([1, 0]);
});

test.each(['connection_refused', 'connection_terminated', 'client_gone', 'deadline_exceeded'] as const)(
  '%s is none',
  async (code) => {
    const limit = await limitAfter((attempt) => attempt.fail(new ProxyError(code, 'gone')));
    expect(limit.limit).toBe(10);
  },
);

test.each([
  [200, 6],
  [404, 6],
  [429, 5],
  [500, 5],
  [503, 5],
])('%i: the limit is %i after 10 of them at a limit of 5', async (status, expected) => {
  const { send, attempts, limit } = fallenTo(5);
  for (let i = 0; i < 2; i++) {
    const pending = Array.from({ length: 5 }, () => send(stubCall()));
    for (const attempt of attempts.splice(0)) attempt.answer(stubReply(status));
    for (const reply of await Promise.all(pending)) reply.body.discard();
  }
  expect(limit.limit).toBe(expected);
});

test('a body that was cut is no success', async () => {
  const { send, attempts, limit } = fallenTo(1);
  const reply = stubReply();
  const pending = send(stubCall());
  attempts[0]?.answer(reply);
  await pending;
  reply.body.end('broken');
  expect([limit.limit, limit.inFlight]).toEqual([1, 0]);
});

test('latency is the time to the head, without wait and body', async () => {
  const { send, attempts, limit, clock } = fallenTo(1, { latencyCeilingMs: 60 });
  const first = send(stubCall());
  const waiting = send(stubCall());
  await clock.advance(50);
  attempts[0]?.answer(stubReply());
  const reply = await first;
  await clock.advance(40);
  reply.body.discard();
  await settled();
  expect(limit.limit).toBe(2);
  await clock.advance(50);
  attempts[1]?.answer(stubReply());
  (await waiting).body.discard();
  expect(limit.limit).toBe(2);
});

// --- what the watch of an attempt says ---

const EXPECTATION = {
  patienceMs: 3_000,
  usualMs: 100,
  longestMs: 0,
  totalMs: 600_000,
  usual: { wellAt: -Infinity, begin: () => false, record: () => {}, forget: () => {} },
};

function watched(clock: FakeClock, changes: Parameters<typeof stubCall>[0] = {}) {
  const pulse = { answeredAt: 0, wellAt: 0 };
  const watch = new AttemptWatch(EXPECTATION, pulse, clock);
  const call = stubCall(changes);
  call.attempt.watch = watch;
  return { pulse, watch, call };
}

test('an attempt that is suspected to hang gives its permit back, once', async () => {
  const { send, limit, attempts, clock } = setUp();
  const { watch, call } = watched(clock);
  const pending = send(call);
  watch.start(call.body);
  const waiting = send(stubCall({ deadline: 1e9 }));
  waiting.catch(() => {});
  await clock.advance(2_950);
  const third = send(stubCall({ deadline: 1e9 }));
  await clock.advance(50);
  await settled();
  expect([attempts.length, limit.inFlight]).toEqual([2, 1]);
  attempts[0]?.answer(stubReply());
  (await pending).body.discard();
  expect(limit.inFlight).toBe(1);
  attempts[1]?.answer(stubReply());
  (await third).body.discard();
  expect(limit.inFlight).toBe(0);
});

test('the silence of attempts that others have overtaken gives permits back and lowers no limit', async () => {
  const { send, limit, clock } = setUp({ mode: 'adaptive', max: 20 });
  for (let i = 0; i < 10; i++) {
    const { pulse, watch, call } = watched(clock);
    send(call).catch(() => {});
    watch.start(call.body);
    pulse.wellAt = clock.now() + 1;
  }
  await clock.advance(3_000);
  await settled();
  expect([limit.inFlight, limit.limit]).toEqual([0, 20]);
});

test('a probe waits behind no call, and its silence does not lower the limit', async () => {
  const { send, limit, attempts, clock } = setUp({ mode: 'adaptive', max: 2 });
  void send(stubCall());
  void send(stubCall());
  for (let i = 0; i < 10; i++) {
    const { watch, call } = watched(clock);
    watch.probe = true;
    const pending = send(call);
    expect(attempts.length).toBe(3);
    attempts.pop()?.fail(new ProxyError('attempt_timeout', 'late', { sent: 'sent_unknown' }));
    await expect(pending).rejects.toMatchObject({ code: 'attempt_timeout' });
  }
  expect([limit.limit, limit.inFlight]).toEqual([2, 2]);
});

test('the limit begins at the number in flight when the attempts that hang left', async () => {
  const { send, limit, attempts } = setUp({ mode: 'adaptive', max: Infinity });
  const ended = Array.from({ length: 100 }, () => send(stubCall()).catch(() => {}));
  for (const attempt of attempts.slice(0, 10)) attempt.fail(new ProxyError('attempt_timeout', 'late'));
  await Promise.all(ended.slice(0, 10));
  expect(limit.limit).toBe(9);
});
