import { expect, test } from 'vitest';
import { CountedCredentials } from '../../src/policies/quota/counted-windows.ts';
import { CredentialQuota } from '../../src/policies/quota/credential-quota.ts';
import { Throughput } from '../../src/policies/quota/throughput.ts';
import { seededRandom } from '../support/seeded-random.ts';

const LIMIT = {
  bucket: 'default',
  policy: '',
  resource: '',
  unit: 'calls',
  limit: 100,
  remaining: 50,
  resetMs: 60_000,
  windowMs: undefined,
  continuous: false,
} as const;

test('64 scopes of a credential are remembered, and the least recently used one is forgotten first', () => {
  const counted = new CountedCredentials().of('key');
  const quota = new CredentialQuota(
    { scope: 'path', windows: [] },
    { random: seededRandom(1), served: new Throughput(), counted: () => counted },
  );
  const learn = (scope: number) =>
    quota.answered([LIMIT], { startedAt: 0, unseen: 0, cost: 1, shape: `GET /${scope}`, held: undefined }, 0);
  for (let scope = 1; scope <= 64; scope++) learn(scope);
  expect([...quota.parts]).toHaveLength(64);
  quota.limiterFor('GET /1');
  learn(65);
  const known = new Set(Array.from(quota.parts, ([scope]) => scope));
  expect(known.size).toBe(64);
  expect(['GET /1', 'GET /2', 'GET /65'].map((scope) => known.has(scope))).toEqual([true, false, true]);
});
