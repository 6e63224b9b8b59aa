import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Loaded, loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { routeValues } from '../../src/config/show/effective.ts';

const OWN = `source: https://example.com/docs
sources: { retry.attempts: https://example.com/retries }
timeouts: { attempt: 7s, total: 40s }
retry: { attempts: 4 }
routes:
  - name: search
    source: https://example.com/search
    match: { method: POST, path: /v2/search/** }
    retry: { safe: true }
    timeouts: { attempt: 20s }
`;

function load(
  upstream: string,
  files: Record<string, string> = { 'etc/own.yaml': OWN },
  defaults = '',
): Loaded {
  const text = `${defaults}upstreams:\n  api:\n    url: https://api.example.com/v2\n${upstream}`;
  return loadConfig('etc/config.yaml', {}, (path) => {
    const found = path === 'etc/config.yaml' ? text : files[path];
    if (found === undefined) throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    return found;
  });
}

const PRESET = '    preset: ./own.yaml\n';

function good(upstream = PRESET, defaults = '') {
  const loaded = load(upstream, undefined, defaults);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}

/** `retry.attempts` → `4 · own.yaml:4 (preset)` of a route. */
function values(loaded: ReturnType<typeof good>, name: string): Record<string, string> {
  const route = loaded.config.upstreams[0]?.routes.find((one) => one.name === name);
  if (route === undefined) throw new Error(`no route ${name}`);
  return Object.fromEntries(
    routeValues(loaded, route).map(({ key, shown, origin }) => [key, `${shown} · ${origin}`]),
  );
}

const problems = (upstream: string, files?: Record<string, string>): string[] => {
  const loaded = load(upstream, files);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
};

describe('a preset is', () => {
  test('between the defaults and the upstream, and names the place of each value', () => {
    const defaults = 'defaults: { timeouts: { attempt: 1s, idle: 3s } }\n';
    const seen = values(good(`${PRESET}    timeouts: { total: 50s }\n`, defaults), 'default');
    expect(seen['timeouts.attempt']).toBe('7s · etc/own.yaml:3 (preset)');
    expect(seen['timeouts.idle']).toBe('3s · etc/config.yaml:1 (defaults)');
    expect(seen['timeouts.total']).toBe('50s · etc/config.yaml:6 (upstreams.api)');
    expect(seen['retry.attempts']).toBe('4 · etc/own.yaml:4 (preset)');
  });

  test('below the upstream with its routes too: values of the file win over all values of a preset', () => {
    expect(values(good(), 'search')['timeouts.attempt']).toBe('20s · etc/own.yaml:10 (preset)');
    const seen = values(good(`${PRESET}    timeouts: { attempt: 2s }\n`), 'search');
    expect(seen['timeouts.attempt']).toBe('2s · etc/config.yaml:5 (upstreams.api)');
    expect(seen['retry.safe']).toBe('true · etc/own.yaml:9 (preset)');
  });

  test('below a route of the file for the same endpoint', () => {
    const route = `${PRESET}    routes:\n      - { name: mine, match: { method: POST, path: /search/users }, retry: { attempts: 2 } }\n`;
    const seen = values(good(route), 'mine');
    expect(seen['retry.safe']).toBe('true · etc/own.yaml:9 (preset)');
    expect(seen['retry.attempts']).toBe('2 · etc/config.yaml:6 (route mine)');
    expect(seen['timeouts.attempt']).toBe('20s · etc/own.yaml:10 (preset)');
  });
});

describe('the routes of a preset', () => {
  const names = (upstream: string) =>
    good(upstream).config.upstreams[0]?.routes.map(({ name, path }) => `${name} ${path}`);

  test('come after those of the file, without the path of the URL', () => {
    const more = `${PRESET}    routes: [{ match: { path: /users } }]\n`;
    expect(names(more)).toEqual(['users /users', 'search /search/**', 'default /**']);
  });

  test('are left out if routes of the file take all their calls, and lose a name that the file uses', () => {
    expect(names(`${PRESET}    routes: [{ match: { path: /search/** } }]\n`)).toEqual([
      'search-all /search/**',
      'default /**',
    ]);
    expect(names(`${PRESET}    routes: [{ name: search, match: { path: /find } }]\n`)).toEqual([
      'search /find',
      'post-search-all /search/**',
      'default /**',
    ]);
  });
});

test('a preset file is watched like the configuration', () => {
  expect([...good().files.keys()]).toEqual(['etc/config.yaml', 'etc/own.yaml']);
});

