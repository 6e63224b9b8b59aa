import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DEFAULTS,
  filterQuery,
  filtersOf,
  LIMITS,
  listQuery,
  matching,
  refreshInPlace,
  runningFirst,
  SPANS,
  STATUSES,
  searchOf,
  UNFINISHED,
} from '../../../src/admin/dashboard/filters.js';

const NOW = Date.UTC(2026, 0, 2);

describe('the address', () => {
  test('nothing in it: what has not ended', () => {
    expect(filtersOf('')).toEqual(DEFAULTS);
    expect(searchOf(DEFAULTS)).toBe('');
  });

  test('tells every filter, and is read as it was written', () => {
    const filters = fc.record({
      status: fc.subarray([...STATUSES]),
      route: fc.string({ unit: 'grapheme' }),
      label: fc.string({ unit: 'grapheme' }),
      key: fc.string({ unit: 'grapheme' }),
      since: fc.constantFrom('', ...Object.keys(SPANS)),
      minAttempts: fc.nat(999_999),
      limit: fc.constantFrom(...LIMITS),
      id: fc.string({ unit: 'grapheme' }),
    });
    fc.assert(
      fc.property(filters, (given) => {
        expect(filtersOf(searchOf(given))).toEqual(given);
      }),
    );
  });

  test.each([
    '?status=broken',
    '?status=',
    '?since=constructor',
    '?since=2h',
    '?min_attempts=-1',
    '?min_attempts=1e9',
    '?limit=100000',
    '?nonsense',
  ])('%s makes no sense and is left out', (search) => expect(filtersOf(search)).toEqual(DEFAULTS));

  test('of several states those that there are', () =>
    expect(filtersOf('?status=failed,broken,waiting').status).toEqual(['waiting', 'failed']));
});

describe('the question to the server', () => {
  test('what has not ended comes soonest first, all else as the server has it', () => {
    expect(listQuery(DEFAULTS, NOW)).toBe('status=running%2Cqueued%2Cwaiting&sort=next&limit=100');
    expect(listQuery({ ...DEFAULTS, status: ['waiting'] }, NOW)).toContain('sort=next');
    expect(listQuery({ ...DEFAULTS, status: ['waiting', 'failed'] }, NOW)).not.toContain('sort');
    expect(listQuery({ ...DEFAULTS, status: [] }, NOW)).toBe('limit=100');
  });

  test('has every filter, as a moment where the address has a span', () => {
    const filters = { ...DEFAULTS, status: ['failed'], route: 'a/b', label: 'x&y', key: 'k', since: '24h' };
    expect(Object.fromEntries(filterQuery({ ...filters, minAttempts: 2, id: 'req_1' }, NOW))).toEqual({
      status: 'failed',
      route: 'a/b',
      label: 'x&y',
      key: 'k',
      since: '2026-01-01T00:00:00.000Z',
      min_attempts: '2',
    });
  });
});

describe('how many match', () => {
  const routes = [
    { name: 'a/b', requests: { waiting: 3, failed: 2 } },
    { name: 'a/c', requests: { waiting: 10, queued: 1 } },
  ];

  test.each([
    [{}, 14],
    [{ status: [] }, 16],
    [{ status: ['failed'] }, 2],
    [{ route: 'a/c' }, 11],
    [{ route: 'gone' }, 0],
  ])('%j: %i', (change, sum) => expect(matching({ ...DEFAULTS, ...change }, routes)).toBe(sum));

  test.each([{ label: 'x' }, { key: 'x' }, { since: '1h' }, { minAttempts: 1 }])(
    '%j: nobody has counted that',
    (change) => expect(matching({ ...DEFAULTS, ...change }, routes)).toBeUndefined(),
  );
});

test('the states that have not ended are among all', () =>
  expect(UNFINISHED.every((one) => STATUSES.includes(one))).toBe(true));

test('a list that is held keeps its lines in their places, and tells what is new of them', () => {
  const shown = [
    { id: 'a', n: 1 },
    { id: 'b', n: 1 },
    { id: 'c', n: 1 },
  ];
  const fresh = [
    { id: 'x', n: 2 },
    { id: 'c', n: 2 },
    { id: 'a', n: 2 },
  ];
  expect(refreshInPlace(shown, fresh)).toEqual([
    { id: 'a', n: 2 },
    { id: 'b', n: 1 },
    { id: 'c', n: 2 },
  ]);
});

test('what runs comes first, all else as it was', () => {
  const given = ['waiting', 'running', 'queued', 'running'].map((status, n) => ({ status, n }));
  expect(runningFirst(given).map(({ n }) => n)).toEqual([1, 3, 0, 2]);
});
