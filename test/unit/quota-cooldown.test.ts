import { describe, expect, test } from 'vitest';
import { type Throttling, Cooldown } from '../../src/policies/quota/cooldown.ts';
import { Throughput } from '../../src/policies/quota/throughput.ts';

const cooldownWith = (roll = 0, served = new Throughput(), whole = false) =>
  new Cooldown(() => roll, served, whole);

const refusal = (startedAt: number, changes: Partial<Throttling> = {}): Throttling => ({
  cause: 'retry_after',
  askedMs: 60_000,
  startedAt,
  scope: 'GET /a',
  ...changes,
});

/** Two refusals in a row, the second answered at `now`. */
function close(cooldown: Cooldown, now: number, changes: Partial<Throttling> = {}): void {
  cooldown.refused(refusal(now - 1, changes), now);
  cooldown.refused(refusal(now - 0.5, changes), now);
}

/** Until 4 s calls are refused by chance: this share of them. */
function erratic(cooldown: Cooldown, share: number): void {
  for (let now = 0; now < 4_000; now += 10) {
    if (now % Math.round(10 / share) === 0) cooldown.refused(refusal(now), now + 1);
    else cooldown.answered(now, now + 1);
  }
}

/** As many refusals in a row as it takes; the last is answered at `now`. */
function closeErratic(cooldown: Cooldown, now: number, changes: Partial<Throttling> = {}): void {
  for (let n = 7; n >= 0 && !cooldown.isActive; n--) cooldown.refused(refusal(now - n, changes), now);
  expect(cooldown.isActive).toBe(true);
}

describe('evidence', () => {
  test('one refusal among successes closes nothing; two in a row do', () => {
    const cooldown = cooldownWith();
    cooldown.answered(0, 1);
    expect(cooldown.refused(refusal(2), 3)).toBe(false);
    expect(cooldown.readyAt(5, 3, 0)).toBe(-Infinity);
    cooldown.answered(4, 5);
    const other = cooldownWith();
    other.answered(4, 5);
    expect(other.refused(refusal(6), 7)).toBe(false);
    expect(other.refused(refusal(8), 9)).toBe(true);
    expect([cooldown.isActive, other.isActive]).toEqual([false, true]);
  });

  test('a success that left before the first refusal contradicts nothing', () => {
    const cooldown = cooldownWith();
    cooldown.refused(refusal(10), 12);
    cooldown.answered(9, 13);
    expect(cooldown.refused(refusal(14), 15)).toBe(true);
  });

  test('an API that refuses by chance must refuse more often in a row', () => {
    const cooldown = cooldownWith();
    let now = 0;
    for (let n = 0; n < 40; n++) {
      cooldown.refused(refusal(now, { cause: 'throttled', askedMs: undefined }), now + 1);
      cooldown.answered(now + 2, now + 3);
      now += 10;
    }
    for (let n = 0; n < 7; n++) expect(cooldown.refused(refusal(now++), now++)).toBe(false);
    expect(cooldown.refused(refusal(now++), now++)).toBe(true);
  });

  test('many calls need more refusals, because bad luck starts a cooldown once a minute at most', () => {
    const served = new Throughput();
    const cooldown = cooldownWith(0, served);
    for (let i = 0; i < 20; i++) served.count(500);
    for (let n = 0; n < 2; n++) expect(cooldown.refused(refusal(600 + n), 600 + n)).toBe(false);
    expect(cooldown.refused(refusal(604), 604)).toBe(true);
  });

  test('many replicas need more refusals, because the bad luck of one holds back all', () => {
    const replicas = { count: 80, changed: () => {}, released: () => {} };
    const served = new Throughput();
    const cooldown = new Cooldown(() => 0, served, false, replicas);
    for (let i = 0; i < 20; i++) served.count(500);
    for (let n = 0; n < 3; n++) expect(cooldown.refused(refusal(600 + n), 600 + n)).toBe(false);
    expect(cooldown.refused(refusal(604), 604)).toBe(true);
  });

  test('never more than eight', () => {
    const served = new Throughput();
    const cooldown = cooldownWith(0, served);
    erratic(cooldown, 0.5);
    for (let i = 0; i < 1_000; i++) served.count(10_000);
    let inRow = 1;
    while (!cooldown.refused(refusal(10_000 + inRow), 10_000 + inRow)) inRow++;
    expect(inRow).toBe(8);
  });

  test('a refusal of more than a minute ago does not count', () => {
    const cooldown = cooldownWith();
    cooldown.refused(refusal(0), 1);
    expect(cooldown.refused(refusal(70_000), 70_001)).toBe(false);
  });

  test('of a whole credential it needs three scopes, or two with two refusals each', () => {
    const three = cooldownWith(0, undefined, true);
    for (const [at, scope] of ['a', 'a', 'a', 'b'].entries())
      expect(three.refused(refusal(at, { scope }), at)).toBe(at === 3);
    const wide = cooldownWith(0, undefined, true);
    for (const [at, scope] of ['a', 'b', 'c'].entries())
      expect(wide.refused(refusal(at, { scope }), at)).toBe(at === 2);
    const one = cooldownWith(0, undefined, true);
    for (let at = 0; at < 20; at++) expect(one.refused(refusal(at, { scope: 'a' }), at)).toBe(false);
  });

  test('a quota that waiting does not bring back closes at once', () => {
    const cooldown = cooldownWith();
    expect(cooldown.refused(refusal(0, { cause: 'permanent' }), 1)).toBe(true);
    expect(cooldown.remainingMs(1)).toBe(300_000);
    expect(cooldown.knownAt(1, 1, 0)).toBe(300_001);
  });
});

