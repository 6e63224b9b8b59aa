import { describe, expect, test } from 'vitest';
import { type BucketWorld, type Family, runBucket } from '../support/token-bucket.ts';

const FAMILIES: readonly Family[] = ['anthropic', 'openai'];

/** One call every two seconds, which the bucket can serve, and two a second, which it cannot. */
const CALM_MS = 2_000;
const BUSY_MS = 500;

/** 30 at once, and one a second from then on. */
const ALL = 205;

type Harm = Omit<BucketWorld, 'family' | 'everyMs'>;

describe.each(FAMILIES)('a bucket of 30 with one token back a second, as %s states it', (family) => {
  const calm = (harm: Harm) => runBucket({ ...harm, family, everyMs: CALM_MS });
  const busy = (harm: Harm) => runBucket({ ...harm, family, everyMs: BUSY_MS });

  test('after 30 calls at once no call waits or is refused', async () => {
    expect(await calm({})).toEqual({ served: 119, refused: 0, longestWaitMs: 0 });
  });

  test('twice as many calls as it serves: all tokens are used, and only tests are refused', async () => {
    const { refused, served } = await busy({});
    expect(served).toBeGreaterThanOrEqual(ALL);
    expect(refused).toBeLessThanOrEqual(8);
  });

  test.each<[string, Harm, number]>([
    ['the limit is not stated', { states: () => ({ limit: undefined }) }, 3_500],
    ['the reset is not stated', { states: () => ({ fullMs: undefined }) }, 0],
    ['the reset is always now', { states: () => ({ fullMs: 0 }) }, 0],
    ['the reset is 60 times too far', { states: ({ fullMs = 0 }) => ({ fullMs: 60 * fullMs }) }, 3_500],
    ['the reset is 60 times too near', { states: ({ fullMs = 0 }) => ({ fullMs: fullMs / 60 }) }, 0],
    ['nothing is ever left', { states: () => ({ remaining: 0, fullMs: 30_000 }), unlimited: true }, 3_500],
    [
      'nothing is left for an hour',
      { states: () => ({ remaining: 0, fullMs: 3_600_000 }), unlimited: true },
      5_000,
    ],
    ['all is always left', { states: () => ({ remaining: 30, fullMs: 0 }) }, 0],
    [
      'the clock of the API is 30 s ahead',
      { states: ({ fullMs = 0 }) => ({ fullMs: fullMs + 30_000 }), undated: true },
      500,
    ],
    [
      'the clock of the API is 30 s behind',
      { states: ({ fullMs = 0 }) => ({ fullMs: Math.max(0, fullMs - 30_000) }), undated: true },
      0,
    ],
    ['three replicas share it', { replicas: 3 }, 0],
    ['the limit falls to 5', { size: (now) => (now > 40_000 ? 5 : 30) }, 0],
    ['replies overtake each other', { latencyMs: (random) => 50 + 5_000 * random() }, 7_000],
  ])('few calls: %s', async (_name, harm, mostMs) => {
    const { refused, longestWaitMs } = await calm(harm);
    expect(refused).toBe(0);
    expect(longestWaitMs).toBeLessThanOrEqual(mostMs);
  });

  test.each<[string, Harm, number]>([
    ['three replicas share it', { replicas: 3 }, 35],
    ['three replicas share it, without Retry-After', { replicas: 3, silent: true }, 35],
    ['the reset is 60 times too near', { states: ({ fullMs = 0 }) => ({ fullMs: fullMs / 60 }) }, 80],
    ['the reset is 60 times too far', { states: ({ fullMs = 0 }) => ({ fullMs: 60 * fullMs }) }, 8],
    [
      'the clock of the API is 30 s ahead',
      { states: ({ fullMs = 0 }) => ({ fullMs: fullMs + 30_000 }), undated: true },
      8,
    ],
    ['replies overtake each other', { latencyMs: (random) => 50 + 5_000 * random() }, 8],
  ])('many calls: %s', async (_name, harm, mostRefused) => {
    const { refused, served } = await busy(harm);
    expect(served).toBeGreaterThanOrEqual(200);
    expect(refused).toBeLessThanOrEqual(mostRefused);
  });
});
