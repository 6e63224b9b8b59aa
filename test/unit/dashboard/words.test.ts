import { describe, expect, test } from 'vitest';
import { ago, because, count, countdown, duration, size } from '../../../src/admin/dashboard/words.js';

const NOW = Date.UTC(2026, 0, 1);

test.each([
  [-5, '0 ms'],
  [0.4, '0 ms'],
  [999, '999 ms'],
  [1_000, '1 s'],
  [1_640, '1.6 s'],
  [9_999, '9.9 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [200_000, '3 min 20 s'],
  [3_600_000, '1 h'],
  [3_661_000, '1 h 1 min'],
  [187_200_000, '2 d 4 h'],
  [Number.NaN, '–'],
])('%d ms: %s', (ms, text) => expect(duration(ms)).toBe(text));

describe('a countdown', () => {
  test.each([
    [NOW + 65_000, 'in 1 min 5 s'],
    // Rounded up, so that a future time is never "in 0 s".
    [NOW + 1, 'in 1 s'],
    [NOW + 2_001, 'in 3 s'],
    [NOW, 'now'],
    [NOW - 999, 'now'],
    [NOW - 1_000, 'due for 1 s'],
    [NOW - 61_500, 'due for 1 min 1 s'],
  ])('%d: %s', (at, text) => expect(countdown(at, NOW)).toBe(text));

  test.each([
    [NOW + 500, 'just now'],
    [NOW - 999, 'just now'],
    [NOW - 1_500, '1 s ago'],
    [NOW - 7_205_000, '2 h ago'],
  ])('%d: %s', (at, text) => expect(ago(at, NOW)).toBe(text));
});

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_024, '1.0 KiB'],
  [300_000, '293 KiB'],
  [1_572_864, '1.5 MiB'],
  [5e15, '4547 TiB'],
])('%d bytes: %s', (bytes, text) => expect(size(bytes)).toBe(text));

test('thousands are separated', () =>
  expect([count(999), count(10_000), count(1_234_567)]).toEqual([
    '999',
    '10\u202f000',
    '1\u202f234\u202f567',
  ]));

test('an unknown reason is shown unchanged, whatever its name', () =>
  expect([because('retry_after'), because('tired'), because('constructor'), because(undefined)]).toEqual([
    'Retry-After',
    'tired',
    'constructor',
    '',
  ]));
