import { describe, expect, test, vi } from 'vitest';
import { offerCalls, type QuotaReplica, SharedQuotaWorld } from '../fleet/shared-quota.ts';

interface Limited {
  readonly limit: number;
  readonly windowMs: number;
}

/** An upstream with fixed windows, which states its limit. Returns the calls of each window, those that were refused too. */
function limitedUpstream(world: SharedQuotaWorld, { limit, windowMs }: Limited): Map<number, number> {
  const windows = new Map<number, number>();
  world.answer = (now) => {
    const window = Math.floor(now / windowMs);
    const count = (windows.get(window) ?? 0) + 1;
    windows.set(window, count);
    const resetS = Math.ceil(((window + 1) * windowMs - now) / 1_000);
    const left = Math.max(0, limit - count);
    return {
      status: count > limit ? 429 : 200,
      headers: [
        'RateLimit-Policy',
        `"default";q=${limit};w=${windowMs / 1_000}`,
        'RateLimit',
        `"default";r=${left};t=${resetS}`,
      ],
    };
  };
  return windows;
}

const offer = (
  world: SharedQuotaWorld,
  replicas: readonly QuotaReplica[],
  rates: readonly number[],
  ms: number,
) => offerCalls(world, replicas, rates, { ms });

const SECOND = { limit: 100, windowMs: 1_000 };
const many = (count: number, each: number) => Array.from({ length: count }, () => each);

