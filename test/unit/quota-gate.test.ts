import { expect, test } from 'vitest';
import { Gate } from '../../src/policies/quota/gate.ts';
import { Throughput } from '../../src/policies/quota/throughput.ts';

const gateOf = (roll = 0, served = new Throughput()) => new Gate(() => roll, served);

test('Retry-After closes it for that long, and up to a tenth more so that not all come at once', () => {
  const gate = gateOf();
  expect(gate.close({ cause: 'retry_after', askedMs: 5_000, startedAt: 0 }, 100)).toBe(true);
  expect(gate.readyAt(0, 100, 0)).toBe(5_100);
  const late = gateOf(0.999);
  late.close({ cause: 'retry_after', askedMs: 5_000, startedAt: 0 }, 100);
  expect(late.readyAt(0, 100, 0)).toBeCloseTo(5_599.5);
});

test('then one, and nobody else until it is answered; then ever faster; then as before', () => {
  const gate = gateOf();
  gate.close({ cause: 'retry_after', askedMs: 5_000, startedAt: 0 }, 0);
  expect(gate.pass(5_000)).toBe(true);
  expect(gate.readyAt(0, 5_000, 0)).toBe(Infinity);
  expect(gate.closedMs(5_000)).toBe(0);
  gate.answered(true, 5_200);
  expect(gate.closed).toBe(false);
  expect(gate.readyAt(0, 5_200, 0)).toBe(5_100);
  expect(gate.pass(5_200)).toBe(false);
  expect(gate.readyAt(0, 5_200, 0)).toBe(5_300);
  expect(gate.readyAt(0, 6_200, 0)).toBe(5_250);
  // What is known to be too fast is not gone beyond.
  expect(gate.readyAt(0, 6_200, 700)).toBe(5_900);
  expect(gate.readyAt(0, 10_200, 700)).toBe(5_900);
  gate.idle(10_199);
  expect(gate.isOpen).toBe(false);
  // As long as calls wait it stays paced; when nobody does, it is open.
  gate.idle(10_200);
  expect(gate.readyAt(0, 10_200, 700)).toBe(-Infinity);
  expect(gate.isOpen).toBe(true);
});

test('a busy upstream goes on at half of what it served', () => {
  const served = new Throughput();
  const gate = gateOf(0, served);
  for (let i = 0; i < 200; i++) served.count(500);
  gate.close({ cause: 'retry_after', askedMs: 1_000, startedAt: 0 }, 900);
  gate.pass(1_900);
  gate.answered(true, 1_900);
  expect(gate.readyAt(0, 1_900, 0)).toBe(1_910);
  expect(gate.readyAt(9, 1_900, 0)).toBe(2_000);
  // Up to what it served it doubles, beyond that it grows slowly.
  expect(gate.readyAt(0, 2_900, 0)).toBe(1_905);
  expect(gate.readyAt(0, 3_900, 0)).toBeCloseTo(1_900 + 5 / 1.1);
});

test('a probe that is throttled too closes it again; one that comes to nothing gives its place to the next', () => {
  const gate = gateOf();
  gate.close({ cause: 'retry_after', askedMs: 1_000, startedAt: 0 }, 0);
  gate.pass(1_000);
  expect(gate.close({ cause: 'retry_after', askedMs: 2_000, startedAt: 1_000 }, 1_100)).toBe(false);
  expect(gate.readyAt(0, 1_100, 0)).toBe(3_100);
  gate.pass(3_100);
  gate.voided(3_200);
  expect(gate.readyAt(0, 3_200, 0)).toBe(3_200);
  expect(gate.cause).toBe('retry_after');
  expect(gate.pass(3_200)).toBe(true);
});

test('without a word on how long: short, and longer each time; those on their way add nothing', () => {
  const gate = gateOf();
  const closed: number[] = [];
  let now = 0;
  for (let i = 0; i < 10; i++) {
    gate.close({ cause: 'throttled', startedAt: now }, now + 1);
    const at = gate.readyAt(0, now + 1, 0);
    closed.push(at - now - 1);
    // Twenty others left before it closed.
    for (let other = 0; other < 20; other++) gate.close({ cause: 'throttled', startedAt: now }, now + 2);
    expect(gate.readyAt(0, now + 2, 0)).toBe(at);
    gate.pass(at);
    now = at;
  }
  expect(closed).toEqual([100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000, 2_000, 2_000]);
  gate.answered(true, now);
  gate.close({ cause: 'throttled', startedAt: now }, now + 1);
  expect(gate.readyAt(0, now + 1, 0) - now - 1).toBe(100);
});

test('what left before it closed and says "too many" now says nothing new, whatever has become of the gate', () => {
  const gate = gateOf();
  gate.close({ cause: 'throttled', startedAt: 0 }, 10);
  gate.pass(110);
  gate.close({ cause: 'throttled', startedAt: 5 }, 120);
  expect(gate.readyAt(0, 120, 0)).toBe(Infinity);
  gate.answered(true, 130);
  gate.close({ cause: 'throttled', startedAt: 5 }, 140);
  expect(gate.closed).toBe(false);
});

test('the longest wait asked for counts, and a shorter one takes nothing back', () => {
  const gate = gateOf();
  gate.close({ cause: 'retry_after', askedMs: 5_000, startedAt: 0 }, 0);
  expect(gate.close({ cause: 'retry_after', askedMs: 1_000, startedAt: 0 }, 10)).toBe(false);
  expect(gate.readyAt(0, 10, 0)).toBe(5_000);
  gate.close({ cause: 'retry_after', askedMs: 9_000, startedAt: 0 }, 10);
  expect(gate.readyAt(0, 10, 0)).toBe(9_010);
});

test('an absurd wait is asked about once an hour; a quota that is used up for good every five minutes', () => {
  const gate = gateOf();
  gate.close({ cause: 'retry_after', askedMs: 1e10, startedAt: 0 }, 0);
  expect(gate.readyAt(0, 0, 0)).toBe(3_600_000);
  const spent = gateOf();
  spent.close({ cause: 'permanent', askedMs: 1_000, startedAt: 0 }, 0);
  expect(spent.readyAt(0, 0, 0)).toBe(300_000);
  expect(spent.cause).toBe('permanent');
});
