import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { FleetSide } from '../../src/app/fleet-side.ts';
import { WHOLE } from '../../src/policies/quota/cooldown-report.ts';
import type { CredentialQuota } from '../../src/policies/quota/credential-quota.ts';
import { learningOf, type QuotaOptions } from '../../src/policies/quota/options.ts';
import { Quota } from '../../src/policies/quota/quota.ts';
import { SharedCooldowns } from '../../src/policies/quota/shared-cooldowns.ts';
import type { CredentialListener, SharedCredential } from '../../src/policies/quota/shared-credential.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { stubCall } from '../support/stub-call.ts';
import { isHeld, type QuotaReplica, SharedQuotaWorld } from '../fleet/shared-quota.ts';

const REFUSED = { status: 429, headers: ['Retry-After', '60'] };
const UNNAMED = { status: 429 };
const OK = { status: 200 };
const NO_CREDIT = {
  status: 402,
  classification: { name: 'rule', kind: 'permanent', retryAfterMs: undefined, throttled: true },
} as const;

const NOTHING_SHARED: SharedCredential = {
  tokens: () => {
    throw new Error('no window');
  },
  learned: () => {
    throw new Error('no limit');
  },
  replicas: 2,
  away: false,
  kept: () => Promise.resolve(undefined),
  keep: () => undefined,
  tell: () => undefined,
  listen: () => undefined,
  unlisten: () => undefined,
  claim: () => Promise.resolve(undefined),
  release: () => undefined,
};

const NO_DEPS = {
  wake: () => undefined,
  pump: () => undefined,
  onRemote: () => undefined,
  onLease: () => undefined,
};

const three = async (world: SharedQuotaWorld) =>
  (await world.replicas(3)) as [QuotaReplica, QuotaReplica, QuotaReplica];

/** Each replica knows the credential after one call. */
async function known(world: SharedQuotaWorld, replicas: readonly QuotaReplica[]): Promise<void> {
  await Promise.all([...replicas.map(({ send }) => send()), world.pass(100)]);
}

async function closed(world: SharedQuotaWorld, replicas: readonly QuotaReplica[]): Promise<void> {
  await known(world, replicas);
  world.answer = () => REFUSED;
  await world.close(replicas[0] as QuotaReplica);
}

const since = (world: SharedQuotaWorld, at: number) => world.sent.filter((one) => one.at > at);

/** A quota that one call has used, and that a reload has dropped. */
function droppedQuota(fleet: FleetSide, options: QuotaOptions, name: string): WeakRef<Quota> {
  const scope = { name, origin: 'https://api.example.com', account: [] };
  const quota = new Quota(options, {
    clock: new FakeClock(),
    random: () => 0.5,
    hash: (text) => text,
    draining: new Abort(),
    onCooldown: () => undefined,
    shared: fleet.credentialsOf(scope, learningOf(options)),
  });
  quota.queueOf(stubCall()).quota.limiterFor('GET /').take(1, 0, false);
  quota.dropped();
  return new WeakRef(quota);
}

describe('a cooldown', () => {
  test('of one replica holds the calls of the others within 100 ms', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    await world.clock.advance(100);
    expect(replicas.map(isHeld)).toEqual([true, true, true]);
    expect(replicas.map(({ cooldowns }) => cooldowns)).toEqual([
      [{ remote: false, cause: 'retry_after' }],
      [{ remote: true, cause: 'retry_after' }],
      [{ remote: true, cause: 'retry_after' }],
    ]);
    const before = world.sent.length;
    for (const { send } of replicas) send().catch(() => undefined);
    await world.pass(500);
    expect(world.sent).toHaveLength(before);
  });

  test('is known to a replica that starts, and after a restart of all', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    await world.pass(800);
    const late = await world.replica();
    const before = world.sent.length;
    late.send().catch(() => undefined);
    await world.pass(40);
    expect(world.sent).toHaveLength(before);
    expect(late.cooldowns).toEqual([{ remote: true, cause: 'retry_after' }]);
    const [[, queue] = []] = [...late.quota.queues];
    const leftMs = queue?.quota.whole.cooldown.remainingMs(world.clock.now()) ?? 0;
    const [[, first] = []] = [...replicas[0].quota.queues];
    expect(leftMs).toBeCloseTo(first?.quota.whole.cooldown.remainingMs(world.clock.now()) ?? 0, -1);
  });

  test('that has ended is not known to a replica that starts', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    world.answer = () => OK;
    replicas[1]?.send().catch(() => undefined);
    await world.pass(3_000);
    expect(replicas.some(isHeld)).toBe(false);
    const late = await world.replica();
    late.send().catch(() => undefined);
    await world.pass(50);
    expect(late.cooldowns).toEqual([]);
  });

  test('because the account has no credit stops all replicas too', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await known(world, replicas);
    world.answer = () => NO_CREDIT;
    replicas[0].send().catch(() => undefined);
    await world.pass(100);
    expect(replicas.map(isHeld)).toEqual([true, true, true]);
    expect(replicas[2].cooldowns).toEqual([{ remote: true, cause: 'permanent' }]);
  });

  test('ends later if another replica has seen a later end', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await known(world, replicas);
    world.upstreamMs = 300;
    // Both are refused twice before either can know of the other.
    world.answer = (_now, replica) => ({
      status: 429,
      headers: ['Retry-After', replica === 0 ? '20' : '90'],
    });
    for (const { send } of [replicas[0], replicas[1]])
      for (let i = 0; i < 3; i++) send().catch(() => undefined);
    await world.pass(1_000);
    for (const { quota } of replicas) {
      const [[, queue] = []] = [...quota.queues];
      expect(queue?.quota.whole.cooldown.remainingMs(world.clock.now())).toBeGreaterThan(80_000);
    }
  });
});

