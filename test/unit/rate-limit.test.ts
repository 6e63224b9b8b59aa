import { describe, expect, test } from 'vitest';
import { GENERIC_FORMATS, type QuotaFormat, quotaReader } from '../../src/http/rate-limit.ts';
import { rateLimitItems } from '../../src/http/rate-limit-field.ts';
import { type ResetAs, resetAfterMs } from '../../src/http/reset-value.ts';

const NOW = Date.UTC(2026, 0, 15, 12, 0, 0);
const DAY_MS = 86_400_000;

describe('a reset', () => {
  const at = (value: string, as: ResetAs = 'auto') =>
    resetAfterMs(value, as, { nowWallMs: NOW, sentWallMs: undefined });

  test.each<[string, number | undefined]>([
    // Go durations, as OpenAI writes them
    ['6m0s', 360_000],
    ['1m30.951s', 90_951],
    ['8.64s', 8_640],
    ['120ms', 120],
    ['1h2m3s', 3_723_000],
    ['1s', 1_000],
    ['0s', 0],
    ['500µs', 0.5],
    ['24h0m0s', DAY_MS],
    // RFC 3339, as Anthropic writes it
    ['2026-01-15T12:00:10Z', 10_000],
    ['2026-01-15T13:00:10.500+01:00', 10_500],
    ['2026-01-15T13:00:10+0100', 10_000],
    ['2026-01-15T12:05Z', 300_000],
    // a date of JavaScript's, and the three of HTTP
    ['Thu Jan 15 2026 13:00:42 GMT+0100 (Central European Standard Time)', 42_000],
    ['Thu, 15 Jan 2026 12:00:30 GMT', 30_000],
    ['Thursday, 15-Jan-26 12:00:30 GMT', 30_000],
    // numbers: moments and spans
    [String(NOW + 2_500), 2_500],
    [String(NOW / 1000 + 60), 60_000],
    ['30', 30_000],
    ['0.65', 650],
    ['2.01', 2_010],
    ['0', 0],
    // just past is now
    [String(NOW / 1000 - 60), 0],
    ['2026-01-15T11:59:30Z', 0],
    // and what makes no sense
    ['-1', undefined],
    ['', undefined],
    ['soon', undefined],
    ['1e9', undefined],
    ['NaN', undefined],
    [String(NOW / 1000 - 61), undefined],
    ['2026-01-15T12:00:10', undefined],
    [String(31 * 86_400), 31 * DAY_MS],
    [String(31 * 86_400 + 1), undefined],
    ['1768478400000000', undefined],
    ['1d', undefined],
    ['-5s', undefined],
  ])('"%s" is %s ms away', (value, ms) => expect(at(value)).toBe(ms));

  test.each<[ResetAs, string, number | undefined]>([
    ['delta_ms', '1500', 1_500],
    ['delta_s', '1500', 1_500_000],
    ['epoch_s', String(NOW / 1000 + 5), 5_000],
    ['epoch_ms', String(NOW + 5), 5],
    ['epoch_s', '30', undefined],
    ['go_duration', '30', undefined],
    ['date', '30', undefined],
    ['minute_date', '2026-01-15T12:03Z', 180_000],
    // cut to the minute: it may be up to the minute's end
    ['minute_date', '2026-01-15T12:00Z', 60_000],
  ])('as %s, "%s" is %s ms away', (as, value, ms) => expect(at(value, as)).toBe(ms));

  test('times relate to the clock of the sender', () => {
    const times = { nowWallMs: NOW + 3_600_000, sentWallMs: NOW };
    expect(resetAfterMs(String(NOW / 1000 + 7), 'auto', times)).toBe(7_000);
    expect(resetAfterMs('7', 'auto', times)).toBe(7_000);
  });
});

describe('the RateLimit field', () => {
  test('draft 10: names may contain anything, unreadable members are ignored', () => {
    expect(rateLimitItems('"a, \\"b\\";c";r=50;t=30, day;r=-1;t=x, "n";r=1;pk=:Y2E9:')).toMatchObject([
      { policy: 'a, "b";c', remaining: 50, resetSeconds: 30 },
      { policy: 'day', remaining: undefined, resetSeconds: undefined },
      { policy: 'n', remaining: 1 },
    ]);
  });

  test('a very long list is truncated', () => {
    expect(rateLimitItems('"a";r=1,'.repeat(200))).toHaveLength(8);
    expect(rateLimitItems(`"a";r=1,${'"\\,'.repeat(8_000)}`)).toHaveLength(8);
  });

  test('two policies are two quotas, each with its own window', () => {
    const read = quotaReader(GENERIC_FORMATS);
    const headers = [
      'RateLimit-Policy',
      '"burst";q=100;w=60, "daily";q=1000;w=86400, "bytes";q=9;qu="content-bytes"',
      'RateLimit',
      '"burst";r=99;t=5, "bytes";r=1;t=1',
      'ratelimit',
      '"daily";r=3;t=7200',
    ];
    const expected = { bucket: 'default', unit: 'calls', resource: '', continuous: false };
    expect(read(headers, NOW)).toEqual([
      { ...expected, policy: 'burst', limit: 100, remaining: 99, resetMs: 5_000, windowMs: 60_000 },
      { ...expected, policy: 'daily', limit: 1000, remaining: 3, resetMs: 7_200_000, windowMs: DAY_MS },
    ]);
  });

  test('draft 7 has a map', () => {
    expect(quotaReader([])(['RateLimit', 'limit=100, remaining=50, reset=5'], NOW)).toMatchObject([
      { limit: 100, remaining: 50, resetMs: 5_000 },
    ]);
  });
});

