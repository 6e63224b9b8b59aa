import { describe, expect, test } from 'vitest';
import { Chooser } from '../../src/policies/targets/choose.ts';
import { Load } from '../../src/policies/targets/load.ts';

interface Options {
  readonly weight?: number;
  readonly tier?: number;
  readonly usableAt?: number;
  readonly refuses?: boolean;
}

const candidate = (name: string, { weight = 1, tier = 1, usableAt = 0, refuses = false }: Options = {}) => ({
  name,
  load: new Load({ weight, tier }),
  usableAt,
  refuses,
});

type Named = ReturnType<typeof candidate>;

/** How often each is chosen in `times` choices. `sent`: what happens to an attempt. */
function shares(all: readonly Named[], times: number, sent: (one: Named) => void = () => {}) {
  const chooser = new Chooser();
  const counts: Record<string, number> = Object.fromEntries(all.map(({ name }) => [name, 0]));
  for (let i = 0; i < times; i++) {
    const one = chooser.choose(all, 0) as Named;
    counts[one.name] = (counts[one.name] as number) + 1;
    sent(one);
  }
  return counts;
}

describe('shares', () => {
  test.each([
    [[1, 1, 1], 300, { 0: 100, 1: 100, 2: 100 }],
    [[2, 1], 300, { 0: 200, 1: 100 }],
    [[100, 1], 1_010, { 0: 1_000, 1: 10 }],
  ])('weights %j get exactly their share of %i calls', (weights, times, expected) => {
    expect(
      shares(
        weights.map((weight, i) => candidate(String(i), { weight })),
        times,
      ),
    ).toEqual(expected);
  });

  test('they hold with attempts in flight, however few', () => {
    const open: Named[] = [];
    const all = [candidate('a', { weight: 10 }), candidate('b')];
    const counts = shares(all, 1_100, (one) => {
      one.load.begin();
      open.push(one);
      if (open.length > 6) open.shift()?.load.end();
    });
    expect(counts['b']).toBeGreaterThanOrEqual(90);
    expect(counts['b']).toBeLessThanOrEqual(110);
  });

  test('a target ten times slower gets about a tenth', () => {
    const [fast, slow] = [candidate('fast'), candidate('slow')];
    const due: { at: number; one: Named }[] = [];
    let now = 0;
    const counts = shares([fast, slow], 2_000, (one) => {
      one.load.begin();
      due.push({ at: now + (one === slow ? 200 : 20), one });
      now++;
      for (const item of due.filter(({ at }) => at <= now)) {
        item.one.load.end();
        due.splice(due.indexOf(item), 1);
      }
    });
    expect(counts['slow']).toBeLessThan(400);
    expect(counts['slow']).toBeGreaterThan(100);
  });

  test('a target that fails at once attracts no calls, although it has none in flight', () => {
    const [failing, busy] = [candidate('failing'), candidate('busy')];
    const counts = shares([failing, busy], 100, (one) => {
      if (one === failing) one.load.fail(0);
      else one.load.begin();
    });
    expect(counts['failing']).toBeLessThanOrEqual(52);
  });

  test('one that was away takes its share again, and does not catch up', () => {
    const chooser = new Chooser();
    const [here, away] = [candidate('here'), candidate('away')];
    for (let i = 0; i < 100; i++) expect(chooser.choose([here], 0)).toBe(here);
    const next = Array.from({ length: 10 }, () => chooser.choose([here, away], 0)?.name);
    expect(next.filter((name) => name === 'away')).toHaveLength(5);
  });
});

describe('tiers', () => {
  test('a higher tier gets nothing while a lower one can take the call, now or within 250 ms', () => {
    const chooser = new Chooser();
    const expensive = candidate('expensive', { tier: 2 });
    expect(chooser.choose([candidate('cheap'), expensive], 0)?.name).toBe('cheap');
    expect(chooser.choose([candidate('cheap', { usableAt: 100 }), expensive], 0)?.name).toBe('cheap');
    expect(chooser.choose([candidate('cheap', { usableAt: 300 }), expensive], 0)?.name).toBe('expensive');
    const refusing = candidate('cheap', { usableAt: 100, refuses: true });
    expect(chooser.choose([refusing, expensive], 0)?.name).toBe('expensive');
  });

  test('if none can take it, it waits at the first that can; without candidates there is none', () => {
    const late = candidate('late', { usableAt: 900 });
    const soon = candidate('soon', { usableAt: 800, tier: 2 });
    expect(new Chooser().choose([late, soon], 0)).toBe(soon);
    expect(new Chooser().choose([], 0)).toBeUndefined();
  });

  test('it waits longer at one that lets it wait rather than be refused by one that can take it sooner', () => {
    const waits = candidate('waits', { usableAt: 900 });
    const refuses = candidate('refuses', { usableAt: 100, refuses: true });
    const refusesLater = candidate('refuses later', { usableAt: 500, refuses: true });
    expect(new Chooser().choose([refuses, waits], 0)).toBe(waits);
    expect(new Chooser().choose([refusesLater, refuses], 0)).toBe(refuses);
  });
});
