import { describe, expect, test } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { RawHeaders } from '../../src/http/headers.ts';
import { GENERIC_FORMATS } from '../../src/http/rate-limit.ts';
import type { QuotaOptions } from '../../src/policies/quota/options.ts';
import { quotaPolicies } from '../../src/policies/quota/policy.ts';
import { type CooldownStart, Quota } from '../../src/policies/quota/quota.ts';
import { ProxyError, shuttingDown } from '../../src/proxy/errors.ts';
import type { CooldownCause } from '../../src/proxy/events.ts';
import type { Send } from '../../src/proxy/pipeline.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  type StubCall,
  sending,
  settled,
  stubCall,
  stubReply,
  stubUpstream,
  through as composed,
} from '../support/stub-call.ts';

const ONE_A_SECOND = [{ name: '1/s', limit: 1, periodMs: 1_000, burst: undefined, counts: 'cost' }] as const;

function setUp(changes: Partial<QuotaOptions> = {}, shareOf?: (client: string) => number | undefined) {
  const clock = new FakeClock();
  const cooldowns: CooldownStart[] = [];
  const draining = new Abort();
  const options: QuotaOptions = {
    mode: 'on',
    windows: [],
    cost: { fixed: 1, header: undefined, pointer: undefined, reply: [] },
    scope: 'auto',
    learn: true,
    formats: GENERIC_FORMATS,
    credentialHeaders: ['authorization'],
    queue: 100,
    waitMs: Infinity,
    ...changes,
  };
  const quota = new Quota(options, {
    clock,
    random: () => 0,
    hash: (text) => `hash of ${text.length}`,
    draining,
    shareOf,
    onCooldown: (start) => cooldowns.push(start),
  });
  const { send, attempts } = stubUpstream();
  const { outer, inner } = quotaPolicies(quota, { clock, memory: new ByteBudget(0) });
  const through = (upstream: Send): Send => composed([outer, inner], upstream);
  const drain = () => draining.abort(shuttingDown());
  return { clock, quota, attempts, cooldowns, drain, through, send: sending(through(send)) };
}

type World = ReturnType<typeof setUp>;

async function answer(
  world: Pick<World, 'attempts'>,
  index: number,
  status = 200,
  headers: RawHeaders = [],
): Promise<void> {
  world.attempts[index]?.answer(stubReply(status, headers));
  await settled();
}

/** Sends a call that is answered at once. */
async function exchange(world: World, status: number, headers: RawHeaders, call = stubCall()): Promise<void> {
  const pending = world.send(call);
  await settled();
  await answer(world, world.attempts.length - 1, status, headers);
  await pending;
}

/** Two refusals in a row, which are evidence of a limit. */
async function limited(world: World, headers: RawHeaders, call = () => stubCall()): Promise<void> {
  for (let n = 0; n < 2; n++) {
    await exchange(world, 429, headers, call());
    await world.clock.advance(1);
  }
}

const remaining = (world: Pick<World, 'quota' | 'clock'>) =>
  [...world.quota.queues].flatMap(([, { quota }]) =>
    [quota.whole, ...[...quota.parts].map(([, part]) => part)].flatMap(({ meters }) =>
      meters.map((meter) => meter.remaining(world.clock.now())),
    ),
  );

const LEFT = (left: number, reset = '60') => [
  'X-RateLimit-Limit',
  '100',
  'X-RateLimit-Remaining',
  String(left),
  'X-RateLimit-Reset',
  reset,
];

/** One such reply closes the cooldown. */
const PERMANENT = { name: 'rule', kind: 'permanent', retryAfterMs: undefined, throttled: true } as const;

async function outcomeOf(pending: Promise<unknown>): Promise<unknown> {
  return pending.then(
    () => 'sent',
    (error: unknown) => error,
  );
}

