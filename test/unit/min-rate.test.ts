import { expect, test } from 'vitest';
import { MinRate } from '../../src/http/bodies/min-rate.ts';
import type { ClientResponse } from '../../src/server/client.ts';
import { watchSend } from '../../src/server/send-watch.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** 100 bytes in each window. */
const rule = () => new MinRate(10, 10_000, 0);

test('two slow windows in a row are too slow', () => {
  const rate = rule();
  expect([rate.tooSlow(99, true), rate.tooSlow(198, true)]).toEqual([false, true]);
});

test('the minimum itself is fast enough', () => {
  const rate = rule();
  expect([100, 200, 300, 400].map((moved) => rate.tooSlow(moved, true))).not.toContain(true);
});

test('a window without waiting, or with enough bytes, resets the count', () => {
  const rate = rule();
  expect(rate.tooSlow(1, true)).toBe(false);
  expect(rate.tooSlow(1, false)).toBe(false);
  expect(rate.tooSlow(2, true)).toBe(false);
  expect(rate.tooSlow(500, true)).toBe(false);
  expect(rate.tooSlow(501, true)).toBe(false);
  expect(rate.tooSlow(502, true)).toBe(true);
});

test('0 means no minimum', () => {
  const rate = new MinRate(0, 10_000, 0);
  expect([rate.tooSlow(0, true), rate.tooSlow(0, true), rate.tooSlow(0, true)]).not.toContain(true);
});

/** A response of which `taken` bytes have left and `left` wait. */
function watched(change: (res: { bytesSent: number; writableLength: number }) => void) {
  const clock = new FakeClock();
  const stalls: string[] = [];
  const res = { bytesSent: 0, writableLength: 500, socket: null, on: () => undefined };
  watchSend(res as unknown as ClientResponse, {
    clock,
    idleMs: 10_000,
    minBytesPerSecond: 10,
    onStall: ({ code, message }) => stalls.push(`${code}: ${message}`),
  });
  const window = async () => {
    change(res);
    await clock.advance(10_000);
  };
  return { stalls, window };
}

test('a client that reads few bytes of a waiting response in each window is disconnected', async () => {
  const { stalls, window } = watched((res) => {
    res.bytesSent += 50;
    res.writableLength -= 50;
  });
  await window();
  expect(stalls).toEqual([]);
  await window();
  expect(stalls).toEqual(['client_gone: the client read the response at less than 10 bytes per second']);
});

test('a stream whose upstream sends little is not disconnected', async () => {
  const { stalls, window } = watched((res) => {
    res.bytesSent += 5;
    res.writableLength = 0;
  });
  for (let windows = 0; windows < 5; windows++) await window();
  expect(stalls).toEqual([]);
});
