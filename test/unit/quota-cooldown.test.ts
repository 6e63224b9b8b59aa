import { describe, expect, test } from 'vitest';
import { type Closing, Gate } from '../../src/policies/quota/cooldown.ts';
import { Throughput } from '../../src/policies/quota/throughput.ts';

const gateOf = (roll = 0, served = new Throughput(), whole = false) => new Gate(() => roll, served, whole);

const refusal = (startedAt: number, changes: Partial<Closing> = {}): Closing => ({
  cause: 'retry_after',
  askedMs: 60_000,
  startedAt,
  scope: 'GET /a',
  ...changes,
});

/** Two refusals in a row, the second answered at `now`. */
function close(gate: Gate, now: number, changes: Partial<Closing> = {}): void {
  gate.refused(refusal(now - 1, changes), now);
  gate.refused(refusal(now - 0.5, changes), now);
}

/** Until 4 s calls are refused by chance: this share of them. */
function erratic(gate: Gate, share: number): void {
  for (let now = 0; now < 4_000; now += 10) {
    if (now % Math.round(10 / share) === 0) gate.refused(refusal(now), now + 1);
    else gate.answered(now, now + 1);
  }
}

/** As many refusals in a row as it takes; the last is answered at `now`. */
function closeErratic(gate: Gate, now: number, changes: Partial<Closing> = {}): void {
  for (let n = 7; n >= 0 && !gate.closed; n--) gate.refused(refusal(now - n, changes), now);
  expect(gate.closed).toBe(true);
}

describe('evidence', () => {
  test('one refusal among successes closes nothing; two in a row do', () => {
    const gate = gateOf();
    gate.answered(0, 1);
    expect(gate.refused(refusal(2), 3)).toBe(false);
    expect(gate.readyAt(5, 3, 0)).toBe(-Infinity);
    gate.answered(4, 5);
    const other = gateOf();
    other.answered(4, 5);
    expect(other.refused(refusal(6), 7)).toBe(false);
    expect(other.refused(refusal(8), 9)).toBe(true);
    expect([gate.closed, other.closed]).toEqual([false, true]);
  });

  test('a success that left before the first refusal contradicts nothing', () => {
    const gate = gateOf();
    gate.refused(refusal(10), 12);
    gate.answered(9, 13);
    expect(gate.refused(refusal(14), 15)).toBe(true);
  });

  test('an API that refuses by chance must refuse more often in a row', () => {
    const gate = gateOf();
    let now = 0;
    for (let n = 0; n < 40; n++) {
      gate.refused(refusal(now, { cause: 'throttled', askedMs: undefined }), now + 1);
      gate.answered(now + 2, now + 3);
      now += 10;
    }
    for (let n = 0; n < 7; n++) expect(gate.refused(refusal(now++), now++)).toBe(false);
    expect(gate.refused(refusal(now++), now++)).toBe(true);
  });

  test('where calls are many more are needed, because bad luck closes a gate once a minute at most', () => {
    const served = new Throughput();
    const gate = gateOf(0, served);
    for (let i = 0; i < 20; i++) served.count(500);
    for (let n = 0; n < 2; n++) expect(gate.refused(refusal(600 + n), 600 + n)).toBe(false);
    expect(gate.refused(refusal(604), 604)).toBe(true);
  });

  test('never more than eight', () => {
    const served = new Throughput();
    const gate = gateOf(0, served);
    erratic(gate, 0.5);
    for (let i = 0; i < 1_000; i++) served.count(10_000);
    let inRow = 1;
    while (!gate.refused(refusal(10_000 + inRow), 10_000 + inRow)) inRow++;
    expect(inRow).toBe(8);
  });

  test('a refusal of more than a minute ago does not count', () => {
    const gate = gateOf();
    gate.refused(refusal(0), 1);
    expect(gate.refused(refusal(70_000), 70_001)).toBe(false);
  });

  test('of a whole credential it needs three scopes, or two with two refusals each', () => {
    const three = gateOf(0, undefined, true);
    for (const [at, scope] of ['a', 'a', 'a', 'b'].entries())
      expect(three.refused(refusal(at, { scope }), at)).toBe(at === 3);
    const wide = gateOf(0, undefined, true);
    for (const [at, scope] of ['a', 'b', 'c'].entries())
      expect(wide.refused(refusal(at, { scope }), at)).toBe(at === 2);
    const one = gateOf(0, undefined, true);
    for (let at = 0; at < 20; at++) expect(one.refused(refusal(at, { scope: 'a' }), at)).toBe(false);
  });

  test('a quota that waiting does not bring back closes at once', () => {
    const gate = gateOf();
    expect(gate.refused(refusal(0, { cause: 'permanent' }), 1)).toBe(true);
    expect(gate.closedMs(1)).toBe(300_000);
    expect(gate.knownAt(1, 1, 0)).toBe(300_001);
  });
});

