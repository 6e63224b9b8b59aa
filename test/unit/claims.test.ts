import { expect, test } from 'vitest';
import { Claim, Claims } from '../../src/fleet/claims.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settled } from '../support/stub-call.ts';

test('news that come before a replica waits again are not lost', async () => {
  const clock = new FakeClock();
  let news = (_text: string): void => undefined;
  const claims = new Claims(
    {
      ask: () => Promise.resolve(undefined),
      tell: () => undefined,
      listen: (_topic, listener) => {
        news = listener;
      },
    },
    clock,
  );
  const watch = claims.watch('key');
  const seen = { text: 'claim', leftMs: 5_000 };
  const changes: string[] = [];
  const wait = async (name: string) => {
    await watch.change(seen, new Abort());
    changes.push(name);
  };
  await wait('at once, the first time');
  // The claim ends while this replica looks at it.
  news('!key');
  void wait('by news');
  await settled();
  expect(changes).toEqual(['at once, the first time', 'by news']);
  // The same news count once.
  void wait('by the time');
  await settled();
  expect(changes).toHaveLength(2);
  await clock.advance(100);
  expect(changes).toHaveLength(3);
  watch.end();
});

test('a claim that is released while the engine is slow is free for the others, and not only after its lease', async () => {
  const world = new EngineWorld();
  const [one, two] = [await world.started(), await world.started()];
  const claim = new Claims(one, world.clock).take('key', 'claim of one');
  await world.clock.advance(1);
  const taken = (await claim) as Claim;
  world.delayMs = 100;
  await world.clock.advance(1_100);
  expect(one.state.away).toBe('slow');
  void taken.release();
  await settled();
  await world.clock.advance(101);
  world.delayMs = 1;
  const next = new Claims(two, world.clock).take('key', 'claim of two');
  await world.clock.advance(1);
  expect(await next).toBeInstanceOf(Claim);
});
