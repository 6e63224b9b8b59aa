import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { processValues } from '../../src/config/show/effective.ts';
import { shownConfig } from '../../src/config/show/redacted-config.ts';
import { formatProblem } from '../../src/config/read/problem.ts';

const ENV = { WEB: 'web-token-0123456789', BATCH: 'batch-token-0123456789', SHORT: 'abc123' };
const UPSTREAMS =
  'upstreams: { pay: { url: https://pay.example, headers: { set: { authorization: Bearer x } } }, geo: { url: https://geo.example } }';

const load = (tokens: string, head = '') =>
  loadConfig(
    'config.yaml',
    ENV,
    () => `${head}${tokens === '' ? '' : `clients:\n  tokens:\n${tokens}\n`}${UPSTREAMS}`,
  );

function problemsOf(tokens: string): string[] {
  const loaded = load(tokens);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

describe('mistakes are reported with place and fix, and without the token', () => {
  test.each([
    [
      '    - { token: "${WEB}" }',
      'config.yaml:3:7  clients.tokens[0].name: is missing; write for example name: web',
    ],
    ['    - { name: web }', 'clients.tokens[0].token: is missing; write for example token: "${WEB_TOKEN}"'],
    ['    - { name: web, token: [] }', 'token: is missing'],
    ['    - { name: Web App, token: "${WEB}" }', '"Web App" is not a valid name; write up to 63 of a-z'],
    ['    - { name: web, token: "${SHORT}" }', 'has fewer than 16 characters; write a longer token'],
    ['    - { name: web, token: "" }', 'is empty or contains a space; write a token'],
    ['    - { name: web, token: "two words that are long" }', 'is empty or contains a space'],
    [
      '    - { name: web, token: "${WEB}" }\n    - { name: batch, token: ["${BATCH}", "${WEB}"] }',
      'config.yaml:4:29  clients.tokens[1].token: is also the token at line 3; write another one',
    ],
    [
      '    - { name: web, token: "${WEB}" }\n    - { name: web, token: "${BATCH}" }',
      '"web" is a client already; write its tokens as a list, token: [new, old]',
    ],
    ['    - { name: web, token: "${WEB}", quota: 0% }', '"0%" is not between 0% and 100%'],
    ['    - { name: web, token: "${WEB}", priority: urgent }', '"urgent" is not one of high, normal, low'],
    ['    - { name: web, token: "${WEB}", allow: [goe] }', '"goe" is not an upstream; did you mean "geo"?'],
    ['    - { name: web, token: "${WEB}", allow: [other] }', 'write one of pay, geo'],
    ['    - { name: web, tokens: "${WEB}" }', 'clients.tokens[0].tokens: unknown key'],
  ])('%s', (tokens, message) => {
    const problems = problemsOf(tokens);
    expect(problems.join('\n')).toContain(message);
    for (const secret of Object.values(ENV)) expect(problems.join('\n')).not.toContain(secret);
  });

  test('there are at most 200 clients', () => {
    const many = Array.from(
      { length: 201 },
      (_, i) => `    - { name: c${i}, token: token-of-client-${1000 + i} }`,
    );
    expect(problemsOf(many.slice(1).join('\n'))).toEqual([]);
    expect(problemsOf(many.join('\n'))).toEqual([expect.stringContaining('has more than 200 clients')]);
  });
});

test('the admin API shows clients without their tokens', () => {
  const loaded = load('    - { name: batch, token: ["${BATCH}", "${WEB}"], allow: geo }');
  if (!loaded.ok) throw new Error('not loaded');
  const shown = JSON.stringify([shownConfig(loaded.config), processValues(loaded)]);
  expect(processValues(loaded).find(({ key }) => key === 'clients.tokens[0]')).toEqual({
    key: 'clients.tokens[0]',
    shown: '{ name: batch, token: [redacted], allow: [geo] }',
    origin: 'config.yaml:3',
  });
  for (const secret of Object.values(ENV)) expect(shown).not.toContain(secret);
});

test('an address in the network with an added credential is warned of, unless clients need tokens', () => {
  const warningsOf = (tokens: string) => {
    const loaded = load(tokens, 'listen: 0.0.0.0:8080\n');
    return loaded.ok ? loaded.warnings.map(formatProblem) : [];
  };
  const [warning = '', ...more] = warningsOf('');
  expect(warning).toContain('the routes of pay add a credential');
  expect(warning).toContain('set clients.tokens, listen on 127.0.0.1');
  expect(warning.split('\n')).toHaveLength(1);
  expect(more).toEqual([]);
  expect(warningsOf('    - { name: web, token: "${WEB}" }')).toEqual([]);
});