describe('probes of a cooldown', () => {
  test('go after a second, then ever more seldom: at most four in the first minute', () => {
    const cooldown = cooldownWith();
    close(cooldown, 0, { askedMs: 900_000 });
    const probes: number[] = [];
    for (let now = 0; now <= 120_000; now += 10) {
      if (cooldown.readyAt(0, now, 0) > now) continue;
      expect(cooldown.admit(now)).toBe(true);
      probes.push(now);
      cooldown.refused(refusal(now, { askedMs: 900_000 - now }), now + 5);
    }
    expect(probes).toEqual([1_000, 5_010, 21_020, 46_030, 71_040, 96_050]);
  });

  test('a probe is sent at the time that the upstream named', () => {
    const cooldown = cooldownWith();
    close(cooldown, 0, { askedMs: 3_000 });
    cooldown.admit(1_000);
    cooldown.refused(refusal(1_000, { askedMs: 2_000 }), 1_005);
    expect(cooldown.readyAt(0, 1_005, 0)).toBe(3_005);
  });

  test('a probe that hangs is followed by others', () => {
    const cooldown = cooldownWith();
    close(cooldown, 0);
    cooldown.admit(1_000);
    expect(cooldown.readyAt(0, 1_001, 0)).toBe(5_000);
  });

  test('after a probe without a result, the next call is the probe', () => {
    const cooldown = cooldownWith();
    close(cooldown, 0);
    cooldown.admit(1_000);
    cooldown.releaseProbe(1_200);
    expect(cooldown.readyAt(0, 1_200, 0)).toBe(1_200);
    expect(cooldown.admit(1_200)).toBe(true);
  });

  test('an early answer to a probe shows that the limit was wrong: every call passes at once', () => {
    const cooldown = cooldownWith();
    close(cooldown, 0);
    cooldown.admit(1_000);
    cooldown.answered(1_000, 1_200);
    expect(cooldown.isOff).toBe(true);
  });

  test('an answer to an attempt that left before the cooldown ends nothing', () => {
    const cooldown = cooldownWith();
    close(cooldown, 100);
    cooldown.answered(99.9, 200);
    expect(cooldown.isActive).toBe(true);
  });

  test('a scope without evidence has probes of its own', () => {
    const cooldown = cooldownWith(0, undefined, true);
    for (const scope of ['a', 'b', 'c']) cooldown.refused(refusal(1, { scope }), 2);
    expect([cooldown.isUncovered('a'), cooldown.isUncovered('d')]).toEqual([false, true]);
    expect(cooldown.readyAt(3, 3, 0, true)).toBe(-Infinity);
    expect(cooldown.admit(3, true)).toBe(true);
    expect(cooldown.readyAt(0, 4, 0, true)).toBe(1_002);
    cooldown.refused(refusal(3, { scope: 'd' }), 5);
    expect(cooldown.isUncovered('d')).toBe(false);
  });
});

