import { describe, expect, test } from 'vitest';
import { acceptedCodings, contentCodings } from '../../src/http/codings.ts';
import { Freshness } from '../../src/policies/response-cache/freshness.ts';
import { stubCall } from '../support/stub-call.ts';

const OPTIONS = {
  ttlMs: 0,
  override: false,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  vary: [],
  maxReplyBytes: 1_000,
  memoryBytes: 100_000,
};
const WALL_MS = Date.UTC(2026, 0, 1);
const DATE = ['date', 'Thu, 01 Jan 2026 00:00:00 GMT'];

function made(
  headers: readonly string[],
  more: { options?: object; callerKnown?: boolean; status?: number } = {},
) {
  const { options, callerKnown = false, status = 200 } = more;
  const arrival = { now: 0, wallMs: WALL_MS, callerKnown };
  return new Freshness({ status, headers }, { ...OPTIONS, ...options }, arrival);
}

const control = (...values: string[]) => values.flatMap((value) => ['cache-control', value]);
const cdn = (value: string) => ['cdn-cache-control', value];
const expires = (value: string) => [...DATE, 'expires', value];

/** Whole seconds for which a reply is given again unchecked. */
const lifetime = (headers: readonly string[]) => Math.max(0, made(headers).ttlSeconds(0));

describe('for how long', () => {
  test.each<[readonly string[], number]>([
    [control('max-age=60'), 60],
    [control('MAX-AGE="60"'), 60],
    [control('s-maxage=60'), 60],
    [control('max-age=3600, s-maxage=1'), 1],
    [control('max-age=1', 's-maxage=60'), 60],
    [control('max-age=60, max-age=60'), 60],
    // Two values, or none that is a number: no longer fresh (RFC 9111 §4.2.1).
    [control('max-age=60, max-age=10'), 0],
    [control("max-age='60'"), 0],
    [control('max-age=-60'), 0],
    [control('max-age=6.5'), 0],
    [[...control('max-age'), ...expires('Thu, 01 Jan 2026 00:00:10 GMT')], 0],
    [control('x="a, max-age=60"'), 0],
    [control('x="a, max-age=60", max-age=10'), 10],
    [control('no-cache, max-age=60'), 0],
    [control('no-cache="set-cookie", max-age=60'), 0],
    [control('max-age=99999999999999999999'), 2 ** 31],
    [[...control('max-age=60'), 'pragma', 'no-cache'], 60],
    [['pragma', 'no-cache', ...expires('Thu, 01 Jan 2026 00:00:10 GMT')], 0],
    [[...control('max-age=60'), ...cdn('max-age=10')], 10],
    [[...control('max-age=60'), ...cdn('max-age=3600')], 60],
    [[...control('max-age=60'), ...cdn('no-cache')], 0],
    [cdn('max-age=60'), 0],
  ])('%j: %i s', (headers, seconds) => expect(lifetime(headers)).toBe(seconds));

  test.each([
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10],
    ['Thursday, 01-Jan-26 00:00:10 GMT', 10],
    ['Thu Jan  1 00:00:10 2026', 10],
    ['Saturday, 01-Jan-50 00:00:00 GMT', 757_382_400],
    ['2050', 0],
    ['0', 0],
    ['Sat,  01 Jan 2050 00:00:00 GMT', 0],
    ['Sat 01 Jan 2050 00:00:00 GMT', 0],
    ['Sat, 01-Jan-2050 00:00:00 GMT', 0],
    ['Sat, 01 Jan 50 00:00:00 GMT', 0],
    ['Sat, 01 Jan 2050 0:00:00 GMT', 0],
    ['Sat, 01 Jan 2050 00.00.00 GMT', 0],
    ['Sat, 01 Jan 2050 00:00:00 UTC', 0],
    ['Sat, 30 Feb 2050 00:00:00 GMT', 0],
  ])('Expires: %s: %i s', (text, seconds) => expect(lifetime(expires(text))).toBe(seconds));

  test('two Expires that differ are none, and one without a Date is measured by our clock', () => {
    const soon = 'Thu, 01 Jan 2026 00:00:10 GMT';
    expect(lifetime([...expires(soon), 'expires', 'Sat, 01 Jan 2050 00:00:00 GMT'])).toBe(0);
    expect(lifetime([...expires(soon), 'expires', soon])).toBe(10);
    expect(lifetime(['expires', soon])).toBe(10);
    expect(lifetime(['date', 'yesterday', 'expires', soon])).toBe(10);
  });

  test.each([
    [['7200, 0'], 7_200],
    [['0, 7200'], 0],
    [['7200', '0'], 7_200],
    [['x, 7200'], 0],
    [['-5'], 0],
    [['1.5'], 0],
    [['99999999999999999999'], 2 ** 31],
  ])('Age %j: %i s old', (ages, seconds) => {
    const headers = [...control('max-age=60'), ...ages.flatMap((age) => ['age', age])];
    expect(made(headers).ageSeconds(0)).toBe(seconds);
  });
});