describe('the probe of a cooldown', () => {
  test('is sent by one replica, whose success opens it for all', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    const before = world.clock.now();
    world.upstreamMs = 200;
    world.answer = () => OK;
    const calls = replicas.map(({ send }) => send());
    // The first probe is due after one to six seconds. It takes 200 ms, and no other one is sent meanwhile.
    for (let i = 0; i < 400 && since(world, before).length === 0; i++) await world.pass(20);
    await world.pass(190);
    expect(since(world, before)).toHaveLength(1);
    await world.pass(500);
    await Promise.all(calls);
    expect(replicas.some(isHeld)).toBe(false);
  });

  test('that fails holds the calls of all for longer', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    const before = world.clock.now();
    for (const { send } of [...replicas, ...replicas]) send().catch(() => undefined);
    await world.pass(60_000, 20);
    // One replica alone probes after 1, 4, 16, 25 … s.
    expect(since(world, before).length).toBeGreaterThanOrEqual(4);
    expect(since(world, before).length).toBeLessThanOrEqual(5);
    for (const { quota } of replicas) {
      const [[, queue] = []] = [...quota.queues];
      expect(queue?.quota.whole.cooldown.remainingMs(world.clock.now())).toBeGreaterThan(30_000);
    }
    expect(replicas.flatMap(({ leases }) => leases)).toContain(false);
  });

  test('is sent by one replica after each wait that has no named length', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await known(world, replicas);
    world.answer = () => UNNAMED;
    await world.close(replicas[0]);
    await world.pass(50);
    const before = world.clock.now();
    for (const { send } of replicas) send().catch(() => undefined);
    await world.pass(1_500);
    // Alone: after 0.1, 0.2, 0.4, 0.8 s and a random part each.
    expect(since(world, before).length).toBeLessThanOrEqual(5);
  });

  test('is sent by another replica if the first one is gone', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    const before = world.clock.now();
    world.upstreamMs = 1e9;
    for (const { send } of replicas) send().catch(() => undefined);
    for (let i = 0; i < 400 && since(world, before).length === 0; i++) await world.pass(20);
    const first = world.sent.at(-1);
    world.upstreamMs = 10;
    world.answer = () => OK;
    await world.pass(5_100);
    const [, second] = since(world, before);
    expect(second?.replica).not.toBe(first?.replica);
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeLessThan(5_100);
    expect(replicas.some(isHeld)).toBe(false);
  });

  test.each([
    ['is gone', (world: SharedQuotaWorld) => world.cut()],
    ['is slow', (world: SharedQuotaWorld) => void (world.storeMs = 500)],
  ])(
    'is sent by each replica while the store %s, and no call waits longer than 50 ms for it',
    async (_name, harm) => {
      const world = new SharedQuotaWorld();
      const replicas = await three(world);
      await closed(world, replicas);
      await world.pass(100);
      harm(world);
      await world.pass(8_000);
      const before = world.clock.now();
      for (const { send } of replicas) send().catch(() => undefined);
      await world.pass(60);
      expect(
        since(world, before)
          .map(({ replica }) => replica)
          .toSorted((a, b) => a - b),
      ).toEqual([0, 1, 2]);
    },
  );
});

