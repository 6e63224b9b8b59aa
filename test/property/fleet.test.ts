import { describe, expect, test } from 'vitest';
import { FleetWorld, type Troubles, WELL } from '../fleet/world.ts';

const SECOND = { limit: 100, periodMs: 1_000, burst: 5 };
const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1);

const many = (replicas: number, perSecond: number) => Array.from({ length: replicas }, () => perSecond);

describe('units that replicas lease', () => {
  const limits = [
    SECOND,
    { limit: 10, periodMs: 1_000, burst: 1 },
    { limit: 100, periodMs: 1_000, burst: 20 },
    { limit: 60, periodMs: 10_000, burst: 60 },
    { limit: 1_000, periodMs: 1_000, burst: 50 },
  ];
  const troubles: readonly (readonly [string, Troubles])[] = [
    ['all is well', WELL],
    ['messages are late and lost', { ...WELL, lost: 0.1, delayMs: 60 }],
    ['replicas are killed', { ...WELL, killed: 0.2 }],
    ['replicas are stopped', { ...WELL, stopped: 0.1 }],
    ['everything at once', { lost: 0.05, delayMs: 40, killed: 0.05, stopped: 0.05, flushed: 0 }],
  ];

  test.each(limits.flatMap((limit) => troubles.map(([name, trouble]) => ({ limit, name, trouble }))))(
    'never exceed $limit.limit per $limit.periodMs ms and its burst of $limit.burst: $name',
    ({ limit, trouble }) => {
      for (const seed of SEEDS) {
        const world = new FleetWorld(limit, [80, 60, 20, 5], trouble, seed);
        world.run(30_000);
        expect(world.most(limit.periodMs)).toBeLessThanOrEqual(limit.limit + limit.burst);
        expect(world.sent.length).toBeGreaterThan(0);
      }
    },
  );

  test.each([
    ['three under uneven load', [80, 60, 20], 0.95],
    ['twenty with exactly enough', many(20, 5), 0.9],
    ['twenty that want more', many(20, 20), 0.95],
    ['eighty', many(80, 2), 0.9],
  ] as const)('use the limit: %s', (_name, rates, share) => {
    for (const seed of SEEDS) {
      const world = new FleetWorld(SECOND, rates, WELL, seed);
      world.run(30_000);
      expect(world.sent.length / 30 / SECOND.limit).toBeGreaterThanOrEqual(share);
      expect(world.most(1_000)).toBeLessThanOrEqual(105);
    }
  });
});
