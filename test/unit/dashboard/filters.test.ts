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

describe('the URL', () => {
  test('empty: unfinished requests', () => {
    expect(filtersOf('')).toEqual(DEFAULTS);
    expect(searchOf(DEFAULTS)).toBe('');
  });

  test('contains every filter, and is parsed back', () => {
    const filters = fc.record({
      status: fc.subarray([...STATUSES]),
      route: fc.string({ unit: 'grapheme' }),
      label: fc.string({ unit: 'grapheme' }),
      key: fc.string({ unit: 'grapheme' }),
      request_id: fc.string({ unit: 'grapheme' }),
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
  ])('%s is not valid and ignored', (search) => expect(filtersOf(search)).toEqual(DEFAULTS));

  test('unknown statuses among known ones are ignored', () =>
    expect(filtersOf('?status=failed,broken,waiting').status).toEqual(['waiting', 'failed']));
});

describe('the query to the server', () => {
  test('contains the id of the call that submitted a request', () => {
    expect(filterQuery({ ...DEFAULTS, status: [], request_id: 'app-17' }, NOW).toString()).toBe(
      'request_id=app-17',
    );
  });

  test('unfinished requests are sorted soonest first, others newest first', () => {
    expect(listQuery(DEFAULTS, NOW)).toBe('status=running%2Cqueued%2Cwaiting&sort=next&limit=100');
    expect(listQuery({ ...DEFAULTS, status: ['waiting'] }, NOW)).toContain('sort=next');
    expect(listQuery({ ...DEFAULTS, status: ['waiting', 'failed'] }, NOW)).not.toContain('sort');
    expect(listQuery({ ...DEFAULTS, status: [] }, NOW)).toBe('limit=100');
  });

  test('has every filter, with a time for the span of the URL', () => {
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

describe('number of matches', () => {
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

  test.each([{ label: 'x' }, { key: 'x' }, { since: '1h' }, { minAttempts: 1 }])('%j: unknown', (change) =>
    expect(matching({ ...DEFAULTS, ...change }, routes)).toBeUndefined(),
  );
});

test('the unfinished statuses are among all statuses', () =>
  expect(UNFINISHED.every((one) => STATUSES.includes(one))).toBe(true));

test('a frozen list keeps the order of its lines and updates them', () => {
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

test('running requests come first, the order of others stays', () => {
  const given = ['waiting', 'running', 'queued', 'running'].map((status, n) => ({ status, n }));
  expect(runningFirst(given).map(({ n }) => n)).toEqual([1, 3, 0, 2]);
});