describe('a meter that holds calls', () => {
  test('is tested when no reply has come for five seconds, and is forgotten if that is answered', async () => {
    const world = setUp();
    await exchange(world, 200, LEFT(0));
    const pending = [1, 2, 3].map(() => world.send(stubCall({ deadline: 1e9 })));
    await world.clock.advance(4_999);
    expect(world.attempts.length).toBe(1);
    await world.clock.advance(1);
    expect(world.attempts.length).toBe(2);
    await answer(world, 1);
    expect(world.attempts.length).toBe(4);
    for (const index of [2, 3]) await answer(world, index);
    await Promise.all(pending);
  });

  test('is not tested while replies come', async () => {
    const world = setUp();
    const slow = world.send(stubCall());
    await settled();
    await exchange(world, 200, LEFT(0));
    const waiting = world.send(stubCall({ deadline: 1e9 }));
    await world.clock.advance(4_000);
    await answer(world, 0, 200, LEFT(0, '56'));
    await slow;
    await world.clock.advance(4_999);
    expect(world.attempts.length).toBe(2);
    await world.clock.advance(1);
    expect(world.attempts.length).toBe(3);
    await answer(world, 2);
    await waiting;
  });

  test('is tested ever more seldom while it is right', async () => {
    const world = setUp();
    await exchange(world, 200, LEFT(0, '600'));
    for (let n = 0; n < 20; n++) world.send(stubCall({ deadline: 1e9 })).catch(() => {});
    for (let second = 0; second < 60; second++) {
      await world.clock.advance(1_000);
      world.attempts.at(-1)?.answer(stubReply(429, LEFT(0, '600')));
      await settled();
    }
    expect(world.attempts.length - 1).toBeLessThanOrEqual(5);
    world.drain();
  });

  test('is forgotten after twenty replies in a row without quota headers', async () => {
    const world = setUp();
    await exchange(world, 200, LEFT(50));
    for (let n = 0; n < 19; n++) await exchange(world, 200, []);
    expect(remaining(world)).toEqual([31]);
    await exchange(world, 200, []);
    expect(remaining(world)).toEqual([]);
  });
});

describe('an unknown quota holds no call', () => {
  test('an upstream without quota headers needs no state', async () => {
    const world = setUp();
    await exchange(world, 200, ['Content-Type', 'text/plain']);
    await exchange(world, 503, []);
    expect(world.quota.isUntracked).toBe(true);
    expect(world.clock.pending).toBe(0);
  });

  test('the quota headers of a cached reply are ignored', async () => {
    const world = setUp();
    await exchange(world, 200, [...LEFT(0), 'Age', '30']);
    await exchange(world, 429, ['Retry-After', '60', 'Age', '30']);
    expect(world.quota.isUntracked).toBe(true);
    await exchange(world, 200, [...LEFT(0), 'Age', '0']);
    expect(world.quota.isUntracked).toBe(false);
  });

  test('learn: false ignores quota headers; a 429 still starts a cooldown', async () => {
    const world = setUp({ learn: false });
    await exchange(world, 200, LEFT(0));
    expect(world.quota.isUntracked).toBe(true);
    await limited(world, ['Retry-After', '5']);
    expect(world.cooldowns).toEqual([
      { cause: 'retry_after', remainingMs: 5_000, credential: '', limited: 'GET /' },
    ]);
  });
});

