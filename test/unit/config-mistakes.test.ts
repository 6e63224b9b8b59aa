import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';

/** The problems of a file as `check` prints them. */
function problemsOf(yaml: string): string[] {
  const loaded = loadConfig('c.yaml', {}, (path) => {
    if (path === 'c.yaml') return yaml;
    throw Object.assign(new Error('no'), { code: 'ENOENT' });
  });
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

/** One upstream, with `lines` in it. */
const upstream = (...lines: string[]): string =>
  ['upstreams:', '  pay:', '    url: https://api.example.com', ...lines.map((line) => `    ${line}`)].join(
    '\n',
  );

const url = (written: string): string => `upstreams: { pay: { url: "${written}" } }`;

/* Forty typical mistakes. Each message names the place and the fix. */
test.each<[mistake: string, yaml: string, message: string | RegExp]>([
  // --- syntax ---
  ['a tab', 'upstreams:\n\tpay: 1', 'c.yaml:2:1  a tab cannot indent; write spaces'],
  ['an open quote', 'listen: "127.0.0.1:80', /^c\.yaml:1:\d+ {2}a quote is not closed/],
  ['an open {', 'upstreams: { pay: {', /a \{ \} map is not closed; write \} at its end/],
  ['an open [', `${upstream('quota: [100/s')}`, /a \[ \] list is not closed; write \] at its end/],
  [
    '${} unquoted in { }',
    'upstreams: { pay: { url: ${URL} } }',
    /^c\.yaml:1:\d+ {2}.*quote it: "\$\{NAME\}"/,
  ],
  ['{} unquoted', 'listen: {host}:80', /quote it/],
  ['two colons', 'listen: host: 80', /a second ": " on this line; write the value in quotes/],
  ['no colon', 'listen 127.0.0.1:8080\nadmin: x', /write a colon and a space after the key/],
  ['a key twice', `${upstream()}\nupstreams: {}`, /this key is written twice; remove one/],
  [
    'shifted lines',
    'upstreams:\n  pay:\n    url: https://a.example\n   preset: stripe',
    /^c\.yaml:4:\d+ {2}.*align them/,
  ],
  ['an @', 'listen: @home', /cannot begin with this character; write it in quotes/],
  // --- names of keys ---
  [
    'circuit_breaker',
    upstream('circuit_breaker: off'),
    'c.yaml:4:5  upstreams.pay.circuit_breaker: unknown key; did you mean "breaker"?',
  ],
  ['rate_limit', upstream('rate_limit: 100/s'), /did you mean "quota"\?$/],
  ['max_retries', upstream('max_retries: 3'), /did you mean "retry\.attempts"\?$/],
  ['retry.max_retries', upstream('retry: { max_retries: 3 }'), /did you mean "attempts"\?$/],
  ['timeout', upstream('timeout: 5s'), /did you mean "timeouts"\?$/],
  ['timeouts.deadline', upstream('timeouts: { deadline: 5s }'), /did you mean "total"\?$/],
  ['retries', upstream('retries: 3'), /did you mean "retry/],
  ['backoff', upstream('backoff: { base: 1s }'), /did you mean "retry\.backoff"\?$/],
  ['base_url', 'upstreams: { pay: { base_url: https://a.example } }', /did you mean "url"\?$/],
  ['services', 'services: { pay: { url: https://a.example } }', /did you mean "upstreams"\?$/],
  ['a typo', upstream('retyr: off'), /did you mean "retry"\?$/],
  ['camelCase', upstream('retry: { idempotencyKey: pass }'), /did you mean "idempotency_key"\?$/],
  [
    'a key one level too high',
    'retry: off\nupstreams: { pay: { url: https://a.example } }',
    /did you mean "defaults\.retry"\?$|defaults/,
  ],
  // --- values ---
  ['no unit', upstream('timeouts: { total: 30 }'), /^c\.yaml:4:\d+ {2}.*30s/],
  ['a wrong unit', upstream('timeouts: { total: 30 sec }'), /write/],
  ['attempts: 0', upstream('retry: { attempts: 0 }'), /upstreams\.pay\.retry\.attempts: /],
  ['attempts as text', upstream('retry: { attempts: three }'), /upstreams\.pay\.retry\.attempts: /],
  ['yes for a choice', upstream('breaker: yes'), /upstreams\.pay\.breaker: /],
  ['100 % as number', upstream('breaker: { failure_rate: 80 }'), /%/],
  ['quota without unit', upstream('quota: [100]'), /100\/s|per|\/s/],
  ['a status that is no error', upstream('retry: { statuses: [200] }'), /retry\.statuses/],
  ['an unknown jitter', upstream('retry: { backoff: { jitter: half } }'), /full.*equal|did you mean/],
  [
    'an unknown preset',
    upstream('preset: strpe'),
    'c.yaml:4:13  upstreams.pay.preset: "strpe" is not a preset; did you mean "stripe"?',
  ],
  // --- upstreams ---
  ['no upstreams', 'listen: 127.0.0.1:8080', /no upstream is configured; write for example/],
  ['no url', 'upstreams: { pay: { preset: stripe } }', /url: is missing; write for example url: https/],
  ['no scheme', url('api.example.com'), /has no scheme; write https:\/\/ in front of it/],
  ['a private address', url('http://10.0.0.7'), /private address; write allow_private: true/],
  ['a credential in the url', url('https://user:secret@a.example'), /upstreams\.pay\.url: (?!.*secret)/],
  ['a variable that is not set', url('${PAY_URL}'), /PAY_URL.*is not set/],
  [
    'a file that does not exist',
    'admin_token: ${file:/run/secrets/x}\nupstreams: { pay: { url: https://a.example } }',
    /\/run\/secrets\/x/,
  ],
])('%s: the message names place and fix', (_, yaml, message) => {
  const problems = problemsOf(yaml);
  const fits = (problem: string) => (message instanceof RegExp ? message.test(problem) : problem === message);
  expect(problems.filter(fits)).toHaveLength(1);
  for (const problem of problems) expect(problem).toMatch(/^c\.yaml:\d+:\d+ {2}[^\n]+$/);
});
