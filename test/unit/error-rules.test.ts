import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { errorRuleOptions } from '../../src/config/resolve/error-rules.ts';
import { decoded } from '../../src/http/decoded.ts';
import { matchesAny } from '../../src/http/wildcard.ts';
import { RuleMatcher } from '../../src/policies/error-rules/rule-matcher.ts';

const NOW = Date.UTC(2026, 0, 1);

/** As a user writes it. */
function matcherFor(rules: string, inspect = 'errors'): RuleMatcher {
  const text = `upstreams: { a: { url: https://a.example, errors: { inspect: ${inspect}, rules: [${rules}] } } }`;
  const loaded = loadConfig('config.yaml', {}, () => text);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const errorRules = loaded.config.upstreams[0]?.routes[0]?.settings.errorRules;
  return new RuleMatcher(errorRules ?? errorRuleOptions({}));
}

const head = (status: number, ...headers: string[]) => ({ status, headers });
const nameBy = (matcher: RuleMatcher, body: string, status = 400) =>
  matcher.byBody(head(status), body, NOW)?.name;
const waitBy = (wait: string, body: string, ...headers: string[]) =>
  matcherFor(`{ status: 400, wait: ${wait} }`).byBody(head(400, ...headers), body, NOW)?.retryAfterMs;

describe('a rule fits', () => {
  test('by status: its own, or any from 400 on', () => {
    const matcher = matcherFor(
      '{ name: listed, status: [418, 420], means: retry }, { name: any, means: permanent }',
    );
    expect(matcher.byHead(head(420), NOW)).toMatchObject({ name: 'listed' });
    expect(matcher.byHead(head(500), NOW)).toMatchObject({ name: 'any' });
    expect(matcher.byHead(head(399), NOW)).toBeUndefined();
  });

  test('by all of its headers, in any case, with any text around a star', () => {
    const matcher = matcherFor('{ headers: { X-Kind: [quota, "limit:*"], x-b: "*" }, means: permanent }');
    expect(matcher.byHead(head(429, 'x-kind', 'LIMIT:day', 'X-B', ''), NOW)).toBeDefined();
    expect(matcher.byHead(head(429, 'x-kind', ' quota ', 'X-B', '1'), NOW)).toBeDefined();
    expect(matcher.byHead(head(429, 'x-kind', 'quota'), NOW)).toBeUndefined();
    expect(matcher.byHead(head(429, 'x-kind', 'quotas', 'x-b', '1'), NOW)).toBeUndefined();
  });

  test('by the values at its pointers: text, numbers and booleans, nothing else', () => {
    const matcher = matcherFor(
      '{ name: n, body: { /code: "20429" }, means: retry }, { name: b, body: { /ok: "false" }, means: retry }, { name: star, body: { /list/*/code: x }, means: retry }',
    );
    expect(nameBy(matcher, '{"code":20429}')).toBe('n');
    expect(nameBy(matcher, '{"code":"20429"}')).toBe('n');
    expect(nameBy(matcher, '{"ok":false}')).toBe('b');
    expect(nameBy(matcher, '{"list":[{"code":"y"},{"code":"X"}]}')).toBe('star');
    for (const other of ['{"code":[20429]}', '{"ok":null}', '{"list":{}}', '[]', 'null', 'no json', ''])
      expect(nameBy(matcher, other)).toBeUndefined();
  });

  test('by any value but null, if the pattern is * alone', () => {
    const matcher = matcherFor(
      '{ name: any, body: { /error: "*" }, means: retry }, { name: part, body: { /code: "4*" }, means: retry }',
    );
    for (const error of ['{"type":"x"}', '[]', 'false', '0', '""'])
      expect(nameBy(matcher, `{"error":${error}}`)).toBe('any');
    for (const other of ['{"error":null}', '{}', '{"code":{"4":"4"}}'])
      expect(nameBy(matcher, other)).toBeUndefined();
  });

  test('by own properties, not by inherited ones', () => {
    expect(
      nameBy(matcherFor('{ body: { /constructor/name: "*" }, means: retry }'), ', means: retry }'),
    ).toBeUndefined();
  });

  test('by text anywhere in the body', () => {
    const matcher = matcherFor(
      '{ name: slow, text: [<Code>SlowDown</Code>, <Code>Busy</Code>], means: retry }',
    );
    expect(nameBy(matcher, '<Error><code>busy</code></Error>')).toBe('slow');
    expect(nameBy(matcher, '<Error><Code>Gone</Code></Error>')).toBeUndefined();
  });

  test('only as a whole, and the first of them counts', () => {
    const matcher = matcherFor(
      '{ name: both, body: { /a: x, /b: y }, means: retry }, { name: mixed, body: { /a: x }, text: zzz, means: retry }, { name: first, body: { /a: x }, means: retry }, { name: second, body: { /a: x }, means: retry }',
    );
    expect(nameBy(matcher, '{"a":"x","b":"y"}')).toBe('both');
    expect(nameBy(matcher, '{"a":"x","b":"zzz"}')).toBe('mixed');
    expect(nameBy(matcher, '{"a":"x"}')).toBe('first');
  });
});