describe('waiting', () => {
  test('a turn comes by itself, in order, and is reported', async () => {
    const world = setUp({ windows: ONE_A_SECOND });
    const calls = [stubCall(), stubCall(), stubCall()];
    const pending = calls.map((call) => world.send(call));
    await settled();
    expect(world.attempts.length).toBe(1);
    await world.clock.advance(999);
    expect(world.attempts.length).toBe(1);
    await world.clock.advance(1);
    expect(world.attempts.length).toBe(2);
    await world.clock.advance(1_000);
    expect(world.attempts.map(({ call }) => call.journal)).toEqual(calls.map(({ journal }) => journal));
    for (const index of [0, 1, 2]) await answer(world, index);
    await Promise.all(pending);
    expect(calls.map(({ entries }) => entries)).toEqual([
      [],
      [['waitedForQuota', 1_000, 'window']],
      [['waitedForQuota', 2_000, 'window']],
    ]);
    expect(world.clock.pending).toBe(0);
  });

  test('a call that would wait too long is refused at once, with the time at which it could leave', async () => {
    const world = setUp({ windows: ONE_A_SECOND });
    const pending = world.send(stubCall());
    for (let i = 0; i < 4; i++) void world.send(stubCall()).catch(() => undefined);
    const late = stubCall({ deadline: 5_000 });
    const error = await outcomeOf(world.send(late));
    expect(error).toMatchObject({ code: 'quota', retryAfterMs: 5_000, sent: 'not_sent' });
    expect(late.entries).toEqual([['rejected', 'quota']]);
    expect(world.quota.waiting).toBe(4);
    world.drain();
    await answer(world, 0);
    await pending;
  });

  test('quota.wait limits the wait', async () => {
    const world = setUp({ windows: ONE_A_SECOND, waitMs: 1_500 });
    const [first, second, third] = [1, 2, 3].map(() => world.send(stubCall()));
    expect(await outcomeOf(third as Promise<unknown>)).toMatchObject({ code: 'quota' });
    await world.clock.advance(1_000);
    for (const index of [0, 1]) await answer(world, index);
    await Promise.all([first, second]);
  });

  test('a confirmed limit refuses at once the queued calls that would wait too long', async () => {
    const world = setUp();
    await limited(world, ['Retry-After', '60']);
    const [probe, patient, hasty] = [
      stubCall(),
      stubCall({ deadline: 90_000 }),
      stubCall({ deadline: 10_000 }),
    ];
    const pending = [probe, patient, hasty].map((call) => outcomeOf(world.send(call)));
    await settled();
    // A limit that no probe has tested refuses no call.
    expect(world.quota.waiting).toBe(3);
    await world.clock.advance(1_000);
    expect(world.attempts.length).toBe(3);
    await answer(world, 2, 429, ['Retry-After', '60']);
    expect(await pending[2]).toMatchObject({ code: 'quota', retryAfterMs: 60_000 });
    expect(world.quota.waiting).toBe(1);
    await world.clock.advance(60_000);
    await answer(world, 3);
    expect(await pending[1]).toBe('sent');
  });

  test('a client that leaves, a deadline that passes, a proxy that drains: each leaves the queue at once', async () => {
    const world = setUp({ windows: ONE_A_SECOND });
    const calls = [1, 2, 3, 4].map(() => stubCall());
    const pending = calls.map((call) => outcomeOf(world.send(call)));
    const gone = new ProxyError('client_gone', 'gone');
    calls[1]?.signal.abort(gone);
    expect(await pending[1]).toBe(gone);
    calls[2]?.signal.abort(new ProxyError('deadline_exceeded', 'late', { sent: 'sent_unknown' }));
    expect(await pending[2]).toMatchObject({ code: 'quota', sent: 'not_sent' });
    world.drain();
    expect(await pending[3]).toMatchObject({ code: 'draining' });
    expect(await outcomeOf(world.send(stubCall()))).toMatchObject({ code: 'draining' });
    expect([world.quota.waiting, world.clock.pending]).toEqual([0, 0]);
    await answer(world, 0);
  });

  test('clients take turns by address, independent of names in their calls', async () => {
    const world = setUp({ windows: ONE_A_SECOND });
    const from = (client: string, agent: string) => stubCall({ client, headers: ['User-Agent', agent] });
    const calls: StubCall[] = [
      from('a', 'v'),
      from('a', 'w'),
      from('a', 'x'),
      from('a', 'y'),
      from('b', 'z'),
    ];
    for (const call of calls) void world.send(call);
    for (let i = 0; i < 4; i++) await world.clock.advance(1_000);
    const order = world.attempts.map(({ call }) =>
      calls.findIndex(({ journal }) => journal === call.journal),
    );
    expect(order).toEqual([0, 1, 4, 2, 3]);
  });
});

