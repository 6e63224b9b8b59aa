import { describe, expect, test } from 'vitest';
import { keysOf } from '../../src/config/fields/field.ts';
import { fileSchema, sharedSchema } from '../../src/config/keys/schema.ts';
import { loadConfig } from '../../src/config/load.ts';
import { RENAMED } from '../../src/config/read/renamed.ts';

/** Whether `path` leads to a key of the schema. Lists and maps are passed without an index or a name. */
function has(schema: Parameters<typeof keysOf>[0], path: readonly string[]): boolean {
  const [first, ...rest] = path;
  if (first === undefined) return true;
  const keys = keysOf(schema) ?? {};
  const below = keys[first] ?? keysOf(keys[''] ?? schema)?.[first];
  return below !== undefined && has(below, rest);
}

const knows = (dotted: string) => [fileSchema, sharedSchema].some((schema) => has(schema, dotted.split('.')));

test.each([...RENAMED])('%s is gone, and %s is a key', (old, renamed) => {
  expect(knows(old)).toBe(false);
  expect(knows(renamed)).toBe(true);
});

/** `b.c: 1` is written as `b: { c: 1 }`; a list holds one item. */
const written = (dotted: string): string =>
  dotted
    .split('.')
    .reduceRight((inner, key) => `${key}: ${inner === '' ? '1' : listed(key, `{ ${inner} }`)}`, '');
const listed = (key: string, map: string): string => (key === 'formats' ? `[${map}]` : map);

const problems = (text: string) => {
  const loaded = loadConfig('c.yaml', {}, () => text);
  return loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path}: ${message}`);
};

describe('an old key is an error that names the new one', () => {
  const shared = [...RENAMED].filter(([old]) => has(sharedSchema, old.split('.').slice(0, 1)));
  const whole = [...RENAMED].filter(([old]) => !shared.some(([other]) => other === old));

  test.each(whole)('%s at the top', (old, renamed) =>
    expect(problems(`${written(old)}\nupstreams: { a: { url: https://a.example } }`)).toEqual([
      `${old}: this key was renamed; write ${renamed.split('.').at(-1)}`,
    ]),
  );

  test.each(shared)('%s in defaults, in an upstream and in a route', (old, renamed) => {
    const text = [
      `defaults: { ${written(old)} }`,
      'upstreams:',
      `  a: { url: https://a.example, ${written(old)}, routes: [{ match: { path: /b }, ${written(old)} }] }`,
    ].join('\n');
    const expected = `this key was renamed; write ${renamed.split('.').at(-1)}`;
    const path = old.replace('formats', 'formats[0]');
    expect(problems(text)).toEqual(
      ['defaults', 'upstreams.a', 'upstreams.a.routes[0]'].map((place) => `${place}.${path}: ${expected}`),
    );
  });
});
