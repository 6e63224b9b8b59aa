import { expect, test } from 'vitest';
import { formatDuration, formatPercentage, formatRate, formatSize } from '../../src/config/fields/format.ts';
import {
  type Parsed,
  parseAddress,
  parseDuration,
  parsePercentage,
  parseRate,
  parseSize,
} from '../../src/config/fields/units.ts';

const valueOf = <T>(parsed: Parsed<T>): T | string => ('value' in parsed ? parsed.value : parsed.problem);

test.each([
  ['250ms', 250],
  ['1.1s', 1_100],
  ['2 m', 120_000],
  ['3h', 10_800_000],
  ['1d', 86_400_000],
  ['0s', 0],
  [' 5s ', 5_000],
])('duration %s is %d ms', (text, ms) => expect(valueOf(parseDuration(text))).toBe(ms));

test.each([
  [100, '"100" has no unit; write 100ms or 100s'],
  ['1.5', '"1.5" has no unit; write 1.5ms or 1.5s'],
  ['10sec', '"10sec": "sec" is not a unit; write 10s'],
  ['5 Minutes', '"5 Minutes": "Minutes" is not a unit; write 5m'],
  ['5S', '"5S": "S" is not a unit; write 5s'],
  ['-3s', '"-3s" is negative; write 0 or more'],
  ['5constructor', '"5constructor" is not a duration; write for example 500ms, 10s, 5m, 1h or 1d'],
  ['soon', '"soon" is not a duration; write for example 500ms, 10s, 5m, 1h or 1d'],
  ['', '"" is not a duration; write for example 500ms, 10s, 5m, 1h or 1d'],
  [[1], 'a list is not a duration; write for example 500ms, 10s, 5m, 1h or 1d'],
  [{}, 'a map is not a duration; write for example 500ms, 10s, 5m, 1h or 1d'],
])('duration %j is refused with the fix', (found, problem) =>
  expect(valueOf(parseDuration(found))).toBe(problem),
);

test.each([
  ['0B', 0],
  ['1KiB', 1_024],
  ['1.5MiB', 1_572_864],
  ['2GiB', 2 ** 31],
  ['1KB', 1_000],
  ['3MB', 3_000_000],
])('size %s is %d bytes', (text, bytes) => expect(valueOf(parseSize(text))).toBe(bytes));

test.each([
  [1_048_576, '"1048576" has no unit; write 1048576KiB or 1048576MiB'],
  ['2M', '"2M": "M" is not a unit; write 2MiB'],
  ['2mb', '"2mb": "mb" is not a unit; write 2MB'],
])('size %j is refused with the fix', (found, problem) => expect(valueOf(parseSize(found))).toBe(problem));

test.each([
  ['0.1/s', 0.1],
  ['90/m', 1.5],
  ['3600/h', 1],
])('rate %s is %d per second', (text, perSecond) =>
  expect(valueOf(parseRate(text))).toBeCloseTo(perSecond, 12),
);

test.each([
  [0.1, '"0.1" has no unit; write 0.1/s or 0.1/m'],
  ['5/sec', '"5/sec": "/sec" is not a unit; write 5/s'],
])('rate %j is refused with the fix', (found, problem) => expect(valueOf(parseRate(found))).toBe(problem));

test.each([
  ['80%', 0.8],
  ['0.5 %', 0.005],
  ['100%', 1],
  [80, '"80" has no unit; write 80%'],
  [0.07, '"0.07" has no unit; write 7%'],
  ['120%', '"120%" is more than 100%; write at most 100%'],
  ['most', '"most" is not a percentage; write for example 80%'],
  ['-5%', '"-5%" is not a percentage; write for example 80%'],
])('percentage %j', (found, result) => expect(valueOf(parsePercentage(found))).toBe(result));

test.each([
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['localhost:65535', { host: 'localhost', port: 65535 }],
  [':8080', '":8080" has no host; write 127.0.0.1:8080, or 0.0.0.0:8080 to be reachable from other machines'],
  [8080, '"8080" has no host; write 127.0.0.1:8080, or 0.0.0.0:8080 to be reachable from other machines'],
  ['::1:8080', '"::1:8080": an IPv6 address needs brackets; write [::1]:8080'],
  ['localhost:65536', '"localhost:65536": port 65536 is above 65535; write a lower one'],
  ['[zz]:1', '"[zz]:1" is not an address; write host:port, for example 127.0.0.1:8080 or [::1]:8080'],
  ['http://a:1', '"http://a:1" is not an address; write host:port, for example 127.0.0.1:8080 or [::1]:8080'],
])('address %j', (found, result) => expect(valueOf(parseAddress(found))).toEqual(result));

test('a formatted value parses to the same value', () => {
  for (const ms of [0, 1, 250, 1_500, 90_000, 60_000, 3_600_000, 5_400_000, 86_400_000]) {
    expect(valueOf(parseDuration(formatDuration(ms)))).toBe(ms);
  }
  for (const bytes of [0, 1, 1_000, 1_024, 1_500_000, 2 ** 20, 2 ** 34 + 1]) {
    expect(valueOf(parseSize(formatSize(bytes)))).toBe(bytes);
  }
  for (const rate of [0, 0.1, 1, 2.5, 1 / 60, 100 / 60, 1 / 86_400]) {
    expect(valueOf(parseRate(formatRate(rate)))).toBeCloseTo(rate, 8);
  }
  for (const share of [0.005, 0.07, 0.8, 1])
    expect(valueOf(parsePercentage(formatPercentage(share)))).toBe(share);
});