describe('credentials', () => {
  test('each has a quota of its own', async () => {
    const world = setUp();
    const as = (secret: string) => stubCall({ headers: ['Authorization', secret] });
    await limited(world, ['Retry-After', '60'], () => as('Bearer a'));
    void world.send(as('Bearer a'));
    expect(world.quota.waiting).toBe(1);
    await exchange(world, 200, [], as('Bearer longer'));
    await exchange(world, 200, []);
    expect(JSON.stringify([...world.quota.queues])).not.toContain('Bearer');
  });

  test('an API that names its resources has a quota for each', async () => {
    const formats = [{ ...GENERIC_FORMATS[2], resource: 'x-ratelimit-resource' }];
    const world = setUp({ formats });
    const search = () => stubCall({ target: '/search/code?q=x', deadline: 1_000 });
    const core = () => stubCall({ target: '/repos/a/b', deadline: 1_000 });
    await exchange(world, 200, [...LEFT(0), 'X-RateLimit-Resource', 'search'], search());
    await exchange(world, 200, [...LEFT(50), 'X-RateLimit-Resource', 'core'], core());
    // The first that would be refused tests whether it is true.
    void world.send(search());
    await settled();
    expect(world.attempts.length).toBe(3);
    expect(await outcomeOf(world.send(search()))).toMatchObject({ code: 'quota' });
    await exchange(world, 200, [], core());
  });

  test('a resource holds no path that is not known to belong to it', async () => {
    const world = setUp({ formats: [{ ...GENERIC_FORMATS[2], resource: 'x-ratelimit-resource' }] });
    const to = (target: string) => stubCall({ target });
    await exchange(world, 200, [...LEFT(0), 'X-RateLimit-Resource', 'code_search'], to('/search/code?q=x'));
    await exchange(world, 200, [...LEFT(9), 'X-RateLimit-Resource', 'search'], to('/search/issues?q=x'));
    await exchange(
      world,
      200,
      [...LEFT(0), 'X-RateLimit-Resource', 'dependency_sbom'],
      to('/repos/a/b/sbom'),
    );
    await exchange(world, 200, [...LEFT(50), 'X-RateLimit-Resource', 'core'], to('/repos/a/b'));
    await exchange(world, 200, [], to('/repos/a/c'));
    expect(world.quota.waiting).toBe(0);
  });

  test('an unknown path is assumed to belong to the most common resource, until a reply names another', async () => {
    const world = setUp({ formats: [{ ...GENERIC_FORMATS[2], resource: 'x-ratelimit-resource' }] });
    const to = (target: string) => stubCall({ target, deadline: 1_000 });
    await exchange(world, 200, [...LEFT(1), 'X-RateLimit-Resource', 'core'], to('/repos/a'));
    await exchange(world, 200, [...LEFT(0), 'X-RateLimit-Resource', 'core'], to('/repos/b'));
    const search = world.send(to('/search/code'));
    expect(await outcomeOf(world.send(to('/repos/c')))).toMatchObject({ code: 'quota' });
    await answer(world, 2, 200, [...LEFT(9), 'X-RateLimit-Resource', 'search']);
    await search;
    await exchange(world, 200, [], to('/search/code'));
  });
});

test('a probe that turns out to be about another resource leaves no call waiting', async () => {
  const world = setUp({ formats: [{ ...GENERIC_FORMATS[2], resource: 'x-ratelimit-resource' }] });
  await limited(world, ['Retry-After', '5']);
  const pending = [1, 2].map(() => outcomeOf(world.send(stubCall())));
  await world.clock.advance(1_000);
  await answer(world, 2, 429, [...LEFT(5), 'X-RateLimit-Resource', 'search', 'Retry-After', '5']);
  expect(world.attempts.length).toBe(4);
  await answer(world, 3);
  expect(await Promise.all(pending)).toEqual(['sent', 'sent']);
});