describe('headers', () => {
  const generic = quotaReader(GENERIC_FORMATS);
  const date = ['Date', 'Thu, 15 Jan 2026 12:00:00 GMT'];

  test.each<[string, readonly string[], object | undefined]>([
    [
      'RateLimit-*, drafts 0 to 6',
      ['RateLimit-Limit', '100, 100;w=60', 'RateLimit-Remaining', '50', 'RateLimit-Reset', '20'],
      { limit: 100, remaining: 50, resetMs: 20_000, windowMs: 60_000 },
    ],
    [
      'X-RateLimit-* with an epoch',
      ['X-RateLimit-Limit', '60', 'x-ratelimit-remaining', '0', 'X-RateLimit-Reset', '1768478460'],
      { limit: 60, remaining: 0, resetMs: 60_000 },
    ],
    [
      'X-RateLimit-Reset-After is surer than X-RateLimit-Reset',
      ['X-RateLimit-Remaining', '4', 'X-RateLimit-Reset', '1768478490.4', 'X-RateLimit-Reset-After', '0.65'],
      { remaining: 4, resetMs: 650 },
    ],
    [
      'X-Rate-Limit-*',
      ['x-rate-limit-remaining', '14', 'x-rate-limit-reset', '1768478400'],
      { remaining: 14, resetMs: 0 },
    ],
    ['remaining alone', ['X-RateLimit-Remaining', '14'], { remaining: 14, resetMs: undefined }],
    ['-1 is unknown', ['X-RateLimit-Remaining', '-1', 'X-RateLimit-Reset', '0'], undefined],
    ['nothing', ['Content-Type', 'text/plain', 'x-ratelimit-remaining-', '1'], undefined],
    ['a limit alone says nothing of what is left', ['X-RateLimit-Limit', '60'], undefined],
  ])('%s', (_, headers, expected) => {
    const readings = generic([...date, ...headers], NOW + 90_000);
    expect(readings ?? []).toMatchObject(expected === undefined ? [] : [expected]);
  });

  test('an API with its own buckets', () => {
    const bucket = (name: string, unit: 'calls' | 'cost'): QuotaFormat => ({
      bucket: name,
      unit,
      limit: `x-ratelimit-limit-${name}`,
      remaining: `x-ratelimit-remaining-${name}`,
      reset: `x-ratelimit-reset-${name}`,
      resetAs: 'go_duration',
    });
    const read = quotaReader([bucket('requests', 'calls'), bucket('tokens', 'cost')]);
    const headers =
      'x-ratelimit-limit-requests 60 x-ratelimit-remaining-requests 59 x-ratelimit-reset-requests 1s x-ratelimit-limit-tokens 150000 x-ratelimit-remaining-tokens 149984 x-ratelimit-reset-tokens 6m0s';
    expect(read(headers.split(' '), NOW)).toMatchObject([
      { bucket: 'requests', unit: 'calls', limit: 60, remaining: 59, resetMs: 1_000 },
      { bucket: 'tokens', unit: 'cost', limit: 150_000, remaining: 149_984, resetMs: 360_000 },
    ]);
  });

  test('used/size with a leak', () => {
    const header = 'x-shopify-shop-api-call-limit';
    const read = quotaReader([{ combined: { header, leakPerSecond: 2 } }]);
    expect(read(['X-Shopify-Shop-Api-Call-Limit', '32/40'], NOW)).toMatchObject([
      { limit: 40, remaining: 8, resetMs: 16_000, windowMs: 20_000, continuous: true },
    ]);
    for (const bad of ['32', '/', 'a/40', '1/0', '-1/40']) expect(read([header, bad], NOW)).toBeUndefined();
    expect(read([header, '41/40'], NOW)).toMatchObject([{ remaining: 0 }]);
  });

  test('a resource distinguishes quotas of the same form', () => {
    const read = quotaReader([{ ...GENERIC_FORMATS[2], resource: 'x-ratelimit-resource' }]);
    const headers = ['X-RateLimit-Remaining', '9', 'X-RateLimit-Resource', 'search'];
    expect(read(headers, NOW)).toMatchObject([{ resource: 'search', remaining: 9 }]);
  });
});