describe('probes of a closed gate', () => {
  test('go after a second, then ever more seldom: at most four in the first minute', () => {
    const gate = gateOf();
    close(gate, 0, { askedMs: 900_000 });
    const probes: number[] = [];
    for (let now = 0; now <= 120_000; now += 10) {
      if (gate.readyAt(0, now, 0) > now) continue;
      expect(gate.pass(now)).toBe(true);
      probes.push(now);
      gate.refused(refusal(now, { askedMs: 900_000 - now }), now + 5);
    }
    expect(probes).toEqual([1_000, 5_010, 21_020, 46_030, 71_040, 96_050]);
  });

  test('the time that the upstream named is kept: one goes then', () => {
    const gate = gateOf();
    close(gate, 0, { askedMs: 3_000 });
    gate.pass(1_000);
    gate.refused(refusal(1_000, { askedMs: 2_000 }), 1_005);
    expect(gate.readyAt(0, 1_005, 0)).toBe(3_005);
  });

  test('one that hangs is followed by others', () => {
    const gate = gateOf();
    close(gate, 0);
    gate.pass(1_000);
    expect(gate.readyAt(0, 1_001, 0)).toBe(5_000);
  });

  test('one that comes to nothing gives its place to the next', () => {
    const gate = gateOf();
    close(gate, 0);
    gate.pass(1_000);
    gate.voided(1_200);
    expect(gate.readyAt(0, 1_200, 0)).toBe(1_200);
    expect(gate.pass(1_200)).toBe(true);
  });

  test('one that is answered before the time proves the belief wrong: all pass at once', () => {
    const gate = gateOf();
    close(gate, 0);
    gate.pass(1_000);
    gate.answered(1_000, 1_200);
    expect(gate.isOpen).toBe(true);
  });

  test('an answer to what was on its way when it closed opens nothing', () => {
    const gate = gateOf();
    close(gate, 100);
    gate.answered(99.9, 200);
    expect(gate.closed).toBe(true);
  });

  test('a scope that the evidence does not cover has probes of its own', () => {
    const gate = gateOf(0, undefined, true);
    for (const scope of ['a', 'b', 'c']) gate.refused(refusal(1, { scope }), 2);
    expect([gate.isStranger('a'), gate.isStranger('d')]).toEqual([false, true]);
    expect(gate.readyAt(3, 3, 0, true)).toBe(-Infinity);
    expect(gate.pass(3, true)).toBe(true);
    expect(gate.readyAt(0, 4, 0, true)).toBe(1_002);
    gate.refused(refusal(3, { scope: 'd' }), 5);
    expect(gate.isStranger('d')).toBe(false);
  });
});

describe('who would wait too long', () => {
  test('is not refused for a belief that no probe has tested', () => {
    const gate = gateOf();
    close(gate, 0);
    expect(gate.knownAt(3, 1, 0)).toBe(-Infinity);
    gate.pass(1_000);
    gate.refused(refusal(1_000), 1_005);
    expect(gate.knownAt(0, 1_005, 0)).toBe(5_005);
    expect(gate.knownAt(1, 1_005, 0)).toBe(61_005);
  });
});

test('after the time one goes, and then ever more; then as before', () => {
  const gate = gateOf();
  close(gate, 0, { askedMs: 900 });
  expect(gate.pass(900)).toBe(true);
  gate.answered(900, 1_000);
  expect(gate.closed).toBe(false);
  expect(gate.readyAt(0, 1_000, 0)).toBe(1_000);
  expect(gate.pass(1_000)).toBe(false);
  expect(gate.readyAt(0, 1_000, 0)).toBe(1_100);
  expect(gate.readyAt(0, 2_000, 0)).toBe(1_050);
  // The pace stays below a rate that is known to be too fast.
  expect(gate.readyAt(0, 2_000, 700)).toBe(1_700);
  gate.idle(5_999);
  expect(gate.isOpen).toBe(false);
  gate.idle(6_000);
  expect(gate.isOpen).toBe(true);
});

test('while calls go one at a time, refusals in a row close it again, and a single one does not', () => {
  const gate = gateOf();
  close(gate, 0, { askedMs: 900 });
  gate.pass(900);
  gate.answered(900, 1_000);
  gate.refused(refusal(1_001), 1_002);
  expect(gate.closed).toBe(false);
  gate.refused(refusal(1_101), 1_102);
  expect(gate.closed).toBe(true);
});

