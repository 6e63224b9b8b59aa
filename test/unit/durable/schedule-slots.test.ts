import { describe, expect, test } from 'vitest';
import { parseCron, type Slots } from '../../../src/durable/schedules/cron.ts';
import { dueSlot } from '../../../src/durable/schedules/due-slot.ts';

const utc = (text: string) => Date.parse(`${text}Z`);
const shown = (at: number | undefined) =>
  at === undefined ? undefined : new Date(at).toISOString().slice(0, 16);

describe('a cron expression', () => {
  test('has a next and a latest slot; a slot itself is the latest', () => {
    const slots = parseCron('*/2 * * * *', 'UTC');
    expect(shown(slots.next(utc('2026-01-01T00:00:00')))).toBe('2026-01-01T00:02');
    expect(shown(slots.latest(utc('2026-01-01T00:03:59')))).toBe('2026-01-01T00:02');
    expect(shown(slots.latest(utc('2026-01-01T00:02:00')))).toBe('2026-01-01T00:02');
  });

  test('follows the changes of a time zone', () => {
    const slots = parseCron('30 2 * * *', 'Europe/Berlin');
    const runs: Array<string | undefined> = [];
    let at = utc('2026-03-27T12:00:00');
    for (let i = 0; i < 3; i++) {
      at = slots.next(at) ?? Number.NaN;
      runs.push(shown(at));
    }
    // On the 29th clocks go from 02:00 to 03:00: 02:30 does not exist, and the run comes at 03:00 instead.
    expect(runs).toEqual(['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30']);
    const october = slots.next(utc('2026-10-24T12:00:00')) ?? 0;
    const after = slots.next(october) ?? 0;
    // 02:30 comes twice on the 25th: one run.
    expect(shown(october)?.slice(0, 10)).toBe('2026-10-25');
    expect(shown(after)?.slice(0, 10)).toBe('2026-10-26');
  });

  test.each([
    ['61 * * * *', 'UTC', 'CronPattern'],
    ['* * *', 'UTC', 'CronPattern'],
    ['* * * * * * *', 'UTC', 'CronPattern'],
    ['whenever', 'UTC', 'CronPattern'],
    ['* * * * *', 'Mars/Olympus', 'Mars/Olympus'],
  ])('%j in %s is refused', (expression, timezone, why) =>
    expect(() => parseCron(expression, timezone)).toThrow(why),
  );
});

describe('the due slot', () => {
  const slots: Slots = parseCron('0 * * * *', 'UTC');
  const noon = utc('2026-01-01T12:00:00');
  const hour = 3_600_000;

  test('is the slot since the last run, once', () => {
    const watched = { catchup: 'none' as const, watchedSince: noon - 1 };
    expect(dueSlot(slots, { ...watched, lastSlotAt: noon - hour }, noon)).toBe(noon);
    expect(dueSlot(slots, { ...watched, lastSlotAt: noon }, noon + 1)).toBeUndefined();
    expect(dueSlot(slots, { ...watched, lastSlotAt: undefined }, noon)).toBe(noon);
  });

  test('after a time without a process: the latest slot, or none', () => {
    const back = { lastSlotAt: noon - 5 * hour, watchedSince: noon + hour / 2 };
    expect(dueSlot(slots, { ...back, catchup: 'latest' }, noon + hour / 2)).toBe(noon);
    expect(dueSlot(slots, { ...back, catchup: 'none' }, noon + hour / 2)).toBeUndefined();
    expect(dueSlot(slots, { ...back, catchup: 'none' }, noon + hour)).toBe(noon + hour);
  });

  test('a new schedule has missed no slot', () =>
    expect(
      dueSlot(slots, { catchup: 'latest', lastSlotAt: undefined, watchedSince: noon + 1 }, noon + 1),
    ).toBeUndefined());

  test('a clock that was set back runs no slot twice', () =>
    expect(
      dueSlot(slots, { catchup: 'latest', lastSlotAt: noon, watchedSince: 0 }, noon - hour / 2),
    ).toBeUndefined());
});