describe('calls that would wait too long', () => {
  test('is not refused for a belief that no probe has tested', () => {
    const cooldown = cooldownWith();
    close(cooldown, 0);
    expect(cooldown.knownAt(3, 1, 0)).toBe(-Infinity);
    cooldown.admit(1_000);
    cooldown.refused(refusal(1_000), 1_005);
    expect(cooldown.knownAt(0, 1_005, 0)).toBe(5_005);
    expect(cooldown.knownAt(1, 1_005, 0)).toBe(61_005);
  });
});

test('after the cooldown calls pass at a growing rate, until it is off', () => {
  const cooldown = cooldownWith();
  close(cooldown, 0, { askedMs: 900 });
  expect(cooldown.admit(900)).toBe(true);
  cooldown.answered(900, 1_000);
  expect(cooldown.isActive).toBe(false);
  expect(cooldown.readyAt(0, 1_000, 0)).toBe(1_000);
  expect(cooldown.admit(1_000)).toBe(false);
  expect(cooldown.readyAt(0, 1_000, 0)).toBe(1_100);
  expect(cooldown.readyAt(0, 2_000, 0)).toBe(1_050);
  // Calls never exceed a rate that is known to be too fast.
  expect(cooldown.readyAt(0, 2_000, 700)).toBe(1_700);
  cooldown.idle(5_999);
  expect(cooldown.isOff).toBe(false);
  cooldown.idle(6_000);
  expect(cooldown.isOff).toBe(true);
});

test('while calls go one at a time, refusals in a row close it again, and a single one does not', () => {
  const cooldown = cooldownWith();
  close(cooldown, 0, { askedMs: 900 });
  cooldown.admit(900);
  cooldown.answered(900, 1_000);
  cooldown.refused(refusal(1_001), 1_002);
  expect(cooldown.isActive).toBe(false);
  cooldown.refused(refusal(1_101), 1_102);
  expect(cooldown.isActive).toBe(true);
});

test('past the named time nothing is known while a probe is under way, however firm the belief was', () => {
  const cooldown = cooldownWith();
  close(cooldown, 0, { askedMs: 1_000 });
  cooldown.admit(1_100);
  cooldown.refused(refusal(1_100, { askedMs: 1_000 }), 1_101);
  expect(cooldown.knownAt(0, 1_200, 0)).toBeGreaterThan(1_200);
  cooldown.admit(2_300);
  expect(cooldown.knownAt(0, 2_301, 0)).toBe(-Infinity);
});