test('past the named time nothing is known while a probe is under way, however firm the belief was', () => {
  const gate = gateOf();
  close(gate, 0, { askedMs: 1_000 });
  gate.pass(1_100);
  gate.refused(refusal(1_100, { askedMs: 1_000 }), 1_101);
  expect(gate.knownAt(0, 1_200, 0)).toBeGreaterThan(1_200);
  gate.pass(2_300);
  expect(gate.knownAt(0, 2_301, 0)).toBe(-Infinity);
});

describe('an API that refuses at random', () => {
  test('is opened at once when a short closure is over: it was bad luck', () => {
    const gate = gateOf();
    erratic(gate, 0.25);
    closeErratic(gate, 5_000, { askedMs: 1_000 });
    gate.pass(6_000);
    gate.answered(6_000, 6_001);
    expect(gate.isOpen).toBe(true);
  });

  test('also when some probes were refused, as many as are usual', () => {
    const stateAfter = (failed: number) => {
      const gate = gateOf();
      erratic(gate, 0.25);
      closeErratic(gate, 5_000, { askedMs: 300 });
      for (let n = 1; n <= failed; n++) {
        gate.pass(5_000 + 300 * n);
        gate.refused(refusal(5_000 + 300 * n, { askedMs: 300 }), 5_000 + 300 * n);
      }
      gate.pass(8_000);
      gate.answered(8_000, 8_001);
      return gate.isOpen;
    };
    expect([stateAfter(2), stateAfter(5)]).toEqual([true, false]);
  });

  test('goes on one at a time after a long closure, which one refusal does not close again', () => {
    const gate = gateOf();
    erratic(gate, 0.25);
    closeErratic(gate, 5_000, { askedMs: 6_000 });
    gate.pass(11_000);
    gate.answered(11_000, 11_001);
    expect([gate.isOpen, gate.closed]).toEqual([false, false]);
    gate.refused(refusal(11_100), 11_101);
    expect(gate.closed).toBe(false);
    closeErratic(gate, 11_200);
  });
});

test('a busy upstream goes on at half of what it served', () => {
  const served = new Throughput();
  const gate = gateOf(0, served);
  for (let i = 0; i < 200; i++) served.count(500);
  // At this rate two refusals in a row are bad luck.
  gate.refused(refusal(898), 899);
  close(gate, 900, { askedMs: 500 });
  gate.pass(1_400);
  gate.answered(1_400, 1_400);
  expect(gate.readyAt(0, 1_400, 0)).toBe(1_410);
  expect(gate.readyAt(9, 1_400, 0)).toBe(1_500);
  // Up to what it served it doubles, beyond that it grows slowly.
  expect(gate.readyAt(0, 2_400, 0)).toBe(1_405);
  expect(gate.readyAt(0, 3_400, 0)).toBeCloseTo(1_400 + 5 / 1.1);
});

test('without Retry-After: short, and longer each time; after long, a tenth of its age', () => {
  const gate = gateOf();
  const word = { cause: 'throttled', askedMs: undefined } as const;
  close(gate, 0, word);
  const waits: number[] = [];
  let now = 0;
  for (let n = 0; n < 8; n++) {
    const at = gate.readyAt(0, now, 0);
    waits.push(at - now);
    gate.pass(at);
    gate.refused(refusal(at, word), at);
    now = at;
  }
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
  gate.refused(refusal(300_000, word), 300_000);
  expect(gate.readyAt(0, 300_000, 0)).toBe(330_000);
  gate.answered(330_000, 330_000);
  close(gate, 340_000, word);
  expect(gate.readyAt(0, 340_000, 0)).toBe(340_100);
});

test('what was on its way when it closed knows at most of a later end', () => {
  const gate = gateOf();
  close(gate, 10, { askedMs: 5_000 });
  gate.refused(refusal(5, { askedMs: 1_000 }), 20);
  expect(gate.closedMs(20)).toBe(4_990);
  gate.refused(refusal(5, { askedMs: 9_000 }), 20);
  expect(gate.closedMs(20)).toBe(9_000);
  expect(gate.readyAt(0, 20, 0)).toBe(1_010);
});

test('a tenth at most is added, so that not all come at once', () => {
  const gate = gateOf(0.999);
  close(gate, 0, { askedMs: 5_000 });
  expect(gate.closedMs(0)).toBeCloseTo(5_499.5);
  expect(gate.readyAt(0, 0, 0)).toBeCloseTo(1_099.9);
});

test('an absurd wait is taken for an hour', () => {
  const gate = gateOf();
  close(gate, 0, { askedMs: 1e10 });
  expect(gate.closedMs(0)).toBe(3_600_000);
});
