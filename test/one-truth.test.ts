import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../src/proxy/error-table.ts';

/** Each fact has one place in src/. These tests fail when a second place comes back. */

const files = globSync('src/**/*.{ts,js}').filter((file) => !file.endsWith('.d.ts'));
const sources = new Map(files.map((file) => [file, readFileSync(file, 'utf8')]));

/** Each text that `find` finds, with its file. */
function found(find: (source: string) => readonly string[], exempt: readonly string[]): string[] {
  return [...sources].flatMap(([file, source]) =>
    exempt.includes(file) ? [] : find(source).map((text) => `${file}: ${text}`),
  );
}

describe('what follows from an error code is in proxy/error-table.ts alone', () => {
  const TABLE = ['src/proxy/error-table.ts'];
  const codes: ReadonlySet<string> = new Set(ERROR_CODES);

  test('no collection is typed by it', () => {
    const typed =
      /\b(?:Record|Map|Set|Array)<\s*(?:readonly )?(?:ErrorCode|ProxyError\['code'\])\b.*|\bin ErrorCode\].*|\bErrorCode\[\].*/g;
    expect(found((source) => source.match(typed) ?? [], TABLE)).toEqual([]);
  });

  test('no list or object is made of codes', () => expect(found(tablesOfCodes, TABLE)).toEqual([]));

  test('no condition lists codes', () => expect(found(conditionsOnCodes, TABLE)).toEqual([]));

  test.each([
    "const A = new Set(['client_gone', 'hedge_lost']);",
    'const B = {\n  quota: 1,\n  // why\n  draining: 2,\n};',
    "const C = [['quota', 1], ['draining', 2]];",
  ])('a table is found: %s', (source) => expect(tablesOfCodes(source)).toHaveLength(1));

  test.each([
    "if (code === 'quota' || code === 'draining') return;",
    "switch (code) {\n case 'quota':\n case 'draining':\n return 1; }",
  ])('a condition is found: %s', (source) => expect(conditionsOnCodes(source)).toHaveLength(1));

  /** Bracketed groups of which most entries are codes, two or more; words of other tables may be codes too. */
  function tablesOfCodes(source: string): string[] {
    const code = source.replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');
    // A list of pairs is a table by their first entries.
    const flat = code.replace(/(?<=[[,]\s*)\[\s*('\w+'),[^[\]{}]*\]/g, '$1');
    return [...new Set([...groupsOfCodes(code), ...groupsOfCodes(flat)])];
  }

  function groupsOfCodes(source: string): string[] {
    return [...source.matchAll(/[[{]([^[\]{}]*)[\]}]/g)].flatMap(([group, inside = '']) => {
      const entries = inside.split(/[,;]/).map((entry) => /^\s*'?(\w+)'?\s*(?:$|:)/.exec(entry)?.[1] ?? '');
      const named = entries.filter((entry) => codes.has(entry));
      const most = entries.filter((entry) => entry !== '').length / 2;
      return named.length >= 2 && named.length > most ? [group.replaceAll(/\s+/g, ' ')] : [];
    });
  }

  /** Statements that compare with two codes or more. */
  function conditionsOnCodes(source: string): string[] {
    const compared = /(?:[=!]==\s*|case )'(\w+)'/g;
    return source.split(/;|\breturn\b/).flatMap((statement) => {
      const named = [...statement.matchAll(compared)].map(([, word = '']) => word);
      return new Set(named.filter((word) => codes.has(word))).size >= 2 ? [statement.trim()] : [];
    });
  }
});

test.each([
  ['the refusal while the proxy shuts down', /new ProxyError\(\s*'draining'/g, ['src/proxy/errors.ts']],
  ['the kinds of backoff', /\bfibonacci\b/g, ['src/policies/retry/growth.ts', 'src/config/keys/backoff.ts']],
  ['the kinds of jitter', /'equal',\s*'decorrelated'|'decorrelated',\s*'none'/g, []],
  [
    'the spread of a wait that the upstream asks for',
    /random\(\) \* (?:spread|Math\.min)/g,
    ['src/http/retry-after.ts'],
  ],
  [
    'the meaning of a wait of a durable request, which WAIT_CAUSES in durable/job.ts gives',
    /\breason\??\.(?:startsWith|endsWith|includes|match)\(|\.test\(\w*\.?reason\b/g,
    [],
  ],
  [
    'which segment of a path is an identifier',
    /\bfunction (?:\w+Shape|shapeOf)\w*\(|\{8\}-\[/g,
    ['src/http/path-shape.ts'],
  ],
])('%s', (_, pattern, homes) => {
  const texts = [...sources].filter(([, source]) => source.match(pattern) !== null).map(([file]) => file);
  expect(texts.toSorted()).toEqual(homes.toSorted());
});

/**
 * Loops over a header list outside of http/headers.ts. These run for every call (or every message of HTTP/2), where a pair or
 * a closure for each field would be garbage on the data path.
 */
const HEADER_LOOPS = {
  'src/http/credentials.ts': 1,
  'src/http/rate-limit.ts': 1,
  'src/upstream/http2-fields.ts': 2,
  'src/upstream/wire-fields.ts': 1,
};

test('a header list is read by http/headers.ts, but for a few loops of the data path', () => {
  const byTwos = /\b[ij] [+-]= 2\b|\b(?:i|index) % 2\b/g;
  const loops = [...sources].flatMap(([file, source]) => {
    const count = source.match(byTwos)?.length ?? 0;
    return count === 0 || OTHER_STEPS.has(file) ? [] : [[file, count]];
  });
  expect(Object.fromEntries(loops)).toEqual(HEADER_LOOPS);
});

/** Steps of two through something else: the pieces of a template; a list in a log line that may be one of headers. */
const OTHER_STEPS: ReadonlySet<string> = new Set([
  'src/http/headers.ts',
  'src/config/keys/until.ts',
  'src/telemetry/redact.ts',
]);