describe('a body is asked for', () => {
  const matcher = matcherFor(
    '{ name: body, body: { /a: x }, means: retry }, { name: head, status: 503, means: retry }',
  );

  test('only if a rule that matches so far needs it', () => {
    expect(matcher.byHead(head(503), NOW)).toBe('body');
    expect(matcher.byBody(head(503), '{"a":"y"}', NOW)?.name).toBe('head');
    expect(
      matcherFor('{ status: 503, body: { /a: x }, means: retry }').byHead(head(500), NOW),
    ).toBeUndefined();
  });

  test('never if that is off: only rules on the head remain', () => {
    const off = matcherFor(
      '{ name: body, body: { /a: x }, means: retry }, { name: head, status: 503, wait: /b }',
      'off',
    );
    expect(off.byHead(head(503), NOW)).toMatchObject({ name: 'head', retryAfterMs: undefined });
    expect(off.byHead(head(500), NOW)).toBeUndefined();
  });

  test('for a wait only if the head does not name one', () => {
    const waits = matcherFor('{ status: 429, throttled: true, wait: /retry }');
    expect(waits.byHead(head(429), NOW)).toBe('body');
    expect(waits.byHead(head(429, 'Retry-After', '3'), NOW)).toMatchObject({ throttled: true });
  });

  test('of a success only with inspect: all, and only of JSON', () => {
    const rule = '{ name: hidden, status: 200, body: { /ok: "false" }, means: retry }';
    const json = head(200, 'content-type', 'application/vnd.api+json; charset=utf-8');
    expect(matcherFor(rule).byHead(json, NOW)).toBeUndefined();
    const all = matcherFor(rule, 'all');
    expect(all.byHead(json, NOW)).toBe('body');
    expect(all.byHead(head(200, 'content-type', 'application/json'), NOW)).toBe('body');
    for (const type of ['text/event-stream', 'application/jsonl', 'application/json-seq', 'text/html'])
      expect(all.byHead(head(200, 'content-type', type), NOW)).toBeUndefined();
    expect(all.byHead(head(200), NOW)).toBeUndefined();
  });

  test('and if it could not be read, rules that need it do not match', () => {
    expect(matcher.byBody(head(503), undefined, NOW)?.name).toBe('head');
    expect(matcher.byBody(head(500), undefined, NOW)).toBeUndefined();
  });
});

describe('a wait', () => {
  test.each<[string, string, string[], number | undefined]>([
    ['60s', '', [], 60_000],
    ['/after', '{"after":0.65}', [], 650],
    ['/after', '{"after":"37s"}', [], 37_000],
    ['/details/*/delay', '{"details":[{"a":1},{"delay":"1.5s"}]}', [], 1_500],
    ['/after', '{"after":"soon"}', [], undefined],
    ['/after', '{"after":-1}', [], undefined],
    ['/after', '{"after":{}}', [], undefined],
    ['x-reset', '', ['X-Reset', '12'], 12_000],
    ['x-reset', '', ['X-Reset', String(NOW / 1000 + 30)], 30_000],
    [
      'x-reset',
      '',
      ['X-Reset', String(NOW / 1000 + 30), 'Date', new Date(NOW + 10_000).toUTCString()],
      20_000,
    ],
    ['x-reset', '', [], undefined],
    ['(/need - /have) / /rate', '{"need":752,"have":652,"rate":50}', [], 2_000],
    ['(/need - /have) / /rate', '{"need":1,"have":652,"rate":50}', [], 0],
    ['(/need - /have) / /rate', '{"need":752,"have":652,"rate":0}', [], undefined],
    ['(/need - /have) / /rate', '{"need":752,"rate":50}', [], undefined],
  ])('%s of %s %j: %s ms', (wait, body, headers, expected) => {
    expect(waitBy(`"${wait}"`, body, ...headers)).toBe(expected);
  });
});

test.each<[string, string, boolean]>([
  ['', '', true],
  ['a', '*', true],
  ['', '*', true],
  ['abc', 'a*c', true],
  ['ac', 'a*c', true],
  ['a', 'a*a', false],
  ['aXbXc', 'a*b*c', true],
  ['acb', 'a*b*c', false],
  ['You have EXCEEDED a secondary rate limit.', '*secondary rate limit*', true],
  ['x.y', 'x?y', false],
])('%j matches %j: %s', (value, pattern, expected) => expect(matchesAny(value, [pattern])).toBe(expected));

test('a pattern of many stars takes no time', () => {
  expect(matchesAny('a'.repeat(60_000), [`${'*a'.repeat(5_000)}*b*`])).toBe(false);
});

const MAX = 256 * 1024;

describe('a packed body', () => {
  const text = '{"ä":1}';
  const bytes = Buffer.from(text);

  test.each<[string, Buffer]>([
    ['gzip', gzipSync(bytes)],
    [' GZIP ', gzipSync(bytes)],
    ['x-gzip', gzipSync(bytes)],
    ['br', brotliCompressSync(bytes)],
    ['deflate', deflateSync(bytes)],
    ['zstd', zstdCompressSync(bytes)],
    ['identity', bytes],
  ])('%s is unpacked', (coding, packed) =>
    expect(decoded(packed, ['Content-Encoding', coding], MAX)).toBe(text),
  );

  test.each<[string, Buffer]>([
    ['gzip', bytes],
    ['gzip', gzipSync(bytes).subarray(0, 12)],
    ['gzip, br', gzipSync(bytes)],
    ['compress', bytes],
    ['br', brotliCompressSync(Buffer.alloc(1_000_000))],
  ])('%s that is none, is cut, is twofold, unknown or a bomb is not', (coding, packed) => {
    expect(decoded(packed, ['content-encoding', coding], MAX)).toBeUndefined();
  });

  test('without a coding it is as it is', () => expect(decoded(bytes, [], MAX)).toBe(text));
});
