import { describe, expect, test } from 'vitest';
import { retryAfterMs } from '../../src/http/retry-after.ts';

const NOW = Date.UTC(2026, 0, 15, 12, 0, 0);
const YEAR_S = 365 * 24 * 3600;
const ask = (...headers: string[]) => retryAfterMs(headers, NOW);

describe('seconds', () => {
  test.each([
    ['0', 0],
    ['5', 5_000],
    ['3600', 3_600_000],
    ['2.0', 2_000],
    ['2.01', 2_010],
    ['0.25', 250],
    [' 5\t', 5_000],
    [String(YEAR_S), YEAR_S * 1000],
  ])('Retry-After: "%s" asks for %d ms', (value, ms) => expect(ask('Retry-After', value)).toBe(ms));

  test.each([
    '-1',
    '-0',
    '+5',
    'abc',
    '',
    ' ',
    '1e9',
    '1e1',
    'NaN',
    'Infinity',
    '0x10',
    '5s',
    '5, 6',
    '1.',
    '.5',
    '1_0',
  ])('Retry-After: "%s" is ignored', (value) => expect(ask('Retry-After', value)).toBeUndefined());

  test('more than a year is ignored, an epoch timestamp with it', () => {
    expect(ask('Retry-After', String(YEAR_S + 1))).toBeUndefined();
    expect(ask('Retry-After', '1768478400')).toBeUndefined();
    expect(ask('Retry-After', '9'.repeat(400))).toBeUndefined();
  });
});

describe('precedence', () => {
  const all = [
    'Retry-After',
    '4',
    'x-amz-retry-after',
    '3000',
    'x-ms-retry-after-ms',
    '2000',
    'retry-after-ms',
    '1000',
  ];

  test('the most precise header wins, in any order', () => {
    expect(ask(...all)).toBe(1000);
    expect(ask(...all.slice(0, 6))).toBe(2000);
    expect(ask(...all.slice(0, 4))).toBe(3000);
    expect(ask(...all.slice(0, 2))).toBe(4000);
  });

  test.each(['-1', '', 'abc', '1e9', 'NaN', String(YEAR_S * 1000 + 1), 'Thu, 15 Jan 2026 12:00:10 GMT'])(
    'retry-after-ms: "%s" makes no sense, so the next one is asked',
    (value) => {
      expect(ask('retry-after-ms', value, 'x-ms-retry-after-ms', '2000')).toBe(2000);
      expect(ask('x-ms-retry-after-ms', value, 'x-amz-retry-after', '3000')).toBe(3000);
      expect(ask('x-amz-retry-after', value, 'retry-after', '4')).toBe(4000);
    },
  );

  test('milliseconds may have decimals, names may have any case', () => {
    expect(ask('Retry-After-Ms', '1500.5')).toBe(1500.5);
    expect(ask('X-MS-RETRY-AFTER-MS', '0')).toBe(0);
  });

  test('without a header, no wait', () => {
    expect(ask()).toBeUndefined();
    expect(ask('Content-Type', 'text/plain', 'Date', 'Thu, 15 Jan 2026 12:00:00 GMT')).toBeUndefined();
  });
});

