import { expect, test } from 'vitest';
import { planOf } from '../../src/fleet/plan.ts';
import { Share } from '../../src/fleet/share.ts';

/** 10 ms a unit, for two replicas: 20 ms. */
const PLAN = planOf({ limit: 100, periodMs: 1_000, burst: 5 });

/** The first unit is there after half of the time for one. */
const START = 10;

const used = (share: Share, now: number): number => share.use(1, share.readyAt(0, 1, now));

test('units that are reported ahead are not reported again', () => {
  const share = new Share(PLAN, { replicas: 2, left: 1, random: 0.5 }, 0);
  expect(share.unreported(START + 100, Infinity, 0)).toBe(5);
  share.report(START + 100, Infinity, 0);
  expect(share.unreported(START + 100, Infinity, 0)).toBe(0);
  expect(share.reportedAhead(0)).toBe(5);
  let now = START;
  for (let i = 0; i < 5; i++, now += 20) expect(used(share, now)).toBe(0);
  expect(used(share, now)).toBe(1);
});

test('no more is reported than is needed', () => {
  const share = new Share(PLAN, { replicas: 2, left: 1, random: 0.5 }, 0);
  expect(share.unreported(START + 100, 0.01, 0)).toBe(1);
  share.report(START + 100, 0.01, 0);
  expect(share.unreported(START + 200, Infinity, 0)).toBe(5);
});

test('units that were reported, and not used at their time, do not add up', () => {
  const share = new Share(PLAN, { replicas: 2, left: 1, random: 0.5 }, 0);
  share.report(START + 1_000, Infinity, 0);
  // 20 ms are left of the time that was reported, and the unit of this moment.
  expect(share.reportedAhead(START + 980)).toBe(2);
  expect(share.isOver(START + 980)).toBe(false);
  expect(share.isOver(START + 1_000)).toBe(true);
});

test('time refills the units that an engine does not know of while it is gone', () => {
  const share = new Share(PLAN, { replicas: 2, left: 1, random: 0.5 }, 0);
  share.owe(3, 0);
  expect(share.owed(30)).toBe(1.5);
  share.owe(1, 30);
  expect(share.owed(30)).toBe(2.5);
  expect(share.owed(500)).toBe(0);
});

test('units that are left are there at once, and those that were used in advance are waited for', () => {
  const daily = planOf({ limit: 100, periodMs: 86_400_000, burst: 100 });
  const rich = new Share(daily, { replicas: 2, left: 41, random: 0.9 }, 0);
  for (let i = 0; i < 20; i++) expect(rich.readyAt(0, 1, 0)).toBe(rich.use(1, 0) - 1);
  expect(rich.readyAt(0, 1, 0)).toBeGreaterThan(0);
  expect(new Share(PLAN, { replicas: 2, left: -10, random: 0.25 }, 0).readyAt(0, 1, 0)).toBe(105);
});
