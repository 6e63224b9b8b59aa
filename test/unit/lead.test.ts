import { expect, test } from 'vitest';
import { Lead } from '../../src/fleet/lead.ts';
import { AHEAD_MS } from '../../src/fleet/ledger.ts';

/** The engine has replied at `at` that units are given `ms` ahead. */
function hear(lead: Lead, ms: number, at: number): void {
  const now = 1e12 + at;
  lead.hear({ now, granted: 0, from: now, ledger: { tat: now + ms, version: 1, holdUntil: 0 } }, at);
}

test('the last lead is that of the last reply, and decays when it is old', () => {
  const lead = new Lead();
  expect(lead.last(0)).toBe(0);
  hear(lead, 400, 0);
  hear(lead, 300, 100);
  expect(lead.last(100 + AHEAD_MS)).toBe(300);
  expect(lead.last(100 + AHEAD_MS + 120)).toBe(180);
  expect(lead.last(5_000)).toBe(0);
  // An engine whose theoretical arrival time is past, and one that owes much.
  hear(lead, -50, 6_000);
  expect(lead.last(6_000)).toBe(0);
  hear(lead, 10_000, 6_000);
  expect(lead.last(6_000)).toBe(AHEAD_MS);
});

test('the longest lead counts for some time', () => {
  const lead = new Lead();
  hear(lead, 400, 0);
  hear(lead, 20, 1_000);
  expect(lead.longest(1_500)).toBe(400);
  expect(lead.longest(1_600)).toBe(300);
  hear(lead, 30, 1_600);
  expect(lead.longest(1_600)).toBe(30);
});

test('after a share, the lead may grow slowly from what it was', () => {
  const lead = new Lead();
  expect(lead.most(0)).toBe(Infinity);
  hear(lead, 100, 0);
  lead.share(0);
  expect(lead.most(0)).toBe(150);
  // Units that others lease in the meantime change nothing.
  hear(lead, 400, 200);
  expect(lead.most(400)).toBe(250);
  expect(lead.most(1_400)).toBe(Infinity);
  // The query changes nothing.
  expect(lead.most(400)).toBe(250);
});
