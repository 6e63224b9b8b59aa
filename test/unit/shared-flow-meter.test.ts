import { describe, expect, test } from 'vitest';
import type { QuotaFormat } from '../../src/http/rate-limit.ts';
import { offerCalls, SharedQuotaWorld } from '../fleet/shared-quota.ts';

const FORMATS: readonly QuotaFormat[] = [
  { limit: 'x-limit', remaining: 'x-left', reset: 'x-reset', resetAs: 'go_duration', continuous: true },
];

/** Units in a minute. Resets are rounded up to a second. */
interface Bucket {
  readonly limit: number;
  /** Units that were used before. */
  readonly used?: number;
  /** Units in a second that others use. */
  readonly others?: number;
}

const MINUTE_MS = 60_000;

/** An upstream with one token bucket, which states what is left of it. */
function bucketUpstream(world: SharedQuotaWorld, { limit, used = 0, others = 0 }: Bucket): void {
  let left = limit - used;
  let at = world.clock.now();
  world.answer = (now) => {
    left = Math.min(limit, left + (now - at) * (limit / MINUTE_MS - others / 1_000));
    at = now;
    const status = left < 1 ? 429 : 200;
    if (status === 200) left--;
    const resetS = Math.ceil(((limit - left) / limit) * 60);
    return {
      status,
      headers: ['x-limit', `${limit}`, 'x-left', `${Math.floor(Math.max(0, left))}`, 'x-reset', `${resetS}s`],
    };
  };
}

async function replicasAt(world: SharedQuotaWorld, count: number) {
  return world.replicas(count, { formats: FORMATS, waitMs: 20_000 });
}

const counted = (world: SharedQuotaWorld, status: number): number =>
  world.sent.filter((one) => one.status === status).length;

const many = (count: number, each: number) => Array.from({ length: count }, () => each);

/** Replies take long, as those of language models do. */
const SLOW_MS = 4_000;

describe('a limit that refills continuously', () => {
  test.each([
    ['three', [2, 1.5, 0.5], 120],
    ['twenty', many(20, 0.4), 300],
  ] as const)('is used by %s replicas without a refused call', async (_name, rates, limit) => {
    const world = new SharedQuotaWorld();
    world.upstreamMs = SLOW_MS;
    bucketUpstream(world, { limit });
    await offerCalls(world, await replicasAt(world, rates.length), rates, { ms: 2 * MINUTE_MS, stepMs: 20 });
    expect(counted(world, 429)).toBe(0);
    expect(counted(world, 200)).toBeGreaterThanOrEqual(0.9 * 3 * limit);
  });

  test('that was partly used before, and is used by others too, is seldom exceeded', async () => {
    const world = new SharedQuotaWorld();
    world.upstreamMs = SLOW_MS;
    bucketUpstream(world, { limit: 300, used: 200, others: 2.5 });
    await offerCalls(world, await replicasAt(world, 20), many(20, 0.4), { ms: 2 * MINUTE_MS, stepMs: 20 });
    expect(counted(world, 429)).toBeLessThanOrEqual(0.05 * world.sent.length);
    // The others leave half of what is refilled.
    expect(counted(world, 200)).toBeGreaterThanOrEqual(0.9 * (100 + 300));
  });

  test('is divided between the replicas while the store is away', async () => {
    const world = new SharedQuotaWorld();
    world.upstreamMs = SLOW_MS;
    bucketUpstream(world, { limit: 300 });
    const replicas = await replicasAt(world, 3);
    await offerCalls(world, replicas, [4, 3, 3], { ms: MINUTE_MS, stepMs: 20 });
    world.cut();
    await offerCalls(world, replicas, [4, 3, 3], { ms: MINUTE_MS, stepMs: 20 });
    expect(counted(world, 429)).toBe(0);
    expect(counted(world, 200)).toBeGreaterThanOrEqual(0.9 * 3 * 300);
  });
});