describe('quota headers of replies', () => {
  test('of several policies the most restrictive decides', async () => {
    const world = setUp();
    const policies = '"burst";q=100;w=60, "daily";q=1000;w=86400';
    const left = '"burst";r=99;t=5, "daily";r=0;t=7200';
    await exchange(world, 200, ['RateLimit-Policy', policies, 'RateLimit', left]);
    void world.send(stubCall());
    expect(await outcomeOf(world.send(stubCall()))).toMatchObject({ code: 'quota', retryAfterMs: 7_200_000 });
  });

  test('a quota of tokens counts what a call costs, one of calls counts calls', async () => {
    const format = (bucket: string, unit: 'calls' | 'cost') => ({
      bucket,
      unit,
      limit: `x-limit-${bucket}`,
      remaining: `x-left-${bucket}`,
      reset: `x-reset-${bucket}`,
    });
    const formats = [format('requests', 'calls'), format('tokens', 'cost')];
    const world = setUp({ formats, cost: { fixed: 1, header: 'x-cost', pointer: undefined, reply: [] } });
    const says =
      'x-limit-requests 500 x-left-requests 400 x-reset-requests 60s x-limit-tokens 5000 x-left-tokens 1000 x-reset-tokens 60s';
    const costing = (cost: number) => stubCall({ headers: ['x-cost', String(cost)], deadline: 30_000 });
    await exchange(world, 200, says.split(' '));
    void world.send(costing(600));
    // The first that would be refused tests whether it is true.
    void world.send(costing(401));
    expect(await outcomeOf(world.send(costing(600)))).toMatchObject({
      code: 'quota',
      retryAfterMs: 60_000,
    });
    expect(remaining(world)).toEqual([398, 0]);
  });

  test('a late reply cannot raise the remainder', async () => {
    const world = setUp();
    await exchange(world, 200, LEFT(50));
    void world.send(stubCall());
    await world.clock.advance(10);
    void world.send(stubCall());
    await settled();
    await answer(world, 2, 200, LEFT(30));
    await answer(world, 1, 200, LEFT(80));
    expect(remaining(world)).toEqual([30]);
  });

  test('a reply includes attempts that left before its own, and none that left after it', async () => {
    const world = setUp();
    await exchange(world, 200, LEFT(50));
    for (let i = 0; i < 5; i++) void world.send(stubCall());
    await settled();
    await answer(world, 1, 200, LEFT(49));
    expect(remaining(world)).toEqual([45]);
    await answer(world, 5, 200, LEFT(45));
    expect(remaining(world)).toEqual([45]);
  });

  test('a cold start counts those that left while nothing was known', async () => {
    const world = setUp();
    for (let i = 0; i < 5; i++) void world.send(stubCall());
    await settled();
    await answer(world, 0, 200, LEFT(50));
    expect(remaining(world)).toEqual([46]);
  });

  test('an attempt of which nothing was sent is refunded; a cut attempt is not', async () => {
    const world = setUp({ windows: [{ name: 'x', limit: 2, periodMs: 60_000, burst: 2, counts: 'calls' }] });
    const pending = [1, 2, 3].map(() => outcomeOf(world.send(stubCall({ deadline: 100_000 }))));
    await settled();
    expect(world.attempts.length).toBe(2);
    world.attempts[0]?.fail(new ProxyError('connection_refused', 'refused', { sent: 'not_sent' }));
    await settled();
    expect(world.attempts.length).toBe(3);
    world.attempts[1]?.fail(new ProxyError('connection_terminated', 'cut', { sent: 'sent_unknown' }));
    await answer(world, 2);
    await Promise.all(pending);
    expect(await outcomeOf(world.send(stubCall({ deadline: 20_000 })))).toMatchObject({ code: 'quota' });
  });

  test('an attempt that waits for a permit when a cooldown starts goes back to the front of the queue', async () => {
    const world = setUp();
    const held: Array<() => void> = [];
    const throttling = { ...stubReply(429), classification: PERMANENT };
    /** Lets one pass at a time, as a concurrency limit of one would. */
    const limited =
      (inner: Send): Send =>
      async (call, attempt) => {
        if (world.attempts.length > 0) await new Promise<void>((resolve) => held.push(resolve));
        return inner(call, attempt);
      };
    const { outer, inner } = quotaPolicies(world.quota, { clock: world.clock, memory: new ByteBudget(0) });
    const { send, attempts } = stubUpstream();
    const through = sending(composed([outer, limited, inner], send));
    const other = stubCall();
    world.attempts.push({
      call: other,
      attempt: other.attempt,
      answer: () => undefined,
      fail: () => undefined,
    });
    void through(stubCall());
    held.shift()?.();
    await settled();
    const called = stubCall();
    void through(called);
    await settled();
    attempts[0]?.answer(throttling);
    await settled();
    void through(stubCall());
    held.shift()?.();
    await settled();
    expect(attempts.length).toBe(1);
    expect(world.quota.waiting).toBe(2);
    await world.clock.advance(1_000);
    held.shift()?.();
    await settled();
    expect(attempts[1]?.call.journal).toBe(called.journal);
    attempts[1]?.answer(stubReply());
    await settled();
    await world.clock.advance(100);
    held.shift()?.();
    await settled();
    expect(attempts.length).toBe(3);
  });

  describe('between admission and start', () => {
    /** Holds all attempts back until they are let go, as a concurrency limit would. */
    function heldUp() {
      const world = setUp();
      const held: Array<() => void> = [];
      const { outer, inner } = quotaPolicies(world.quota, { clock: world.clock, memory: new ByteBudget(0) });
      const { send, attempts } = stubUpstream();
      const limited =
        (inner: Send): Send =>
        async (call, attempt) => {
          await new Promise<void>((resolve) => held.push(resolve));
          return inner(call, attempt);
        };
      const through = sending(composed([outer, limited, inner], send));
      const letGo = async () => {
        held.shift()?.();
        await settled();
      };
      return { ...world, attempts, through, letGo };
    }

    /** One exchange that reported 100 left, and `count` admitted calls. */
    async function admitted(count: number) {
      const world = heldUp();
      const first = world.through(stubCall());
      await world.letGo();
      await answer(world, 0, 200, LEFT(100));
      await first;
      const calls = Array.from({ length: count }, () => stubCall({ deadline: 200_000 }));
      for (const call of calls) void world.through(call);
      await settled();
      return { ...world, calls };
    }

    test('a cooldown that starts holds for it too', async () => {
      const world = await admitted(2);
      await world.letGo();
      world.attempts[1]?.answer({ ...stubReply(429), classification: PERMANENT });
      await settled();
      await world.letGo();
      expect([world.attempts.length, world.quota.waiting]).toEqual([2, 1]);
      await world.clock.advance(1_000);
      await world.letGo();
      expect(world.attempts[2]?.call.journal).toBe(world.calls[1]?.journal);
      await answer(world, 2);
    });

    test('admitted attempts beyond the remainder go back to the queue, and count no more', async () => {
      const world = await admitted(10);
      await world.letGo();
      await answer(world, 1, 200, LEFT(3));
      for (let i = 0; i < 9; i++) await world.letGo();
      // Six came back before the three for whom there is room.
      expect([world.attempts.length, world.quota.waiting]).toEqual([5, 6]);
      await answer(world, 4, 200, LEFT(0));
      await world.clock.advance(60_000);
      for (let i = 0; i < 6; i++) await world.letGo();
      expect(world.attempts.length).toBe(11);
      await answer(world, 10, 200, LEFT(70));
      expect(remaining(world)).toEqual([70]);
    });
  });

  test.each([
    ['is refused on its way', new ProxyError('client_gone', 'gone')],
    ['breaks', new ProxyError('connection_terminated', 'reset', { sent: 'sent_unknown' })],
  ])('a probe that %s gives its place to the next', async (_, error) => {
    const world = setUp();
    await limited(world, ['Retry-After', '5']);
    const pending = [1, 2].map(() => outcomeOf(world.send(stubCall())));
    await world.clock.advance(1_000);
    expect(world.attempts.length).toBe(3);
    world.attempts[2]?.fail(error);
    await settled();
    expect(world.attempts.length).toBe(4);
    await answer(world, 3);
    expect(await Promise.all(pending)).toEqual([error, 'sent']);
    expect(world.cooldowns.length).toBe(1);
  });

  test('a probe with a 503 without Retry-After counts as answered: that concerns the breaker', async () => {
    const world = setUp();
    await limited(world, ['Retry-After', '5']);
    await world.clock.advance(5_000);
    await exchange(world, 503, []);
    await world.clock.advance(100);
    await exchange(world, 200, []);
    expect(world.cooldowns.length).toBe(1);
  });

  test.each<
    [string, { status: number; classification?: object; headers?: RawHeaders }, CooldownCause | undefined]
  >([
    ['503 with Retry-After', { status: 503, headers: ['Retry-After', '3'] }, undefined],
    ['503 without', { status: 503, headers: [] }, undefined],
    ['529 with Retry-After', { status: 529, headers: ['Retry-After', '3'] }, undefined],
    [
      '503 for which a rule knows no more than the wait',
      { status: 503, classification: { throttled: false, retryAfterMs: 3_000 }, headers: [] },
      undefined,
    ],
    [
      'a 503 that a rule calls throttled',
      { status: 503, classification: { throttled: true }, headers: ['Retry-After', '3'] },
      'retry_after',
    ],
    ['429 without', { status: 429, headers: [] }, 'throttled'],
    ['Retry-After: 0 says nothing', { status: 429, headers: ['Retry-After', '0'] }, 'throttled'],
    [
      'a 429 that is none, by a rule of the API',
      { status: 429, classification: { throttled: false, kind: 'retry' }, headers: [] },
      undefined,
    ],
    [
      'a 200 that is one, by a rule of the API',
      { status: 200, classification: { throttled: true, retryAfterMs: 700 }, headers: [] },
      'retry_after',
    ],
    [
      'a quota that no waiting brings back',
      { status: 429, classification: { throttled: true, kind: 'permanent' }, headers: ['Retry-After', '1'] },
      'permanent',
    ],
    [
      '403 with Retry-After, unless a rule says so',
      { status: 403, headers: ['Retry-After', '3'] },
      undefined,
    ],
  ])('%s', async (_, { status, classification, headers }, cause) => {
    const world = setUp();
    for (const index of [0, 1]) {
      void world.send(stubCall());
      await settled();
      world.attempts[index]?.answer({
        ...stubReply(status, headers),
        ...(classification && {
          classification: {
            name: 'rule',
            kind: undefined,
            retryAfterMs: undefined,
            throttled: false,
            ...classification,
          },
        }),
      });
      await settled();
    }
    expect(world.cooldowns.map((throttling) => throttling.cause)).toEqual(cause === undefined ? [] : [cause]);
  });

  test('no call waits long for a cooldown of unknown length', async () => {
    const world = setUp();
    await limited(world, []);
    const probe = outcomeOf(world.send(stubCall()));
    await world.clock.advance(100);
    expect(world.attempts.length).toBe(3);
    const second = outcomeOf(world.send(stubCall()));
    await world.clock.advance(1_999);
    expect(world.quota.waiting).toBe(1);
    await world.clock.advance(1);
    expect(await second).toMatchObject({ code: 'quota' });
    await answer(world, 2);
    expect(await probe).toBe('sent');
  });

  test('a 429 that says when the quota is whole again needs no guess', async () => {
    const world = setUp();
    await exchange(world, 429, LEFT(0, '30'));
    expect(world.cooldowns).toEqual([]);
    void world.send(stubCall({ deadline: 29_000 }));
    expect(await outcomeOf(world.send(stubCall({ deadline: 29_000 })))).toMatchObject({
      code: 'quota',
      retryAfterMs: 30_000,
    });
  });
});

