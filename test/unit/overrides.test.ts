import { describe, expect, test } from 'vitest';
import {
  type OverrideLimits,
  readOverrides,
  shownOverrides,
  totalTimeoutMs,
} from '../../src/proxy/overrides.ts';

const ALL: OverrideLimits = {
  attempts: 5,
  timeoutMs: 90_000,
  retryOn: true,
  idempotent: true,
  wait: true,
  priority: true,
};
const NONE: OverrideLimits = {
  attempts: undefined,
  timeoutMs: undefined,
  retryOn: false,
  idempotent: false,
  wait: false,
  priority: false,
};

const read = (headers: string[], limits: OverrideLimits = ALL) => {
  const asked = readOverrides(headers, limits);
  return asked && shownOverrides(asked).map((pair) => pair.join('='));
};

describe('what is asked for, within its limit', () => {
  test.each([
    [['Breakwater-Attempts', '1'], 'attempts=1'],
    [['breakwater-attempts', ' 5 '], 'attempts=5'],
    [['breakwater-attempts', '6'], 'attempts=5'],
    [['breakwater-attempts', '999999999'], 'attempts=5'],
    [['breakwater-timeout', '500ms'], 'timeout_ms=500'],
    [['breakwater-timeout', '2.5s'], 'timeout_ms=2500'],
    [['breakwater-timeout', '1m'], 'timeout_ms=60000'],
    [['breakwater-timeout', '2m'], 'timeout_ms=90000'],
    [['breakwater-retry-on', '404, 503'], 'retry_on=404,503'],
    [['breakwater-retry-on', '404', 'Breakwater-Retry-On', '409'], 'retry_on=404,409'],
    [['breakwater-retry-on', 'none'], 'retry_on=none'],
    [['breakwater-idempotent', 'true'], 'idempotent=true'],
    [['breakwater-idempotent', 'false'], 'idempotent=false'],
    [['breakwater-priority', 'low'], 'priority=low'],
    [['x-request-timeout-ms', '1500'], 'wait_ms=1500'],
    [['prefer', 'wait=10'], 'wait_ms=10000'],
    [['prefer', 'respond-async, Wait="10"; foo'], 'wait_ms=10000'],
    [['prefer', 'respond-async', 'prefer', 'wait = 7, wait=3'], 'wait_ms=7000'],
    [['prefer', 'wait=10', 'x-request-timeout-ms', '12000'], 'wait_ms=10000'],
    [['prefer', 'wait=20', 'x-request-timeout-ms', '12000'], 'wait_ms=12000'],
  ])('%j: %s', (headers, shown) => expect(read(headers)).toEqual([shown]));

  test.each([
    ['prefer', 'wait=0'],
    ['prefer', 'wait=soon'],
    ['prefer', 'wait=1.5'],
    ['prefer', 'await=10, nowait=3'],
    ['prefer', 'wait'],
    ['x-other', '1'],
  ])('%s: %s asks for nothing', (name, value) => expect(read([name, value])).toBeUndefined());

  test('what is not allowed is not even read', () => {
    const headers = ['attempts', 'timeout', 'retry-on', 'idempotent', 'priority'].flatMap((name) => [
      `breakwater-${name}`,
      'x',
    ]);
    expect(read([...headers, 'x-request-timeout-ms', 'x', 'prefer', 'wait=3'], NONE)).toBeUndefined();
  });
});

describe('a value that cannot be understood is refused, and its field named', () => {
  test.each([
    ['breakwater-attempts', ['', '0', '-1', '1.5', 'many', '1e3', '0x5', '9999999999']],
    ['breakwater-timeout', ['', '0s', '5', '-5s', '1h', '0.4ms', 's', '1s2s', 'Infinitys']],
    ['breakwater-retry-on', ['', '399', '600', '5xx', '503,', '503 504', 'none,503']],
    ['breakwater-idempotent', ['', '1', 'yes', 'TRUE']],
    ['x-request-timeout-ms', ['', '0', '-1', '1.5', '1s', 'NaN']],
  ])('%s', (name, values) => {
    for (const value of values) {
      const attempt = () => readOverrides([name, value], ALL);
      expect(attempt).toThrow(expect.objectContaining({ code: 'bad_request' }));
      expect(attempt).toThrow(`the header ${name} has the value "${value}"`);
    }
  });

  test('so is a field that stands there twice where one value is meant', () => {
    for (const name of ['breakwater-attempts', 'breakwater-timeout', 'x-request-timeout-ms'])
      expect(() => readOverrides([name, '5', name, '5'], ALL)).toThrow(name);
  });

  test('a long one is not repeated whole', () => {
    expect(() => readOverrides(['breakwater-attempts', 'x'.repeat(5_000)], ALL)).toThrow(/x{40}…"/);
  });
});

test.each([
  [30_000, {}, 30_000],
  [30_000, { timeoutMs: 90_000 }, 90_000],
  [30_000, { timeoutMs: 500 }, 500],
  [30_000, { waitMs: 90_000 }, 30_000],
  [30_000, { waitMs: 500 }, 500],
  [30_000, { timeoutMs: 90_000, waitMs: 60_000 }, 60_000],
])('a route’s %d ms with %j are %d', (routeMs, asked, expected) => {
  const none = {
    attempts: undefined,
    timeoutMs: undefined,
    retryOn: undefined,
    idempotent: undefined,
    waitMs: undefined,
    priority: undefined,
  };
  expect(totalTimeoutMs(routeMs, { ...none, ...asked })).toBe(expected);
  expect(totalTimeoutMs(routeMs, undefined)).toBe(routeMs);
});
