import { expect, test } from 'vitest';
import type { RawHeaders } from '../../src/http/headers.ts';
import { Breaker } from '../../src/policies/circuit-breaker/breaker.ts';
import { circuitBreaker } from '../../src/policies/circuit-breaker/policy.ts';
import { AttemptWatch } from '../../src/proxy/attempt-watch.ts';
import { type ErrorCode, ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  sending,
  settled,
  stubCall,
  type StubReply,
  stubReply,
  stubUpstream,
  through,
} from '../support/stub-call.ts';

/** A breaker that one failure opens for 500 ms and one probe closes. */
function setUp({
  mode = 'enforce',
  connectFailures = 1_000,
  minRequests = connectFailures < 1_000 ? 1_000 : 1,
  consecutiveFailures = 1_000,
}: {
  mode?: 'enforce' | 'shadow';
  connectFailures?: number;
  minRequests?: number;
  consecutiveFailures?: number;
} = {}) {
  const clock = new FakeClock();
  const breaker = new Breaker(
    {
      mode,
      windowMs: 10_000,
      minRequests,
      failureRate: 0.8,
      slow: undefined,
      connectFailures,
      consecutiveFailures,
      probes: 1,
      waitRatio: 0.1,
      minWaitMs: 500,
      maxWaitMs: 15_000,
    },
    () => 0.5,
    { changed: () => {}, stale: () => {} },
  );
  const { send, attempts } = stubUpstream();
  const breakerSend = sending(through(circuitBreaker(breaker, { mode, clock }), send));
  return {
    clock,
    breaker,
    attempts,
    breakerSend,
    state: () => breaker.state(clock.now()),
    answer: async (reply: StubReply, call = stubCall()) => {
      const pending = breakerSend(call);
      attempts.at(-1)?.answer(reply);
      return pending;
    },
    fail: async (error: Error) => {
      const pending = breakerSend(stubCall());
      attempts.at(-1)?.fail(error);
      await expect(pending).rejects.toBe(error);
    },
  };
}

const json = (status: number, ...headers: string[]): StubReply =>
  stubReply(status, ['Content-Length', '2', ...headers]);

test.each([500, 502, 503, 504, 520, 522, 524, 529, 530, 555])(
  '%i is a failure at its head, body or not',
  async (status) => {
    const { answer, state } = setUp();
    const reply = json(status);
    expect(await answer(reply)).toBe(reply);
    expect(state()).toBe('open');
  },
);

test.each([200, 204, 301, 304, 400, 401, 404, 408, 409, 421, 425, 429, 501])(
  '%i is none, a thousand times',
  async (status) => {
    const { answer, state } = setUp();
    for (let i = 0; i < 1_000; i++) {
      const reply = json(status);
      await answer(reply);
      reply.body.end('complete');
    }
    expect(state()).toBe('closed');
  },
);

test.each<ErrorCode>([
  'dns_error',
  'connect_timeout',
  'connection_refused',
  'tls_certificate_error',
  'attempt_timeout',
  'deadline_exceeded',
  'connection_terminated',
  'protocol_error',
  'response_incomplete',
])('%s is a failure', async (code) => {
  const { fail, state } = setUp();
  await fail(new ProxyError(code, 'no reply'));
  expect(state()).toBe('open');
});

test.each<ErrorCode>([
  'client_gone',
  'concurrency_limit',
  'breaker_open',
  'draining',
  'address_prohibited',
  'out_of_sockets',
])('%s says nothing about the upstream, and a probe gives its place back', async (code) => {
  const { fail, state, answer, clock } = setUp();
  await fail(new ProxyError(code, 'not the upstream'));
  expect(state()).toBe('closed');
  await answer(json(500));
  await clock.advance(500);
  await fail(new ProxyError(code, 'not the upstream'));
  expect(state()).toBe('half_open');
  (await answer(json(200))).body.discard();
  expect(state()).toBe('closed');
});

test('a bug in the proxy is passed on and does not count against the upstream', async () => {
  const { fail, answer, state, clock } = setUp();
  await fail(new TypeError('a bug'));
  expect(state()).toBe('closed');
  await answer(json(500));
  await clock.advance(500);
  await fail(new TypeError('a bug'));
  expect(state()).toBe('half_open');
});

test('connect failures in a row are recognised as such', async () => {
  const { fail, state } = setUp({ connectFailures: 2 });
  await fail(new ProxyError('connection_terminated', 'reset'));
  await fail(new ProxyError('connection_refused', 'refused'));
  expect(state()).toBe('closed');
  await fail(new ProxyError('tls_protocol_error', 'bad handshake'));
  expect(state()).toBe('open');
});

// --- open ---