describe('cost', () => {
  const windows = [{ name: '100/m', limit: 100, periodMs: 60_000, burst: 100, counts: 'cost' }] as const;

  test('a header says it', async () => {
    const world = setUp({ windows, cost: { fixed: 1, header: 'x-cost', pointer: undefined, reply: [] } });
    const costing = (cost: string) => stubCall({ headers: ['X-Cost', cost], deadline: 500 });
    void world.send(costing('99'));
    void world.send(costing('nonsense'));
    await settled();
    expect(world.attempts.length).toBe(2);
    expect(await outcomeOf(world.send(costing('1')))).toMatchObject({ code: 'quota' });
  });

  test('a complete JSON body gives the cost', async () => {
    const world = setUp({
      windows,
      cost: { fixed: 10, header: undefined, pointer: '/limits/max~1tokens', reply: [] },
    });
    const sending = (whole: readonly Buffer[] | undefined) => {
      const call = stubCall({ deadline: 1_000 });
      return { ...call, body: { ...call.body, whole: () => Promise.resolve(whole) } };
    };
    const json = (value: unknown) => [Buffer.from('{"limits":'), Buffer.from(`${JSON.stringify(value)}}`)];
    void world.send(sending(json({ 'max/tokens': 70 })));
    void world.send(sending(json({ 'max/tokens': 'many' })));
    void world.send(sending([Buffer.from('not JSON')]));
    void world.send(sending(undefined));
    await settled();
    expect(world.attempts.length).toBe(4);
    expect(await outcomeOf(world.send(sending(json({}))))).toMatchObject({ code: 'quota' });
  });
});

