import { expect, test } from 'vitest';
import { Claims } from '../../src/fleet/claims.ts';
import { Abort } from '../../src/runtime/abort.ts';
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