describe('a limit that the upstream states', () => {
  test.each([
    ['three under uneven load', [80, 60, 20], 0.95],
    ['ten with exactly enough', many(10, 10), 0.9],
    ['ten that want more', many(10, 15), 0.9],
  ] as const)(
    'is used together, and exceeded by no more than calls around a reset: %s',
    async (_name, rates, share) => {
      const world = new SharedQuotaWorld();
      const windows = limitedUpstream(world, SECOND);
      const replicas = await world.replicas(rates.length);
      await offer(world, replicas, rates, 3_000);
      const whole = [...windows.values()].slice(0, -1);
      expect(Math.max(...windows.values())).toBeLessThanOrEqual(102);
      expect(whole.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(share * 100 * whole.length);
    },
  );

  test('is reported ten times a second, however many replies state it', async () => {
    const world = new SharedQuotaWorld();
    limitedUpstream(world, { limit: 10_000, windowMs: 10_000 });
    const replicas = await world.replicas(2);
    await offer(world, replicas, [500, 500], 1_000);
    world.messages.length = 0;
    await offer(world, replicas, [500, 500], 1_000);
    expect(world.sent.length).toBeGreaterThan(1_500);
    expect(world.messages.length).toBeLessThanOrEqual(2 * 11);
  });

  test('is written once a second for replicas that start, however often a window begins', async () => {
    const world = new SharedQuotaWorld();
    world.answer = (now) => {
      const reset = ['X-RateLimit-Reset-After', `${(200 - (now % 200)) / 1_000}`];
      return { status: 200, headers: ['X-RateLimit-Limit', '99', 'X-RateLimit-Remaining', '50', ...reset] };
    };
    const write = vi.spyOn(world.store, 'write');
    await offer(world, await world.replicas(1), [50], 5_000);
    expect(world.messages.length).toBeGreaterThan(15);
    expect(write.mock.calls.length).toBeLessThanOrEqual(6);
    // The latest news is written, too.
    const { length } = write.mock.calls;
    await world.pass(1_000);
    expect(write.mock.calls.length).toBe(length + 1);
  });

  test('is not reported if it has no reset, because no replica can count it', async () => {
    const world = new SharedQuotaWorld();
    world.answer = () => ({
      status: 200,
      headers: ['X-RateLimit-Limit', '5000', 'X-RateLimit-Remaining', '4999'],
    });
    await offer(world, await world.replicas(2), [20, 20], 1_000);
    expect(world.sent.length).toBeGreaterThan(30);
    expect(world.messages).toEqual([]);
  });

  test('is used together if replies state no window, so that each replica estimates another length', async () => {
    const world = new SharedQuotaWorld();
    const counts: number[] = [];
    world.answer = (now) => {
      const window = Math.floor(now / 1_000);
      const count = (counts[window] = (counts[window] ?? 0) + 1);
      const left = Math.max(0, 100 - count);
      const reset = ['X-RateLimit-Reset-After', `${((window + 1) * 1_000 - now) / 1_000}`];
      return {
        status: count > 100 ? 429 : 200,
        headers: ['X-RateLimit-Limit', '100', 'X-RateLimit-Remaining', `${left}`, ...reset],
      };
    };
    const replicas = await world.replicas(3);
    await offer(world, replicas, [80, 60, 20], 5_000);
    expect(Math.max(...counts)).toBeLessThanOrEqual(102);
    expect(Math.min(...counts.slice(0, 5))).toBeGreaterThanOrEqual(90);
  });

  test('is not used up by the replica that asks first after a reset', async () => {
    const world = new SharedQuotaWorld();
    limitedUpstream(world, SECOND);
    const replicas = await world.replicas(3);
    await offer(world, replicas, [100, 100, 100], 4_000);
    const shares = replicas.map((_, i) => world.sent.filter(({ replica }) => replica === i).length);
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(90);
  });

  test.each(['auto', 'path'] as const)('is shared where it holds for one path: scope %s', async (scope) => {
    const world = new SharedQuotaWorld();
    const windows = limitedUpstream(world, SECOND);
    const replicas = await world.replicas(3, { scope });
    await offer(world, replicas, [80, 60, 20], 2_000);
    expect(Math.max(...windows.values())).toBeLessThanOrEqual(102);
  });

  test('is known after a restart of all', async () => {
    const world = new SharedQuotaWorld();
    const windows = limitedUpstream(world, { limit: 30, windowMs: 3_600_000 });
    const before = await world.replicas(2);
    await offer(world, before, [10, 10], 1_000);
    await Promise.all([...before.map(({ fleet }) => fleet.close()), world.pass(100)]);
    const after = await world.replicas(2);
    await offer(world, after, [40, 40], 500);
    expect(windows.get(0)).toBeLessThanOrEqual(30);
    expect(windows.get(0)).toBeGreaterThanOrEqual(28);
  });

  test('whose end one replica has seen holds the calls of the others within 100 ms', async () => {
    const world = new SharedQuotaWorld();
    const windows = limitedUpstream(world, { limit: 1_000, windowMs: 60_000 });
    const [one, two] = await world.replicas(2);
    await offer(world, [one as QuotaReplica, two as QuotaReplica], [20, 20], 200);
    // Others use up the rest.
    windows.set(0, 999);
    await offer(world, [one as QuotaReplica], [10], 200);
    await world.pass(100);
    const before = world.sent.length;
    await offer(world, [two as QuotaReplica], [100], 200);
    expect(world.sent.length).toBe(before);
  });

  test('is divided between the replicas while the store is away', async () => {
    const world = new SharedQuotaWorld();
    const windows = limitedUpstream(world, { limit: 90, windowMs: 1_000 });
    const replicas = await world.replicas(3);
    await offer(world, replicas, [30, 30, 30], 1_000);
    world.cut();
    await offer(world, replicas, [60, 60, 60], 2_500);
    expect(Math.max(...windows.values())).toBeLessThanOrEqual(95);
    world.storeGone = false;
    await world.pass(1_500);
    windows.clear();
    await offer(world, replicas, [80, 60, 20], 2_000);
    expect(Math.max(...windows.values())).toBeLessThanOrEqual(95);
  });

  test('that is partly used when replicas begin to count it is not exceeded', async () => {
    const world = new SharedQuotaWorld();
    const windows = limitedUpstream(world, { limit: 100, windowMs: 600_000 });
    const replicas = await world.replicas(3);
    windows.set(0, 60);
    await offer(world, replicas, [5, 5, 5], 250);
    await offer(world, replicas, [200, 200, 200], 500);
    expect(windows.get(0)).toBeLessThanOrEqual(102);
    expect(windows.get(0)).toBeGreaterThanOrEqual(95);
  });

  test('that was used up in an earlier window is free for a replica that starts after the reset', async () => {
    const world = new SharedQuotaWorld();
    const windows = limitedUpstream(world, { limit: 50, windowMs: 4_000 });
    const [one, two] = (await world.replicas(2)) as [QuotaReplica, QuotaReplica];
    await offer(world, [one], [200], 1_000);
    expect(windows.get(0)).toBeGreaterThanOrEqual(40);
    one.drain();
    await world.pass(4_000);
    windows.clear();
    await offer(world, [two], [100], 1_000);
    expect(windows.get(1)).toBeGreaterThanOrEqual(45);
  });

  test('that is used up is tested less often by each of three replicas than by one alone', async () => {
    const world = new SharedQuotaWorld();
    const windows = limitedUpstream(world, { limit: 5, windowMs: 600_000 });
    const replicas = await world.replicas(3);
    await offer(world, replicas, [10, 10, 10], 500);
    for (const { send } of replicas) for (let i = 0; i < 20; i++) send().catch(() => undefined);
    await world.pass(120_000, 100);
    // One alone sends seven tests in this time.
    expect(windows.get(0)).toBeLessThanOrEqual(5 + 14);
  });

  test('that is wrong is tested, and not believed any more', async () => {
    const world = new SharedQuotaWorld();
    const replicas = await world.replicas(3);
    world.answer = () => ({
      status: 200,
      headers: ['RateLimit-Policy', '"x";q=5;w=3600', 'RateLimit', '"x";r=0;t=3600'],
    });
    await offer(world, replicas, [5, 5, 5], 400);
    await world.pass(6_000, 50);
    const before = world.sent.length;
    await offer(world, replicas, [5, 5, 5], 1_000);
    expect(world.sent.length - before).toBeGreaterThan(10);
  });
});