describe('the scope of a learned limit', () => {
  const at = (target: string, model?: string): StubCall => {
    const call = stubCall({ target, deadline: 1e9, headers: ['content-type', 'application/json'] });
    const whole = [Buffer.from(JSON.stringify({ model }))];
    return { ...call, body: { ...call.body, whole: () => Promise.resolve(whole) } };
  };

  /** Two refusals of one call close something. Says which of the others leave at once. */
  async function leaveAtOnce(scope: QuotaOptions['scope'], refused: StubCall, others: readonly StubCall[]) {
    const world = setUp({ scope });
    await limited(world, ['Retry-After', '60'], () => refused);
    expect(world.cooldowns.length).toBe(1);
    const left: boolean[] = [];
    for (const call of others) {
      const before = world.attempts.length;
      world.send(call).catch(() => {});
      await settled();
      left.push(world.attempts.length > before);
    }
    world.drain();
    return left;
  }

  test('scope: credential: all paths', async () => {
    expect(await leaveAtOnce('credential', at('/a'), [at('/a'), at('/b')])).toEqual([false, false]);
    expect(await leaveAtOnce('auto', at('/a'), [at('/a'), at('/b')])).toEqual([false, true]);
  });

  test('scope: /model: the name in the body is the scope, on any path', async () => {
    const others = [at('/a', 'large'), at('/b', 'large'), at('/a', 'small')];
    expect(await leaveAtOnce('/model', at('/a', 'large'), others)).toEqual([false, false, true]);
  });
});

