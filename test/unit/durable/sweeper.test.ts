import { expect, onTestFinished, test } from 'vitest';
import type { Health } from '../../../src/durable/health.ts';
import type { Store } from '../../../src/durable/store/store.ts';
import { Sweeper } from '../../../src/durable/sweeper.ts';
import { SetClock } from '../../support/set-clock.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

function sweeping() {
  const clock = new SetClock();
  const epoch = clock.wallTime();
  const swept: number[] = [];
  const store = {
    sweep: async (now: number) => {
      swept.push(now - epoch);
      return 0;
    },
  } as unknown as Store;
  const health = { reading: (promise: Promise<unknown>) => promise } as unknown as Health;
  const sweeper = new Sweeper({ clock, store, health });
  onTestFinished(() => sweeper.stop());
  sweeper.start();
  return { clock, swept };
}

test('expired requests are deleted once a minute', async () => {
  const { clock, swept } = sweeping();
  await clock.advance(2 * MINUTE);
  expect(swept).toEqual([MINUTE, 2 * MINUTE]);
});

test('after the clock is set forward, nothing is deleted for an hour', async () => {
  const { clock, swept } = sweeping();
  clock.setBy = 7 * DAY;
  await clock.advance(59 * MINUTE);
  expect(swept).toEqual([]);
  clock.setBy = 0;
  await clock.advance(2 * MINUTE);
  expect(swept).toEqual([61 * MINUTE]);
});

test('a clock that stays ahead is trusted after an hour', async () => {
  const { clock, swept } = sweeping();
  clock.setBy = 7 * DAY;
  await clock.advance(61 * MINUTE);
  expect(swept).toEqual([7 * DAY + 61 * MINUTE]);
});
