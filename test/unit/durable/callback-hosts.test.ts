import { expect, onTestFinished, test } from 'vitest';
import { CallbackHosts } from '../../../src/app/durable/callback-delivery.ts';
import { RouteTable } from '../../../src/durable/route-table.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const OPTIONS = {
  allow: ['https://*.example.com'],
  secrets: [],
  allowPrivate: false,
  timeoutMs: 1_000,
  waitsMs: [1_000],
  deadlineMs: 60_000,
  retentionMs: 60_000,
  maxResultBytes: 1_024,
};

test('callback origins are named by clients: the least recently used are dropped', () => {
  const hosts = new CallbackHosts({ clock: new FakeClock(), random: seededRandom(1) });
  const table = new RouteTable(hosts);
  onTestFinished(() => table.close());
  table.setUp([], OPTIONS);
  const nameOf = (i: number) => `callback:https://a${i}.example.com`;
  const used = table.get(nameOf(0));
  for (let i = 1; i < 1_000; i++) {
    table.get(nameOf(i));
    expect(table.get(nameOf(0))).toBe(used);
  }
  expect(table.all.size).toBe(256);
  expect(table.all.has(nameOf(1))).toBe(false);
  expect(table.all.has(nameOf(999))).toBe(true);
});