describe('dates', () => {
  test.each([
    ['IMF-fixdate', 'Thu, 15 Jan 2026 12:00:10 GMT'],
    ['RFC 850', 'Thursday, 15-Jan-26 12:00:10 GMT'],
    ['asctime', 'Thu Jan 15 12:00:10 2026'],
    ['any case', 'thu, 15 jan 2026 12:00:10 gmt'],
    ['a wrong name of the day', 'Mon, 15 Jan 2026 12:00:10 GMT'],
  ])('%s', (_, date) => expect(ask('Retry-After', date)).toBe(10_000));

  test('asctime pads its day with a space', () => {
    expect(retryAfterMs(['Retry-After', 'Sun Feb  1 00:00:00 2026'], Date.UTC(2026, 0, 31))).toBe(86_400_000);
  });

  test.each(
    'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ').map((name, month) => [name, month] as const),
  )('%s', (name, month) => {
    const now = Date.UTC(2026, month, 1);
    expect(retryAfterMs(['Retry-After', `Sun, 02 ${name} 2026 00:00:00 GMT`], now)).toBe(86_400_000);
  });

  test("10 s after the reply's own Date is 10 s, whatever the local clock says", () => {
    const reply = ['Date', 'Sun, 06 Nov 1994 08:49:37 GMT', 'Retry-After', 'Sun, 06 Nov 1994 08:49:47 GMT'];
    expect(retryAfterMs(reply, NOW)).toBe(10_000);
    expect(retryAfterMs(reply, 0)).toBe(10_000);
    const mixed = ['Date', 'Thursday, 15-Jan-26 11:00:00 GMT', 'Retry-After', 'Thu Jan 15 11:00:10 2026'];
    expect(retryAfterMs(mixed, NOW)).toBe(10_000);
  });

  test('an invalid Date is ignored', () => {
    expect(ask('Date', 'yesterday', 'Retry-After', 'Thu, 15 Jan 2026 12:00:10 GMT')).toBe(10_000);
  });

  test('a past date asks for nothing', () => {
    expect(ask('Retry-After', 'Thu, 15 Jan 2026 11:59:59 GMT')).toBe(0);
    expect(ask('Retry-After', 'Sun, 06 Nov 1994 08:49:37 GMT')).toBe(0);
  });

  test('a date more than a year ahead is ignored', () => {
    expect(ask('Retry-After', 'Fri, 15 Jan 2027 12:00:00 GMT')).toBe(YEAR_S * 1000);
    expect(ask('Retry-After', 'Fri, 15 Jan 2027 12:00:01 GMT')).toBeUndefined();
  });

  test('two digits of a year mean the nearest one, at most 50 years ahead', () => {
    expect(ask('Retry-After', 'Friday, 15-Jan-76 12:00:00 GMT')).toBeUndefined(); // 2076
    expect(ask('Retry-After', 'Saturday, 15-Jan-77 12:00:00 GMT')).toBe(0); // 1977
    expect(ask('Retry-After', 'Sunday, 06-Nov-94 08:49:37 GMT')).toBe(0); // 1994
    const newYearsEve = Date.UTC(2099, 11, 31, 23, 59, 59);
    expect(retryAfterMs(['Retry-After', 'Friday, 01-Jan-00 00:00:00 GMT'], newYearsEve)).toBe(1000); // 2100
  });

  test('a leap day and a leap second exist', () => {
    const leapDay = Date.UTC(2028, 1, 29);
    expect(retryAfterMs(['Retry-After', 'Tue, 29 Feb 2028 00:00:01 GMT'], leapDay)).toBe(1000);
    const midnight = Date.UTC(2017, 0, 1);
    expect(retryAfterMs(['Retry-After', 'Sat, 31 Dec 2016 23:59:60 GMT'], midnight - 1000)).toBe(1000);
  });

  test.each([
    'Thu, 29 Feb 2026 12:00:00 GMT',
    'Thu, 31 Apr 2026 12:00:00 GMT',
    'Thu, 00 Feb 2026 12:00:00 GMT',
    'Thu, 32 Jan 2026 12:00:00 GMT',
    'Thu, 15 Foo 2026 12:00:00 GMT',
    'Thu, 15 anf 2026 12:00:00 GMT',
    'Thu, 15 Jan 2026 24:00:00 GMT',
    'Thu, 15 Jan 2026 12:60:00 GMT',
    'Thu, 15 Jan 2026 12:00:61 GMT',
    'Thu, 15 Jan 2026 12:00:10',
    'Thu, 15 Jan 2026 12:00:10 CET',
    'Thu, 15 Jan 26 12:00:10 GMT',
    'Thu, 5 Feb 2026 12:00:10 GMT',
    'Thursday, 15-Jan-2026 12:00:10 GMT',
    'Thu Jan 15 12:00:10 2026 GMT',
    '2026-01-15T12:00:10Z',
    'tomorrow',
  ])('"%s" is no date', (value) => expect(ask('Retry-After', value)).toBeUndefined());
});