test('the lease of a probe is released after its result was reported', async () => {
  const clock = new FakeClock();
  const log: string[] = [];
  const shared: SharedCredential = {
    ...NOTHING_SHARED,
    tell: () => void log.push('reported'),
    release: () => void log.push('released'),
  };
  const report = { name: 'over', ramp: true, leftMsAgo: 0 } as const;
  const quota = {
    reports: (_now: number, of?: ReadonlySet<string>) => Array.from(of ?? [], (scope) => [scope, report]),
  } as unknown as CredentialQuota;
  const cooldowns = new SharedCooldowns(shared, { ...NO_DEPS, clock, quota: () => quota });
  cooldowns.changed(WHOLE);
  cooldowns.released(WHOLE);
  expect(log).toEqual(['reported', 'released']);
  // The next report waits for 100 ms.
  cooldowns.changed(WHOLE);
  cooldowns.released(WHOLE);
  await clock.advance(99);
  expect(log).toHaveLength(2);
  await clock.advance(1);
  expect(log).toEqual(['reported', 'released', 'reported', 'released']);
});

describe('harm that sharing must not do', () => {
  test('another credential is not held', async () => {
    const world = new SharedQuotaWorld();
    const [one, two] = await three(world);
    await known(world, [one, two]);
    await Promise.all([two.send(['Authorization', 'other']), world.pass(100)]);
    world.answer = () => REFUSED;
    await world.close(one);
    await world.pass(100);
    const before = world.sent.length;
    two.send(['Authorization', 'other']).catch(() => undefined);
    await world.pass(20);
    expect(world.sent).toHaveLength(before + 1);
  });

  test('a replica whose own calls are answered ignores the refusals of another one', async () => {
    const world = new SharedQuotaWorld();
    const [one, two] = await three(world);
    await known(world, [one, two]);
    // The upstream refuses the calls of one replica alone.
    world.answer = (_now, replica) => (replica === 0 ? REFUSED : OK);
    for (let i = 0; i < 100; i++) {
      one.send().catch(() => undefined);
      await Promise.all([two.send(), world.pass(20)]);
    }
    expect(isHeld(two)).toBe(false);
    expect(world.sent.filter(({ replica }) => replica === 1).length).toBeGreaterThanOrEqual(100);
  });

  test('messages that no replica sends have no effect', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    await world.pass(20);
    const valid = world.messages.at(-1) ?? '';
    const [, topic, sample = ''] = JSON.parse(valid) as string[];
    const [key, reports = ''] = sample.split('\n');
    const [[, report] = []] = JSON.parse(reports) as [string, object][];
    const texts = [
      'no json',
      '[]',
      '{}',
      'null',
      '[[""]]',
      '[["",{"name":"active"}]]',
      `[[1,${JSON.stringify(report)}]]`,
    ];
    const wrong = [
      { cause: 'x' },
      { ms: 1e12 },
      { namedMs: null },
      { probeMs: -1 },
      { probes: -1 },
      { failed: 0.5 },
      { scopes: 'x' },
      { scopes: ['x'.repeat(1_000)] },
      { leftMsAgo: -5 },
    ].map((change) => JSON.stringify([['', { ...report, ...change }]]));
    const two = replicas[1];
    for (const text of [...texts, ...wrong]) {
      two.quota.reset();
      world.store.publish(JSON.stringify(['x', topic, `${key}\n${text}`]));
      await world.pass(5);
      expect([text, isHeld(two)]).toEqual([text, false]);
    }
    world.store.publish(valid);
    await world.pass(5);
    expect(isHeld(two)).toBe(true);
  });

  test('a forged or very old message holds calls until the first probe', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    const forged = world.messages.findLast((message) => message.includes('active')) ?? '';
    for (const { quota } of replicas) quota.reset();
    await world.pass(100);
    world.answer = () => OK;
    await world.pass(100_000, 1_000);
    world.store.publish(forged);
    await world.pass(10);
    const begun = world.clock.now();
    await Promise.all([...[replicas[1], replicas[2]].map(({ send }) => send()), world.pass(1_300)]);
    expect(world.clock.now() - begun).toBeLessThanOrEqual(1_300);
    expect(isHeld(replicas[1])).toBe(false);
  });

  test('many replicas that are refused at once send few messages', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await world.replicas(20);
    await known(world, replicas);
    world.messages.length = 0;
    world.answer = () => REFUSED;
    for (const { send } of replicas) for (let i = 0; i < 4; i++) send().catch(() => undefined);
    await world.pass(300, 10);
    expect(replicas.every(isHeld)).toBe(true);
    expect(world.messages.length).toBeLessThanOrEqual(2 * 20);
  });

  test('a quota in shadow mode neither reports nor applies reports', async () => {
    const world = new SharedQuotaWorld();
    const [one, shadow] = [await world.replica(), await world.replica({ mode: 'shadow' })];
    await known(world, [one, shadow]);
    world.answer = () => REFUSED;
    await world.close(shadow);
    expect(world.messages).toEqual([]);
    shadow.quota.reset();
    await world.close(one);
    await world.pass(50);
    expect(isHeld(shadow)).toBe(false);
  });

  test('a quota that a reload has dropped receives no reports', async () => {
    const world = new SharedQuotaWorld();
    const [one, two] = await three(world);
    await known(world, [one, two]);
    two.quota.dropped();
    world.answer = () => REFUSED;
    await world.close(one);
    await world.pass(100);
    expect(two.cooldowns).toEqual([]);
  });

  test('a quota that has taken the place of a dropped one receives reports', async () => {
    const world = new SharedQuotaWorld();
    const [one, two] = await three(world);
    const scope = { name: 'api', origin: 'https://api.example.com', account: [] };
    const credentialOf = two.fleet.credentialsOf(scope, learningOf(two.quota.options));
    const heard: string[] = [];
    const [before, after] = ['before', 'after'].map((name) => ({
      heard: (text: string) => void heard.push(`${name}: ${text}`),
      lost: () => undefined,
    })) as [CredentialListener, CredentialListener];
    credentialOf('key').listen(before);
    credentialOf('key').listen(after);
    credentialOf('key').unlisten(before);
    one.fleet.credentialsOf(scope, learningOf(one.quota.options))('key').tell('news');
    await world.pass(20);
    expect(heard).toEqual(['after: news']);
  });

  test.each([
    [{ learn: false }, false],
    [{ waitMs: 5_000 }, true],
  ])(
    'with %j, a replica knows the cooldown of those with the old configuration: %j',
    async (changes, holds) => {
      const world = new SharedQuotaWorld();
      await closed(world, await three(world));
      const changed = await world.replica(changes);
      changed.send().catch(() => undefined);
      await world.pass(50);
      expect(isHeld(changed)).toBe(holds);
    },
  );

  test('quotas that reloads have dropped do not stay in memory, though their windows do', async () => {
    const world = new SharedQuotaWorld();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { fleet, quota } = await world.replica({
      windows: [{ name: '100/s', limit: 100, periodMs: 1_000, burst: undefined, counts: 'calls' }],
    });
    const dropped = Array.from({ length: 10 }, (_, i) => droppedQuota(fleet, quota.options, `upstream-${i}`));
    const alive = () => dropped.filter((one) => one.deref() !== undefined).length;
    // Answers of the store are on their way, and a weak reference holds its target to the end of the turn.
    for (let tries = 0; tries < 20 && alive() > 0; tries++) {
      await world.pass(500);
      await turn();
      collect();
    }
    expect(alive()).toBe(0);
    expect(fleet.snapshot().away).toBeUndefined();
  });

  test.each([
    ['has lost its data', (world: SharedQuotaWorld) => world.store.flush()],
    [
      'was away when the cooldown began',
      (world: SharedQuotaWorld) => {
        world.storeGone = false;
      },
    ],
  ])('a store that %s is informed again', async (name, repair) => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await known(world, replicas);
    if (name.startsWith('was away')) world.cut();
    world.answer = () => REFUSED;
    await world.close(replicas[0]);
    await world.pass(100);
    repair(world);
    await world.pass(5_000);
    const late = await world.replica();
    late.send().catch(() => undefined);
    await world.pass(20);
    expect(isHeld(late)).toBe(true);
  });

  test('a reset by an operator removes what is kept', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await three(world);
    await closed(world, replicas);
    await world.pass(100);
    for (const { fleet, quota } of replicas) fleet.onReset(() => quota.reset());
    replicas[0].fleet.tellReset('api');
    replicas[0].quota.reset();
    await world.pass(20);
    expect(replicas.some(isHeld)).toBe(false);
    const late = await world.replica();
    late.send().catch(() => undefined);
    await world.pass(20);
    expect(isHeld(late)).toBe(false);
  });
});