test('built-in values are adjusted to those of a preset, which gives no warnings', () => {
  const loaded = load(`${PRESET}    retry: off\n`, { 'etc/own.yaml': 'retry: { backoff: { max: 50ms } }\n' });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  expect(loaded.config.upstreams[0]?.routes[0]?.settings.retry.backoff).toMatchObject({
    baseMs: 50,
    maxMs: 50,
  });
  expect(load('    preset: stripe\n', {}, 'defaults: { retry: off }\n')).toMatchObject({
    ok: true,
    warnings: [],
  });
});

describe('a problem is reported with its place', () => {
  test('an unknown name', () => {
    expect(problems('    preset: stirpe\n')).toEqual([
      'etc/config.yaml:4:13  upstreams.api.preset: "stirpe" is not a preset; did you mean "stripe"?',
    ]);
    expect(problems('    preset: my-own-thing\n')[0]).toMatch(
      /is not a preset; write one of stripe, .*, okta, or the path of a preset file such as \.\/my-own-thing\.yaml$/,
    );
    expect(problems('    preset: constructor\n')).toHaveLength(1);
  });

  test('a missing file', () => {
    expect(problems('    preset: ./gone.yaml\n')).toEqual([
      'etc/config.yaml:4:13  upstreams.api.preset: cannot read ./gone.yaml: no such file',
    ]);
  });

  test('problems of the file with line and column, after those of the configuration', () => {
    const file = `retires: 3
errors:
  rules:
    - { status: 700, body: { code: x }, means: permanently, wait: 5 }
    - { headers: { "x y": a }, wait: (/a - /b), texts: z }
routes:
  - { match: { path: search } }
  - { retry: { safe: true } }
`;
    expect(problems(`    preset: ./own.yaml\n    bogus: 1\n`, { 'etc/own.yaml': file })).toEqual([
      expect.stringMatching(/^etc\/config\.yaml:5:5 {2}upstreams\.api\.bogus: unknown key/),
      'etc/own.yaml:1:1  retires: unknown key; did you mean "retry"?',
      'etc/own.yaml:4:17  errors.rules[0].status: "700" is not a status from 200 to 599',
      'etc/own.yaml:4:30  errors.rules[0].body.code: is not a JSON pointer; write for example /error/code',
      'etc/own.yaml:4:48  errors.rules[0].means: "permanently" is not one of retry, permanent, not_processed, in_progress, credential_refused',
      expect.stringMatching(
        /^etc\/own\.yaml:4:67 {2}errors\.rules\[0\]\.wait: "5" is not a duration, a JSON pointer/,
      ),
      'etc/own.yaml:5:20  errors.rules[1].headers."x y": is not a header name',
      expect.stringMatching(/^etc\/own\.yaml:5:38 {2}errors\.rules\[1\]\.wait: "\(\/a - \/b\)" is not/),
      'etc/own.yaml:5:49  errors.rules[1].texts: unknown key; did you mean "text"?',
      'etc/own.yaml:7:22  routes[0].match.path: "search" does not start with /; write /search',
      'etc/own.yaml:8:5  routes[1].match: is missing; write for example match: { method: POST, path: /v1/orders }',
    ]);
  });

  test('an error rule without a meaning, for all calls or for an endpoint', () => {
    const file = `errors: { rules: [{ status: 402 }] }
routes:
  - { match: { path: /a }, errors: { rules: [{ status: 409, throttled: true }, { text: gone }] } }
`;
    expect(problems('    preset: ./own.yaml\n', { 'etc/own.yaml': file })).toEqual([
      expect.stringMatching(/^etc\/own\.yaml:1:19 {2}errors\.rules\[0\]: has no meaning/),
      expect.stringMatching(/^etc\/own\.yaml:3:80 {2}routes\[0\]\.errors\.rules\[1\]: has no meaning/),
    ]);
  });

  test('invalid YAML', () => {
    expect(problems('    preset: ./own.yaml\n', { 'etc/own.yaml': 'a: [1\n' })[0]).toMatch(
      /^etc\/own\.yaml:/,
    );
  });
});

test('the example in docs/configuration.md is valid', () => {
  const blocks = [...readFileSync('docs/configuration.md', 'utf8').matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, text = '']) => text,
  );
  const own = blocks.find((text) => text.startsWith('# search-api.yaml')) ?? '';
  const config = blocks.find((text) => text.includes('preset: ./search-api.yaml')) ?? '';
  const loaded = loadConfig('config.yaml', {}, (path) => (path === 'search-api.yaml' ? own : config));
  expect(loaded).toMatchObject({ ok: true, warnings: [] });
  const rules = loaded.ok ? loaded.config.upstreams[1]?.routes[0]?.settings.errorRules.rules : [];
  expect(rules?.map(({ name }) => name)).toEqual(['out_of_credit', 'busy']);
});
