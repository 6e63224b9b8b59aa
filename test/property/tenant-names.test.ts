import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TenantNames } from '../../src/routing/tenant-names.ts';

const RULES = {
  origin: 'https://{shop}.shops.test:8443',
  allowPrivate: false,
  placeholder: 'shop',
  matches: undefined,
};

/** Text that attackers like: separators of URLs, dots in all forms, other scripts, Punycode. */
const HOSTILE = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '.',
        '/',
        '\\',
        '@',
        ':',
        '?',
        '#',
        '%',
        '%2e',
        '%2F',
        '%00',
        '-',
        '_',
        ' ',
        '\t',
        '\r\n',
        '[',
        ']',
        '。',
        'ａ',
        'K',
        'ß',
        'xn--',
        '\u0000',
        '\u202e',
      ),
      fc.constantFrom('a', 'Z', '0', 'evil', 'example', 'com', '127', '0x7f', 'localhost'),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** The rules that an accepted text breaks. */
function broken(name: string, text: string, dots: boolean): string[] {
  const url = new URL(`https://${name}.shops.test:8443/path`);
  const labels = name.split('.');
  const rules: Readonly<Record<string, boolean>> = {
    'the same host': url.host === `${name}.shops.test:8443`,
    'only a host': url.username + url.password + url.search + url.hash === '',
    length: url.hostname.length <= 253,
    labels: labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)),
    'no Punycode': !labels.some((label) => label.startsWith('xn--')),
    dots: dots || labels.length === 1,
    'only case is folded': name === text.toLowerCase(),
  };
  return Object.keys(rules).filter((rule) => rules[rule] === false);
}

test.each([false, true])('no text leads out of the domain (dots: %s)', (dots) => {
  const names = new TenantNames({ ...RULES, dots });
  let accepted = 0;
  fc.assert(
    fc.property(HOSTILE, (text) => {
      const name = names.read(text);
      if (name !== undefined) accepted++;
      expect(name === undefined ? [] : broken(name, text, dots)).toEqual([]);
    }),
    { seed: 7, numRuns: 5_000 },
  );
  expect(accepted).toBeGreaterThan(50);
});

test('the whole host has at most 253 characters, and each label at most 63', () => {
  const names = new TenantNames({ ...RULES, dots: true });
  const label = 'a'.repeat(63);
  expect(names.read(label)).toBe(label);
  expect(names.read(`${label}a`)).toBeUndefined();
  expect(names.read([label, label, label].join('.'))).toBeDefined();
  expect(names.read([label, label, label, label].join('.'))).toBeUndefined();
});

test('a part of a label is checked with the rest of it', () => {
  const names = new TenantNames({ ...RULES, origin: 'https://app-{shop}.shops.test', dots: false });
  expect(names.read('a'.repeat(59))).toBeDefined();
  expect(names.read('a'.repeat(60))).toBeUndefined();
});

test('a private host is no tenant, unless private hosts are allowed', () => {
  const origin = 'http://{shop}.google.internal';
  const read = (allowPrivate: boolean) =>
    new TenantNames({ ...RULES, origin, dots: false, allowPrivate }).read('metadata');
  expect([read(false), read(true)]).toEqual([undefined, 'metadata']);
});