describe('an API that refuses at random', () => {
  test('is opened at once when a short closure is over: it was bad luck', () => {
    const cooldown = cooldownWith();
    erratic(cooldown, 0.25);
    closeErratic(cooldown, 5_000, { askedMs: 1_000 });
    cooldown.admit(6_000);
    cooldown.answered(6_000, 6_001);
    expect(cooldown.isOff).toBe(true);
  });

  test('also when some probes were refused, as many as are usual', () => {
    const stateAfter = (failed: number) => {
      const cooldown = cooldownWith();
      erratic(cooldown, 0.25);
      closeErratic(cooldown, 5_000, { askedMs: 300 });
      for (let n = 1; n <= failed; n++) {
        cooldown.admit(5_000 + 300 * n);
        cooldown.refused(refusal(5_000 + 300 * n, { askedMs: 300 }), 5_000 + 300 * n);
      }
      cooldown.admit(8_000);
      cooldown.answered(8_000, 8_001);
      return cooldown.isOff;
    };
    expect([stateAfter(2), stateAfter(5)]).toEqual([true, false]);
  });

  test('ramps up after a long cooldown, and one refusal does not start another', () => {
    const cooldown = cooldownWith();
    erratic(cooldown, 0.25);
    closeErratic(cooldown, 5_000, { askedMs: 6_000 });
    cooldown.admit(11_000);
    cooldown.answered(11_000, 11_001);
    expect([cooldown.isOff, cooldown.isActive]).toEqual([false, false]);
    cooldown.refused(refusal(11_100), 11_101);
    expect(cooldown.isActive).toBe(false);
    closeErratic(cooldown, 11_200);
  });
});

test('a busy upstream starts at half of its earlier rate', () => {
  const served = new Throughput();
  const cooldown = cooldownWith(0, served);
  for (let i = 0; i < 200; i++) served.count(500);
  // At this rate two refusals in a row are bad luck.
  cooldown.refused(refusal(898), 899);
  close(cooldown, 900, { askedMs: 500 });
  cooldown.admit(1_400);
  cooldown.answered(1_400, 1_400);
  expect(cooldown.readyAt(0, 1_400, 0)).toBe(1_410);
  expect(cooldown.readyAt(9, 1_400, 0)).toBe(1_500);
  // Up to what it served it doubles, beyond that it grows slowly.
  expect(cooldown.readyAt(0, 2_400, 0)).toBe(1_405);
  expect(cooldown.readyAt(0, 3_400, 0)).toBeCloseTo(1_400 + 5 / 1.1);
});

test('without Retry-After: short, longer each time, and later a tenth of its age', () => {
  const cooldown = cooldownWith();
  const word = { cause: 'throttled', askedMs: undefined } as const;
  close(cooldown, 0, word);
  const waits: number[] = [];
  let now = 0;
  for (let n = 0; n < 8; n++) {
    const at = cooldown.readyAt(0, now, 0);
    waits.push(at - now);
    cooldown.admit(at);
    cooldown.refused(refusal(at, word), at);
    now = at;
  }
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
  cooldown.refused(refusal(300_000, word), 300_000);
  expect(cooldown.readyAt(0, 300_000, 0)).toBe(330_000);
  cooldown.answered(330_000, 330_000);
  close(cooldown, 340_000, word);
  expect(cooldown.readyAt(0, 340_000, 0)).toBe(340_100);
});

test('a refusal of an attempt that left before the cooldown can only move its end later', () => {
  const cooldown = cooldownWith();
  close(cooldown, 10, { askedMs: 5_000 });
  cooldown.refused(refusal(5, { askedMs: 1_000 }), 20);
  expect(cooldown.remainingMs(20)).toBe(4_990);
  cooldown.refused(refusal(5, { askedMs: 9_000 }), 20);
  expect(cooldown.remainingMs(20)).toBe(9_000);
  expect(cooldown.readyAt(0, 20, 0)).toBe(1_010);
});

test('a tenth at most is added, so that not all come at once', () => {
  const cooldown = cooldownWith(0.999);
  close(cooldown, 0, { askedMs: 5_000 });
  expect(cooldown.remainingMs(0)).toBeCloseTo(5_499.5);
  expect(cooldown.readyAt(0, 0, 0)).toBeCloseTo(1_099.9);
});

test('an absurd wait is taken for an hour', () => {
  const cooldown = cooldownWith();
  close(cooldown, 0, { askedMs: 1e10 });
  expect(cooldown.remainingMs(0)).toBe(3_600_000);
});
