import { describe, expect, test } from 'vitest';
import { basicCredential } from '../../src/auth/basic.ts';
import type { QueryOptions } from '../../src/auth/options.ts';
import { queryCredential } from '../../src/auth/query.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { shownConfig } from '../../src/config/show/redacted-config.ts';
import { withoutParameters } from '../../src/http/credentials.ts';
import type { Call } from '../../src/proxy/call.ts';
import type { Credential } from '../../src/proxy/credential.ts';
import { stubCall } from '../support/stub-call.ts';

const authorize = (credential: Credential, call: Partial<Call>) => {
  const stub = stubCall(call);
  return credential.authorize(stub, stub.attempt);
};

describe('basic', () => {
  test('replaces the Authorization of the client, in UTF-8 (RFC 7617 §2.1)', () => {
    const headers = ['Authorization', 'Bearer mine', 'x-a', '1'];
    expect(
      authorize(basicCredential({ kind: 'basic', user: 'test', password: '123£' }), { headers }),
    ).toEqual({
      target: '/',
      headers: ['x-a', '1', 'authorization', 'Basic dGVzdDoxMjPCow=='],
    });
  });
});

describe('query', () => {
  const auth: QueryOptions = { kind: 'query', parameters: [['key', 'a/b&c d']] };

  test.each([
    ['/geocode', '/geocode?key=a%2Fb%26c%20d'],
    ['/geocode?', '/geocode?&key=a%2Fb%26c%20d'],
    ['/geocode?q=%61', '/geocode?q=%61&key=a%2Fb%26c%20d'],
    ['/geocode?key=mine&q=1&%6bey=again', '/geocode?q=1&key=a%2Fb%26c%20d'],
    ['/geocode?key=mine', '/geocode?key=a%2Fb%26c%20d'],
  ])('%s becomes %s', (target, expected) => {
    expect(authorize(queryCredential(auth), { target })).toEqual({ target: expected, headers: [] });
  });

  test.each([
    ['https://a.example/x?key=a%2Fb%26c%20d&page=2', 'https://a.example/x?page=2'],
    ['https://a.example/x?page=2&key=a%2fb%26c%20d', 'https://a.example/x?page=2'],
    ['</x?key=a%2Fb%26c+d>; rel="next"', '</x>; rel="next"'],
    ['/x?page=2&key=a%2Fb%26c%20d#end', '/x?page=2#end'],
    ['/login?next=key%3Da%2Fb%26c%20d', '/login?next=key%3D[redacted]'],
    ['the key is a/b&c d', 'the key is [redacted]'],
    ['/x?page=2', '/x?page=2'],
  ])('of a reply, %s becomes %s', (value, expected) => {
    const { clean } = queryCredential(auth);
    expect(clean?.(['Location', value, 'x-b', '1'])).toEqual(['Location', expected, 'x-b', '1']);
  });
});

test.each([
  ['/a?b=1&c=2', ['x'], '/a?b=1&c=2'],
  ['/a?b=1&c=2', ['b'], '/a?c=2'],
  ['/a?b=1', ['b'], '/a'],
  ['/a', ['b'], '/a'],
  ['/a?%62=1&&c', ['b'], '/a?&c'],
])('%s without %j is %s', (target, names, expected) => {
  expect(withoutParameters(target, new Set(names))).toBe(expected);
});

describe('in the configuration', () => {
  const load = (yaml: string) =>
    loadConfig(
      'config.yaml',
      { KEY: 'k3y-of-the-api' },
      () => `upstreams:\n  a:\n    url: https://a.example\n${yaml}`,
    );
  const problems = (yaml: string) => {
    const loaded = load(yaml);
    return loaded.ok ? [] : loaded.problems.map(formatProblem);
  };

  test.each([
    ['auth: {}', 'has no kind'],
    ['auth: { basic: { user: u }, query: { key: k } }', 'has basic and query'],
    ['auth: { basic: { password: p } }', 'user: is missing'],
    ['auth: { basic: { user: "a:b" } }', 'contains a colon'],
    ['auth: { basic: { user: "a\\nb" } }', 'contains a control character'],
    ['auth: { query: {} }', 'has no parameter'],
    ['auth: { query: { key: "" } }', 'is empty'],
    ['auth: true', 'is not understood; write off or a map of keys'],
    [
      'auth: { basic: { user: u } }\n    headers: { set: { Authorization: x } }',
      'cannot be combined with headers.set',
    ],
    ['auth: { query: { key: k } }\n    signed: true', 'cannot be combined with signed'],
  ])('%s', (yaml, message) => {
    expect(problems(`    ${yaml}`)[0]).toContain(message);
  });

  test('a route replaces the credential of its upstream as a whole, or turns it off', () => {
    const loaded = load(`    auth: { basic: { user: u, password: p } }
    routes:
      - { match: { path: /q }, auth: { query: { key: "\${KEY}" } } }
      - { match: { path: /o }, auth: off }
      - { match: { path: /s }, timeouts: { total: 3s } }`);
    const { routes = [] } = (loaded.ok ? loaded.config.upstreams[0] : undefined) ?? {};
    expect(routes.map(({ settings }) => settings.auth)).toEqual([
      { kind: 'query', parameters: [['key', 'k3y-of-the-api']] },
      undefined,
      { kind: 'basic', user: 'u', password: 'p' },
      { kind: 'basic', user: 'u', password: 'p' },
    ]);
    // A quota is a fact of the credential.
    expect(routes.map(({ own }) => [own.auth, own.quota])).toEqual([
      [true, true],
      [true, true],
      [false, false],
      [false, false],
    ]);
    const shown = JSON.stringify(shownConfig((loaded as Extract<typeof loaded, { ok: true }>).config));
    expect(shown).toContain('{"kind":"query","parameters":["key"]}');
    expect(shown).not.toContain('k3y-of-the-api');
    expect(shown).not.toContain('"u"');
  });

  test('only the added credential counts for the quota, unless the file names others', () => {
    const counted = (yaml: string) => {
      const loaded = load(yaml);
      return loaded.ok ? loaded.config.upstreams[0]?.routes[0]?.settings.quota.credentialHeaders : undefined;
    };
    expect(counted('    auth: { basic: { user: u } }')).toEqual([]);
    expect(
      counted('    auth: { basic: { user: u } }\n    quota: { credential_headers: [x-tenant] }'),
    ).toEqual(['x-tenant']);
  });
});