test('a call that waits for a quota that was evicted is refused by a drain too', async () => {
  const { drain, quota, send } = setUp({ windows: ONE_A_SECOND });
  const by = (n: number) => stubCall({ headers: ['authorization', 'x'.repeat(n)], deadline: 60_000 });
  void send(by(1));
  const waiting = send(by(1));
  const ended = waiting.catch((error: unknown) => error);
  for (let n = 2; n <= 1_002; n++) void send(by(n));
  await settled();
  expect([...quota.queues].length).toBe(1_000);
  expect(quota.waiting).toBe(1);
  drain();
  expect(await ended).toMatchObject({ code: 'draining' });
  expect(quota.waiting).toBe(0);
});

describe('the share of a client', () => {
  const shareOf = (client: string) => (client === 'batch' ? 0.2 : undefined);
  const by = (clientName: string, more: object = {}) =>
    stubCall({ identity: { id: '1', clientName }, deadline: 600_000, ...more });
  const window = (limit: number, periodMs: number, counts: 'calls' | 'cost' = 'calls') =>
    [{ name: 'w', limit, periodMs, burst: undefined, counts }] as const;

  async function left(world: World, calls: readonly StubCall[]): Promise<number> {
    const before = world.attempts.length;
    for (const call of calls) world.send(call).catch(() => undefined);
    await settled();
    return world.attempts.length - before;
  }

  test('of a window is an upper bound, also while others are idle', async () => {
    const world = setUp({ windows: window(10, 60_000) }, shareOf);
    expect(await left(world, [by('batch'), by('batch'), by('batch')])).toBe(2);
    expect(await left(world, [by('web'), by('web'), by('other')])).toBe(3);
    await world.clock.advance(30_000);
    await settled();
    expect(world.attempts).toHaveLength(6);
  });

  test('of a rate is a lower rate', async () => {
    const world = setUp({ windows: window(10, 1_000) }, shareOf);
    await left(
      world,
      Array.from({ length: 10 }, () => by('batch')),
    );
    await world.clock.advance(2_100);
    await settled();
    expect(world.attempts).toHaveLength(5);
  });

  test('below one call is one call in a longer time', async () => {
    const world = setUp({ windows: window(1, 1_000) }, shareOf);
    expect(await left(world, [by('batch'), by('batch')])).toBe(1);
    await world.clock.advance(4_900);
    expect(world.attempts).toHaveLength(1);
    await world.clock.advance(200);
    await settled();
    expect(world.attempts).toHaveLength(2);
  });

  test('of a learned limit holds until the limit is full again', async () => {
    const world = setUp({}, shareOf);
    const limits = ['ratelimit-limit', '10', 'ratelimit-remaining', '9', 'ratelimit-reset', '60'];
    await left(world, [by('web')]);
    world.attempts[0]?.answer(stubReply(200, limits));
    await settled();
    expect(await left(world, [by('batch'), by('batch'), by('batch')])).toBe(2);
    expect(await left(world, [by('web'), by('web')])).toBe(2);
    await world.clock.advance(60_001);
    await settled();
    expect(world.attempts).toHaveLength(6);
  });

  test('comes back if the call was not sent', async () => {
    const world = setUp({ windows: window(10, 60_000) }, shareOf);
    await left(world, [by('batch'), by('batch'), by('batch')]);
    world.attempts[0]?.fail(new ProxyError('connection_refused', 'refused', { sent: 'not_sent' }));
    await settled();
    expect(world.attempts).toHaveLength(3);
  });

  test('says so if it is used up for too long', async () => {
    const world = setUp({ windows: window(10, 60_000), waitMs: 1_000 }, shareOf);
    await left(world, [by('batch'), by('batch')]);
    await expect(world.send(by('batch'))).rejects.toThrow('the share of this client in the quota is used up');
    expect(await left(world, [by('web')])).toBe(1);
  });
});