test.each<[readonly string[], boolean, boolean]>([
  [control('max-age=60'), true, true],
  [control('private, max-age=60'), false, true],
  [control('private="x-a", max-age=60'), false, true],
  [[...control('max-age=60'), ...cdn('private')], false, true],
  [control('no-store, max-age=60'), false, false],
  [control('no-store, must-understand, max-age=60'), true, true],
  [[...control('max-age=60'), ...cdn('no-store')], false, false],
  [[...control('no-store'), ...cdn('max-age=60')], false, false],
])('%j is cached if the caller is unknown: %s, and if it is known: %s', (headers, unknown, known) => {
  expect(made(headers).storable).toBe(unknown);
  expect(made(headers, { callerKnown: true }).storable).toBe(known);
});

test('ttl speaks for a reply that is silent, and private still holds', () => {
  const options = { ttlMs: 60_000 };
  expect(made([], { options }).storable).toBe(true);
  expect(made(control('private'), { options }).storable).toBe(false);
  expect(made(control('private'), { options: { ...options, override: true } }).storable).toBe(true);
});

describe('no longer fresh', () => {
  const options = { staleIfErrorMs: 60_000, staleWhileRevalidateMs: 60_000 };
  const maxStale = stubCall({ headers: ['cache-control', 'max-stale'] });

  test.each([
    ['max-age=1', 'stale', true, 'fresh'],
    ['max-age=1, must-revalidate', 'old', false, 'old'],
    ['max-age=1, proxy-revalidate', 'old', false, 'old'],
    ['s-maxage=1', 'stale', true, 'stale'],
    ['max-age=1, stale-while-revalidate=0, stale-if-error=0', 'old', false, 'fresh'],
  ] as const)('%s', (said, age, onError, byMaxStale) => {
    const freshness = made(control(said), { options });
    expect(freshness.of(stubCall(), 2_000)).toBe(age);
    expect(freshness.usableOnError(stubCall(), 2_000)).toBe(onError);
    expect(freshness.of(maxStale, 2_000)).toBe(byMaxStale);
  });

  test('CDN-Cache-Control shortens it, and does not lengthen it', () => {
    const shorter = made([...control('max-age=1'), ...cdn('stale-if-error=0')], { options });
    expect(shorter.usableOnError(stubCall(), 2_000)).toBe(false);
    const longer = made([...control('max-age=1'), ...cdn('stale-if-error=3600')]);
    expect(longer.usableOnError(stubCall(), 2_000)).toBe(false);
  });
});

test.each<[string | undefined, string | undefined, boolean]>([
  ['gzip, br', 'gzip', true],
  ['GZIP;q=0.1', 'x-gzip', true],
  ['*', 'br', true],
  ['gzip, br', 'gzip, br', true],
  ['gzip', 'gzip, br', false],
  ['identity', 'gzip', false],
  ['gzip;q=0, *', 'gzip', false],
  ['', 'gzip', false],
  [undefined, 'gzip', false],
  [undefined, undefined, true],
  ['gzip', undefined, true],
  ['gzip, identity;q=0', undefined, false],
  ['gzip, *;q=0', 'identity', false],
])('Accept-Encoding %j takes Content-Encoding %j: %s', (accepts, coding, takes) => {
  const request = accepts === undefined ? [] : ['accept-encoding', accepts];
  const codings = contentCodings(coding === undefined ? [] : ['content-encoding', coding]);
  expect(acceptedCodings(request).takes(codings)).toBe(takes);
});
