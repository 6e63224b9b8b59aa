import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';

function load(yaml: string): Config {
  const loaded = loadConfig('/etc/breakwater/config.yaml', {}, () => yaml);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

const problems = (yaml: string) => {
  const loaded = loadConfig('config.yaml', {}, () => yaml);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
};

/** Whether the upstream's routes are durable: the written ones, then the catch-all. */
const durable = (text: string) =>
  load(text).upstreams[0]?.routes.map(({ settings }) => settings.durable !== undefined);

const api = (more: string, top = '') => `${top}upstreams:\n  api:\n    url: https://api.example.com\n${more}`;

describe('durable', () => {
  test.each([
    ['', [false]],
    ['    durable: true', [true]],
    ['    durable: on', [true]],
    ['    durable: off', [false]],
    ['    durable: { attempts: 3 }', [true]],
    ['    durable: { mode: off, attempts: 3 }', [false]],
    ['    routes: [{ match: { path: /a }, durable: true }]', [true, false]],
    ['    durable: true\n    routes: [{ match: { path: /a }, durable: off }]', [false, true]],
    ['    durable: off\n    routes: [{ match: { path: /a }, durable: { attempts: 3 } }]', [true, false]],
  ])('%j makes routes durable: %j', (written, expected) => {
    expect(durable(api(written))).toEqual(expected);
  });

  test('is inherited from defaults', () => {
    expect(durable(api('', 'defaults: { durable: { attempts: 7 } }\n'))).toEqual([true]);
  });

  test('has the store relative to the config file, or at a URL', () => {
    expect(load(api('')).durable.store).toBe('/etc/breakwater/breakwater.db');
    expect(load(api('', 'durable: { store: /data/x.db }\n')).durable.store).toBe('/data/x.db');
    expect(load(api('', 'durable: { store: "postgres://db/x" }\n')).durable.store).toBe('postgres://db/x');
  });
});

test.each([
  ...['mysql://', 'POSTGRES://', 'postgres:'].map((scheme) => [
    `durable: { store: "${scheme}me:3cr3t@h/x" }\n`,
    `config.yaml:1:19  durable.store: "${scheme}" is not a supported store; write postgres://… or the path of a file`,
  ]),
  [
    'durable: { prefix: breakwater }\n',
    'config.yaml:1:20  durable.prefix: "breakwater" is not a path; write for example /_breakwater',
  ],
  [
    'durable: { prefix: /a/../b }\n',
    'config.yaml:1:20  durable.prefix: "/a/../b" is not a path; write for example /_breakwater',
  ],
  [
    'durable: { callbacks: { allow: ["ftp://x"] } }\n',
    'config.yaml:1:32  durable.callbacks.allow: "ftp://x" is not a callback URL; write for example https://app.internal/hooks/** or *.example.com',
  ],
  [
    'durable: { credentials: encrypted }\n',
    'config.yaml:1:25  durable.credentials: encrypted needs credentials_key; write for example credentials_key: ${BREAKWATER_CREDENTIALS_KEY}',
  ],
  [
    'durable: { credentials: encrypted, credentials_key: short }\n',
    'config.yaml:1:53  durable.credentials_key: is not a key; write 32 bytes in base64 or hex, made for example by: openssl rand -base64 32',
  ],
])('%j is refused', (top, problem) => {
  expect(problems(api('', top))).toEqual([problem]);
});

test('an upstream cannot be mounted at the path of status and results', () => {
  const yaml = api('    mount: { path: /_breakwater }\n    durable: true');
  expect(problems(yaml)).toEqual([
    'config.yaml:4:20  upstreams.api.mount.path: /_breakwater is already used by durable.prefix; change one of the two',
  ]);
  expect(problems(yaml.replace('durable: true', 'durable: off'))).toEqual([]);
});

describe('a durable route for POST without a setting for idempotency keys', () => {
  const warnings = (yaml: string) => {
    const loaded = loadConfig('config.yaml', {}, () => yaml);
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
    return loaded.warnings.map(formatProblem);
  };

  test('gives one warning, where it was made durable, with the fix', () => {
    const [warning, ...more] = warnings(api('    durable: true\n    routes: [{ match: { path: /a } }]'));
    expect(warning).toMatch(/^config\.yaml:4:5 {2}upstreams\.api\.durable.*retry\.idempotency_key: inject/);
    expect(more).toEqual([]);
  });

  test.each([
    '    durable: true\n    retry: { idempotency_key: inject }',
    '    durable: true\n    retry: { idempotency_key: none }',
    '    durable: { on_unknown_outcome: hold }',
    '    durable: { on_unknown_outcome: retry }',
    '    durable: true\n    retry: { safe: true }',
    '    durable: true\n    allow: [GET /**, DELETE /a]',
    '    routes: [{ match: { path: /a, method: [GET, PUT, DELETE] }, durable: true }]',
    '    routes: [{ match: { path: /a, method: POST } }]',
  ])('gives no warning if keys are set, or if no POST can come: %j', (written) => {
    expect(warnings(api(written))).toEqual([]);
  });

  test.each([
    '    durable: true\n    allow: [GET /**, POST /a]',
    '    routes: [{ match: { path: /a, method: [GET, PATCH] }, durable: true }]',
  ])('gives a warning if one POST or PATCH can come: %j', (written) => {
    expect(warnings(api(written))).toHaveLength(1);
  });
});