test('open: refuses with the time to wait, reports it, and the upstream is not touched', async () => {
  const { answer, breakerSend, attempts, clock } = setUp();
  await answer(json(500));
  await clock.advance(200);
  const call = stubCall();
  await expect(breakerSend(call)).rejects.toMatchObject({
    code: 'breaker_open',
    sent: 'not_sent',
    retryAfterMs: 300,
  });
  expect(call.entries).toEqual([['rejected', 'breaker_open']]);
  expect(attempts).toHaveLength(1);
});

test('shadow: reports the same and lets the call pass, uncounted', async () => {
  const { answer, state, attempts } = setUp({ mode: 'shadow' });
  await answer(json(500));
  const call = stubCall();
  const reply = json(200);
  expect(await answer(reply, call)).toBe(reply);
  reply.body.end('complete');
  expect(call.entries).toEqual([['shadow_rejected', 'breaker_open']]);
  expect(attempts).toHaveLength(2);
  expect(state()).toBe('open');
});

test('a Retry-After does not delay the first probe', async () => {
  const { answer, breaker } = setUp();
  await answer(json(503, 'Retry-After', '20'));
  expect(breaker.retryAfterMs(0)).toBe(500);
});

// --- the body ---

test.each([
  ['a rate limit', { kind: 'not_processed', throttled: true, retryAfterMs: 9_000 }],
  ['a refused credential', { kind: 'credential_refused', throttled: false, retryAfterMs: undefined }],
] as const)('%s with any status is no failure', async (name, about) => {
  const { answer, state } = setUp();
  const reply = { ...json(503), classification: { name, ...about } };
  await answer(reply);
  reply.body.end('complete');
  expect(state()).toBe('closed');
});

test('a good head with a length counts at the end of its body', async () => {
  const { answer, state } = setUp();
  const reply = json(200);
  await answer(reply);
  reply.body.end('broken');
  expect(state()).toBe('open');
});

test.each(['complete', 'discarded'] as const)(
  'a body that ends %s closes a half-open breaker',
  async (end) => {
    const { answer, state, clock } = setUp();
    await answer(json(500));
    await clock.advance(500);
    const reply = json(200);
    await answer(reply);
    expect(state()).toBe('half_open');
    reply.body.end(end);
    expect(state()).toBe('closed');
  },
);

test('a client that leaves during the body does not count against the upstream', async () => {
  const { answer, state, clock } = setUp();
  await answer(json(500));
  await clock.advance(500);
  const call = stubCall();
  const reply = json(200);
  await answer(reply, call);
  call.signal.abort(new ProxyError('client_gone', 'gone'));
  reply.body.end('broken');
  expect(state()).toBe('half_open');
});

test.each<[string, RawHeaders]>([
  ['no length', ['Content-Type', 'application/json']],
  ['an event stream', ['Content-Length', '9', 'Content-Type', 'Text/Event-Stream; charset=utf-8']],
])('%s: classified at the head, and a broken body no longer matters', async (_name, headers) => {
  const { answer, state, clock } = setUp();
  await answer(json(500));
  await clock.advance(500);
  const reply = stubReply(200, headers);
  await answer(reply);
  expect(state()).toBe('closed');
  reply.body.end('broken');
  expect(state()).toBe('closed');
});

test('a probe whose body outlasts its lease has succeeded', async () => {
  const { answer, state, clock } = setUp();
  await answer(json(500));
  await clock.advance(500);
  await answer(json(200));
  await clock.advance(10_001);
  expect(state()).toBe('closed');
});

test('a probe without a head at the end of its lease is followed by another, and its late answer counts', async () => {
  const { answer, breakerSend, attempts, state, clock } = setUp();
  await answer(json(500));
  await clock.advance(500);
  const hung = breakerSend(stubCall());
  await clock.advance(2_001);
  const second = breakerSend(stubCall());
  expect(attempts.length).toBe(3);
  attempts[1]?.answer(json(200));
  (await hung).body.discard();
  await settled();
  expect(state()).toBe('closed');
  attempts[2]?.fail(new ProxyError('attempt_timeout', 'late', { sent: 'sent_unknown' }));
  await expect(second).rejects.toMatchObject({ code: 'attempt_timeout' });
  expect(state()).toBe('closed');
});

// --- what the watch of an attempt says ---

function watched(clock: FakeClock, usualMs?: number) {
  const patienceMs = usualMs === undefined ? Infinity : 3_000;
  const expectation = {
    patienceMs,
    usualMs,
    longestMs: 0,
    totalMs: 600_000,
    usual: { wellAt: -Infinity, begin: () => false, record: () => {}, forget: () => {} },
  };
  const pulse = { answeredAt: Number.NEGATIVE_INFINITY, wellAt: Number.NEGATIVE_INFINITY };
  const call = stubCall();
  call.attempt.watch = new AttemptWatch(expectation, pulse, clock);
  return { ...call, pulse };
}

