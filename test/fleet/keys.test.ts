import { describe, expect, test } from 'vitest';
import { ENGINES, freshName } from './engines.ts';
import { startReplica } from './replicas.ts';
import { SharedQuotaWorld } from './shared-quota.ts';

/* Replicas whose keys differ count each quota apart, so that the API gets a whole quota from each of them. They say so. */

const SAID = expect.stringContaining('has used the shared store with another key') as string;

test('a replica with another secret says so when it connects, and one with the same does not', async () => {
  const world = new SharedQuotaWorld();
  const [first, same, other, without] = [
    await world.replica({}, 'a'.repeat(32)),
    await world.replica({}, 'a'.repeat(32)),
    await world.replica({}, 'b'.repeat(32)),
    await world.replica({}),
  ];
  await world.pass(10);
  for (const { logged } of [first, same]) expect(logged).not.toContainEqual(SAID);
  for (const { logged } of [other, without]) expect(logged).toContainEqual(SAID);
});

describe.each(ENGINES)('$name $missing', ({ url, missing }) => {
  test.skipIf(missing !== undefined)('two processes with different secrets', async () => {
    const name = freshName();
    const start = (secret: string) =>
      startReplica(
        `shared: { store: "${url}", name: ${name}, secret: ${secret.repeat(32)} }\nupstreams: { api: { url: "http://127.0.0.1:1", allow_private: true } }\n`,
      );
    const first = await start('a');
    await first.process.untilPrinted(/the shared store is used/);
    const second = await start('b');
    await second.process.untilPrinted(/has used the shared store with another key/);
    expect(first.process.out).not.toMatch(/another key/);
  });
});