test('19 clients with a deadline of 5 ms do not open the breaker; attempts that had enough time do', async () => {
  const { clock, breakerSend, attempts, state } = setUp();
  const giveUp = async (ms: number) => {
    const call = watched(clock, 100);
    const pending = breakerSend(call);
    call.attempt.watch?.start(call.body);
    await clock.advance(ms);
    attempts.at(-1)?.fail(new ProxyError('deadline_exceeded', 'late', { sent: 'sent_unknown' }));
    await expect(pending).rejects.toMatchObject({ code: 'deadline_exceeded' });
  };
  for (let i = 0; i < 19; i++) await giveUp(5);
  expect(state()).toBe('closed');
  await giveUp(3_000);
  expect(state()).toBe('open');
});

test('a suspected attempt is a failure before it ends', async () => {
  const { clock, breakerSend, attempts, state } = setUp();
  const call = watched(clock, 100);
  const pending = breakerSend(call);
  call.attempt.watch?.start(call.body);
  await clock.advance(3_000);
  expect(state()).toBe('open');
  attempts.at(-1)?.answer(json(200));
  (await pending).body.discard();
});

test.each([
  [false, 'open'],
  [true, 'closed'],
])('an attempt that seems to hang, overtaken: %s, leaves the breaker %s', async (overtaken, expected) => {
  // One failure in a row opens this breaker; its window needs a thousand attempts.
  const { clock, breakerSend, attempts, state } = setUp({ minRequests: 1_000, consecutiveFailures: 1 });
  const hangs = async (): Promise<void> => {
    const call = watched(clock, 100);
    breakerSend(call).catch(() => {});
    call.attempt.watch?.start(call.body);
    await clock.advance(1);
    if (overtaken) call.pulse.wellAt = clock.now();
    await clock.advance(3_000);
    expect(call.attempt.watch?.suspected).toBe(true);
  };
  await hangs();
  await hangs();
  expect(state()).toBe(expected);
  for (const attempt of attempts) attempt.answer(json(200));
});

test('a probe is known as one to those further in, and its lease is learned', async () => {
  const { answer, clock, breakerSend, attempts, state } = setUp();
  await answer(json(500));
  await clock.advance(500);
  const probe = watched(clock, 100);
  breakerSend(probe).catch(() => {});
  expect(probe.attempt.watch?.probe).toBe(true);
  await clock.advance(501);
  expect(state()).toBe('half_open');
  breakerSend(watched(clock, 100)).catch(() => {});
  expect(attempts.length).toBe(3);
});

const committed = (): StubReply => ({ ...stubReply(200, []), committed: true });

test.each(['failed', 'broken'] as const)(
  'a stream that ends as %s after its first event is a failure',
  async (end) => {
    const { answer, state } = setUp();
    const reply = committed();
    await answer(reply);
    expect(state()).toBe('closed');
    reply.body.end(end);
    expect(state()).toBe('open');
  },
);

test.each(['complete', 'discarded', 'broken_after_done'] as const)(
  'a stream that ends as %s is a success',
  async (end) => {
    const { answer, state } = setUp();
    const reply = committed();
    await answer(reply);
    reply.body.end(end);
    expect(state()).toBe('closed');
  },
);

test('a stream whose client leaves is a success', async () => {
  const { answer, state } = setUp();
  const call = stubCall();
  const reply = committed();
  await answer(reply, call);
  call.signal.abort(new ProxyError('client_gone', 'left'));
  reply.body.end('broken');
  expect(state()).toBe('closed');
});

test('the first event of a probe closes the breaker, however long the stream lasts', async () => {
  const { answer, clock, fail, state } = setUp();
  await fail(new ProxyError('first_event_timeout', 'silent', { sent: 'sent_unknown' }));
  expect(state()).toBe('open');
  await clock.advance(500);
  const reply = committed();
  await answer(reply);
  expect(state()).toBe('closed');
});

test('a probe whose stream fails later is the first failure after the breaker closed', async () => {
  const { answer, clock, fail, state } = setUp({ minRequests: 1_000, consecutiveFailures: 2 });
  const silent = new ProxyError('first_event_timeout', 'silent', { sent: 'sent_unknown' });
  await fail(silent);
  await clock.advance(1_000);
  await fail(silent);
  expect(state()).toBe('open');
  await clock.advance(500);
  const probe = committed();
  await answer(probe);
  probe.body.end('failed');
  expect(state()).toBe('closed');
  await clock.advance(1_000);
  await fail(silent);
  expect(state()).toBe('open');
});

test('streams in a row that fail after their first event open it', async () => {
  const { answer, clock, state } = setUp({ minRequests: 1_000, consecutiveFailures: 5 });
  const replies = Array.from({ length: 5 }, committed);
  for (const reply of replies) await answer(reply);
  for (const reply of replies) {
    expect(state()).toBe('closed');
    await clock.advance(1_000);
    reply.body.end('failed');
  }
  expect(state()).toBe('open');
});
