import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runCommand, type Ran } from '../support/run-command.ts';
import { check } from '../../src/cli/check.ts';
import { explain } from '../../src/cli/explain.ts';
import type { Command } from '../../src/cli/io.ts';
import { presets } from '../../src/cli/presets.ts';
import { schema } from '../../src/cli/schema.ts';
import { presetTable } from '../../src/config/resolve/preset.ts';
import { configJsonSchema } from '../../src/config/show/json-schema.ts';
import { renderOptionsTable } from '../../src/config/show/options-table.ts';

const folder = mkdtempSync(join(tmpdir(), 'breakwater-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function run(command: Command, args: readonly string[], config = ''): Promise<Ran> {
  writeFileSync(join(folder, 'config.yaml'), config);
  const env = { KEY: 'sk_live_4242', HOOK: 'https://hooks.example/services/T0/sk_live_4242' };
  return runCommand(command, args, { env, cwd: folder });
}

/** The lines of a section, without its heading. */
function sectionOf(out: string, heading: string): string[] {
  const [, rest = ''] = out.split(`${heading}\n`);
  return (rest.split('\n\n')[0] ?? '').split('\n').filter((line) => line !== '');
}

const CONFIG = `
defaults:
  timeouts: { attempt: 2s, total: 10s }
upstreams:
  pay:
    url: https://pay.example/api
    headers: { set: { x-lang: en, x-tenant: "\${KEY}", authorization: literal } }
    routes:
      - name: charges
        match: { method: POST, path: "/charges/:id" }
        retry: { idempotency_key: pass, attempts: 2, backoff: { base: 200ms } }
      - { match: { method: POST, path: /keyed }, retry: { idempotency_key: inject } }
      - { match: { method: POST, path: /never }, retry: { not_processed: [429] } }
      - { match: { path: /once }, retry: off }
      - { match: { path: /file }, resume: true }
      - { match: { method: POST, path: /grpc }, retry: { grpc_statuses: [unavailable, aborted] } }
  hook: { url: "\${HOOK}", mount: { host: hook.local } }
`;

test('names upstream, route and the URL of the attempt', async () => {
  const { code, out, err } = await run(explain, ['post', '/pay/charges/7?x=%2F'], CONFIG);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.split('\n').slice(0, 3)).toEqual([
    'POST https://pay.example/api/charges/7?x=%2F',
    '  upstream  pay',
    '  route     charges',
  ]);
});

test('lists every value with the line that set it, in columns', async () => {
  const { out } = await run(explain, ['POST', '/pay/charges/7'], CONFIG);
  const values = sectionOf(out, 'Values in effect, and where they are set');
  const columns = values.map((line) => line.trim().split(/ {2,}/));
  expect(columns).toContainEqual(['url', 'https://pay.example/api', 'config.yaml:6 (upstreams.pay)']);
  expect(columns).toContainEqual(['mount.path', '/pay', 'built-in']);
  expect(columns).toContainEqual(['timeouts.attempt', '2s', 'config.yaml:3 (defaults)']);
  expect(columns).toContainEqual(['retry.attempts', '2', 'config.yaml:11 (route charges)']);
  expect(columns).toContainEqual(['breaker.failure_rate', '80%', 'built-in']);
  expect(columns).toContainEqual(['request.max_replay', '1MiB', 'built-in']);
  expect(columns).toContainEqual(['retry.budget.refill', '0.1/s', 'built-in']);
  expect(new Set(columns.map(({ length }) => length))).toEqual(new Set([3]));
  const starts = (column: string) =>
    new Set(values.map((line) => line.indexOf(column)).filter((at) => at > 0));
  expect(starts('built-in').size).toBe(1);
});

test('a long value is in one line with its origin, and widens no other line', async () => {
  const config = `
upstreams:
  pay:
    url: https://pay.example
    retry: { statuses: [429, 500, 501, 502, 503, 504, 505, 506, 507, 508, 509] }
`;
  const { out } = await run(explain, ['GET', '/pay/x'], config);
  expect(out).toMatch(/^ {2}retry\.statuses +\[429, .*509\] {2}config\.yaml:5 \(upstreams\.pay\)$/m);
  const origins = sectionOf(out, 'Values in effect, and where they are set').map((line) =>
    line.indexOf('built-in'),
  );
  expect(Math.max(...origins)).toBeLessThan(80);
  expect(out).not.toMatch(/ $/m);
});

test('says which state the route has for itself, and which it shares', async () => {
  const config = `
defaults: { cache: 1m, quota: off }
upstreams:
  pay:
    url: https://pay.example
    breaker: { failure_rate: 50% }
    routes:
      - { name: own, match: { path: /own }, breaker: { failure_rate: 50% }, retry: { budget: { cap: 10 } } }
      - { name: plain, match: { path: /plain }, retry: { attempts: 2 } }
      - { name: once, match: { path: /once }, retry: off, quota: 10/s, concurrency: 5 }
`;
  const stateOf = async (path: string) =>
    sectionOf((await run(explain, ['GET', path], config)).out, 'State of the policies').map((line) =>
      line.trim().split(/ {2,}/),
    );
  expect(await stateOf('/pay/own')).toEqual([
    ['retry.budget', 'own (pay/own)'],
    ['cache', 'shared (pay)'],
    ['breaker', 'own (pay/own)'],
    ['concurrency', 'shared (pay)'],
  ]);
  expect(await stateOf('/pay/plain')).toEqual([
    ['retry.budget', 'shared (pay)'],
    ['cache', 'shared (pay)'],
    ['breaker', 'shared (pay)'],
    ['concurrency', 'shared (pay)'],
  ]);
  expect(await stateOf('/pay/once')).toEqual([
    ['cache', 'shared (pay)'],
    ['quota', 'own (pay/once)'],
    ['breaker', 'shared (pay)'],
    ['concurrency', 'own (pay/once)'],
  ]);
});

test('says that a download is continued, and where that is set', async () => {
  const { out } = await run(explain, ['GET', '/pay/file'], CONFIG);
  expect(out).toMatch(/resume\.attempts +3 +config\.yaml:15 \(route file\)/);
  const last = sectionOf(out, 'When the request is retried').at(-1);
  expect(last).toBe(
    '  A broken download (200, strong ETag) is continued at most 3 times, while the budget has tokens.',
  );
  const post = await run(explain, ['POST', '/pay/file'], CONFIG);
  expect(post.out).not.toContain('continued');
});

test('shows no secret: neither a value from outside nor the value of a secret header', async () => {
  const { out } = await run(explain, ['POST', '/pay/charges/7'], CONFIG);
  const columns = sectionOf(out, 'Values in effect, and where they are set').map((line) =>
    line.trim().split(/ {2,}/),
  );
  expect(columns).toContainEqual(['headers.set.x-lang', 'en', 'config.yaml:7 (upstreams.pay)']);
  expect(columns).toContainEqual(['headers.set.x-tenant', '[redacted]', 'config.yaml:7 (upstreams.pay)']);
  expect(columns).toContainEqual([
    'headers.set.authorization',
    '[redacted]',
    'config.yaml:7 (upstreams.pay)',
  ]);
  for (const args of [['--json'], []]) {
    const hook = await run(explain, ['GET', 'http://hook.local/x', ...args], CONFIG);
    expect(hook.out).toContain('https://hooks.example/[redacted]/x');
    expect(hook.out + out).not.toContain('sk_live');
  }
});

test('says that polls go to the target that has accepted the request', async () => {
  const config = `
upstreams:
  pay:
    url: https://pay.example
    durable: { poll: { target: header:location, until: { success: [{ status: 200 }], delay: { min: 2s, max: 1m } } } }
    targets: [{ name: a }, { name: b }]
`;
  const { out } = await run(explain, ['PUT', '/pay/x'], config);
  expect(out).toContain(
    'GET the URL in location, at the target that has accepted the request, is polled every 2s to 1m',
  );
});

test('shows the fallbacks in turn, without their secrets', async () => {
  const config = `
upstreams:
  pay:
    url: https://pay.example
    fallback:
      upstream: second
      next: [{ upstream: third, path: /v2/**, headers: { set: { x-lang: en, x-team: "\${KEY}", authorization: sk_live } } }]
  second: { url: https://second.example }
  third: { url: https://third.example }
`;
  const { out } = await run(explain, ['GET', '/pay/x'], config);
  expect(out).toMatch(/fallback\.upstream +second +config\.yaml:6 \(upstreams\.pay\)/);
  const [, third] = /fallback\.next\[0\] +(.*?) {2,}/.exec(out) ?? [];
  expect(third).toBe(
    '{ upstream: third, path: /v2/**, headers: { set: { x-lang: en, x-team: [redacted], authorization: [redacted] } } }',
  );
});

test.each([
  [
    'POST /pay/charges/7',
    [
      '                                    with a key                                       without a key',
      '  not sent (DNS, connect, TLS)      yes                                              yes',
      '  sent, no answer (reset, timeout)  yes                                              no',
      '  answered                          408 421 425 429 502-504 520-527 529 530 598 599  421',
      '  POST is sent at most 2 times, while the budget has tokens and the body is buffered.',
    ],
  ],
  [
    'GET /pay/x',
    [
      '  not sent (DNS, connect, TLS)      yes',
      '  sent, no answer (reset, timeout)  yes',
      '  answered                          408 421 425 429 500 502-504 507-509 512-599',
      '  GET is sent at most 3 times, while the budget has tokens and the body is buffered.',
    ],
  ],
  [
    'POST /pay/keyed',
    [
      '  not sent (DNS, connect, TLS)      yes',
      '  sent, no answer (reset, timeout)  yes',
      '  answered                          408 421 425 429 502-504 520-527 529 530 598 599',
      '  POST is sent at most 3 times, while the budget has tokens and the body is buffered.',
    ],
  ],
  [
    'POST /pay/never',
    [
      '  not sent (DNS, connect, TLS)      yes',
      '  sent, no answer (reset, timeout)  no',
      '  answered                          421 429',
      '  POST is sent at most 3 times, while the budget has tokens and the body is buffered.',
    ],
  ],
  [
    'POST /pay/grpc',
    [
      '  not sent (DNS, connect, TLS)      yes',
      '  sent, no answer (reset, timeout)  no',
      '  answered                          421',
      '  answered with a gRPC error only   unavailable aborted',
      '  POST is sent at most 3 times, while the budget has tokens and the body is buffered.',
    ],
  ],
  ['GET /pay/once', ['  never: retry.attempts is 1']],
])('says when %s is retried', async (request, lines) => {
  const { out } = await run(explain, request.split(' '), CONFIG);
  expect(sectionOf(out, 'When the request is retried')).toEqual(lines);
});

test('shows each wait and their sum, for ordinary failures and for overload', async () => {
  const { out } = await run(explain, ['GET', '/pay/x'], CONFIG);
  expect(sectionOf(out, 'Waits between attempts')).toEqual([
    '                                         min  median    max',
    '  after a failure, before attempt 2      0ms    50ms  100ms',
    '  after a failure, before attempt 3      0ms   100ms  200ms',
    '  after a failure, in all                0ms   150ms  300ms',
    '  after 429, 503, 529, before attempt 2  0ms   500ms     1s',
    '  after 429, 503, 529, before attempt 3  0ms      1s     2s',
    '  after 429, 503, 529, in all            0ms    1.5s     3s',
    '  A longer Retry-After replaces a wait, up to 90s.',
  ]);
});

const WORST = 'Worst case: every wait and every attempt takes its longest time';

test.each([
  // Two attempts of 2 s and the waits.
  ['GET /pay/x', 'attempt 3 starts at 4.3s and has until 10s (timeouts.total)'],
  ['POST /pay/charges/7', 'attempt 2 starts at 2.2s and has until 10s (timeouts.total)'],
  // Only a connection that does not come about is followed by another attempt.
  ['POST /pay/x', 'attempt 3 starts at 4.3s and has until 10s (timeouts.total)'],
  // Only its 429 is followed by another attempt, and it may come late.
  ['POST /pay/never', 'attempt 3 starts at 4.3s and has until 10s (timeouts.total)'],
])('says how long %s takes at worst', async (request, line) => {
  const { out } = await run(explain, request.split(' '), CONFIG);
  expect(sectionOf(out, WORST)[0]).toBe(`  after failures       ${line}`);
});

test('connect timeouts, not attempt timeouts, bound a call that is only retried if nothing was sent', async () => {
  const config = CONFIG.replace('attempt: 2s', 'attempt: 2s, connect: 1s');
  const { out } = await run(explain, ['POST', '/pay/x'], config);
  expect(sectionOf(out, WORST)[0]).toContain('attempt 3 starts at 2.3s');
});

test('--json prints the same as JSON', async () => {
  const { out } = await run(explain, ['GET', '/pay/x', '--json'], CONFIG);
  expect(JSON.parse(out)).toMatchObject({
    method: 'GET',
    upstream: 'pay',
    route: 'default',
    url: 'https://pay.example/api/x',
    retried: [{ calls: 'all', notSent: true, sentUnknown: true }],
    totalTimeoutMs: 10_000,
    schedule: {
      ordinary: { sum: { minMs: 0, medianMs: 150, maxMs: 300 }, lastStartsMs: 4_300, endsMs: 10_000 },
      overloaded: { sum: { maxMs: 3_000 }, lastStartsMs: 7_000 },
    },
  });
});

test('a request that no upstream takes gets the reason', async () => {
  const { code, out, err } = await run(explain, ['GET', '/nope'], CONFIG);
  expect({ code, out, err }).toEqual({
    code: 1,
    out: '',
    err: 'GET /nope: no upstream is mounted at /nope\n',
  });
});

test('--host chooses an upstream that is mounted by host', async () => {
  const { out } = await run(explain, ['GET', '/a', '--host', 'HOOK.local:8080'], CONFIG);
  expect(out).toContain('upstream  hook');
  expect(out).toContain('breakwater simulate hook --route default --fault outage');
});

test('check says ok, with the number of upstreams and routes', async () => {
  expect(await run(check, [], CONFIG)).toEqual({
    code: 0,
    out: 'config.yaml: ok (2 upstreams, 8 routes)\n',
    err: '',
  });
  const one = await run(
    check,
    ['-c', 'config.yaml'],
    'upstreams: { a: { url: https://a.example, timeouts: { attempt: 1h } } }',
  );
  expect(one.out).toBe('config.yaml: ok (1 upstream, 1 route)\n');
  expect(one.err).toMatch(/^warning: config\.yaml:1:\d+ {2}upstreams\.a\.timeouts\.attempt: /);
});

test('check prints all problems and fails; explain does too', async () => {
  const broken = 'listen: 80\nupstreams: { a: { url: a.example } }';
  for (const [command, args] of [
    [check, []],
    [explain, ['GET', '/a']],
  ] as const) {
    const { code, out, err } = await run(command, args, broken);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.split('\n')).toEqual([
      expect.stringMatching(/^config\.yaml:1:9 {2}listen: /),
      expect.stringMatching(/^config\.yaml:2:24 {2}upstreams\.a\.url: /),
      '',
    ]);
  }
});

test('check shows the next runs of schedules; explain shows the schedules of a route', async () => {
  const config = `
upstreams: { fx: { url: https://api.example.com, durable: true } }
schedules:
  rates: { cron: "0 0 1 1 *", timezone: Europe/Berlin, request: { path: "/fx/latest?key=s3cr3t" } }
`;
  const { code, out } = await run(check, [], config);
  expect(code).toBe(0);
  // Midnight in Berlin is 23:00 UTC in winter.
  const slot = String.raw`\d{4}-12-31T23:00:00\.000Z`;
  expect(out).toMatch(
    new RegExp(`^ {2}schedule rates {2}fx/default {2}next ${slot}, ${slot}, ${slot}$`, 'm'),
  );
  const explained = await run(explain, ['GET', '/fx/latest'], config);
  expect(explained.out).toContain('  Sent by schedule rates: GET /latest?…, 0 0 1 1 * (Europe/Berlin)\n');
});

test.each([
  ['a file', '', '', true],
  ['PostgreSQL', 'durable: { store: postgres://db.internal/requests }', '', false],
  ['shared', 'shared: { store: redis://redis.internal }', '', false],
  ['no quota', '', ', quota: off', false],
])('explain says whether a restart remembers the quota: %s', async (_where, top, more, remembered) => {
  const config = `${top}\nupstreams: { fx: { url: https://api.example.com, durable: true${more} } }\n`;
  const { out } = await run(explain, ['GET', '/fx/latest'], config);
  expect(out.includes('\nWhat a restart remembers\n  quota: used units, ')).toBe(remembered);
});

test('schema prints the JSON Schema, or the table', async () => {
  expect(JSON.parse((await run(schema, [])).out)).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
  expect((await run(schema, ['--markdown'])).out).toBe(renderOptionsTable());
});

test.each([
  ['check', check, ['--nope'], "Unknown option '--nope'"],
  ['check', check, ['extra'], "unexpected argument 'extra'"],
  ['explain', explain, [], 'METHOD is missing'],
  ['explain', explain, ['GET'], 'PATH is missing'],
  ['schema', schema, ['--config', 'x'], "Unknown option '--config'"],
])('wrong usage of %s is exit code 2, with the usage text', async (name, command, args, why) => {
  const { code, out, err } = await run(command, args, CONFIG);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(`breakwater: ${why}\n\nUsage: breakwater ${name}`);
});

test.each([
  ['check', check],
  ['explain', explain],
  ['schema', schema],
])('%s --help is a success', async (name, command) => {
  const { code, out, err } = await run(command, ['--help']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(new RegExp(`^Usage: breakwater ${name} `));
});

test('explain shows the values of a preset with their sources, and calls that may be repeated', async () => {
  const config = 'upstreams: { openai: { url: https://api.openai.com, preset: openai } }\n';
  const { out } = await run(explain, ['POST', '/openai/v1/chat/completions'], config);
  expect(out).toMatch(/ {2}route +chat-completions\n/);
  expect(out).toMatch(
    /retry\.safe +true +preset openai \(https:\/\/github\.com\/openai\/openai-node\/\S+\)\n/,
  );
  expect(out).toMatch(
    /errors\.rules\[0\] +\{ name: insufficient_quota, .*means: permanent, throttled: true \} +preset openai \(https:\/\/platform/,
  );
  expect(sectionOf(out, 'When the request is retried').join('\n')).toContain(
    'sent, no answer (reset, timeout)  yes',
  );
});

test('presets prints all presets, or one as a file, and lists them for an unknown name', async () => {
  const all = await run(presets, []);
  expect([all.code, all.out]).toEqual([0, presetTable()]);
  const one = await run(presets, ['slack']);
  expect(one.code).toBe(0);
  expect(one.out).toContain('\nsource: https://docs.slack.dev/apis/web-api/rate-limits\n');
  const copied = 'upstreams: { a: { url: https://a.example, preset: ./own.yaml } }\n';
  writeFileSync(join(folder, 'own.yaml'), one.out);
  expect((await run(check, [], copied)).code).toBe(0);
  expect(await run(presets, ['slak'])).toMatchObject({
    code: 1,
    err: '"slak" is not a preset; did you mean "slack"?\n',
  });
  expect((await run(presets, ['a', 'b'])).code).toBe(2);
  expect((await run(presets, ['--help'])).out).toContain('Usage: breakwater presets [NAME]');
});

test.each([
  ['POST', '', ['timeout)  no\n', '  421 425 429\n'], 'Another failure that leaves the outcome open'],
  [
    'POST',
    'retry: { idempotency_key: pass, not_processed: [423] },',
    ['with a key ', '530 598 599  421 423 425 429\n'],
    'Without a key, another failure that leaves the outcome open',
  ],
  ['POST', 'retry: { idempotency_key: inject },', ['timeout)  yes\n', ' 502-504 '], undefined],
  ['PUT', '', ['timeout)  yes\n', ' 502-504 '], undefined],
])(
  'the durable plan of a %s with "%s" shows after which failures it is sent again',
  async (method, more, lines, held) => {
    const config = `upstreams: { fx: { url: https://api.example.com, ${more} durable: true } }\n`;
    const { out } = await run(explain, [method, '/fx/latest'], config);
    const plan = out.slice(out.indexOf('Durable request'));
    expect(plan).toContain('at most 50 attempts');
    for (const line of lines) expect(plan).toContain(line);
    expect(plan.includes('ends the request as unknown_outcome')).toBe(held !== undefined);
    expect(plan).toContain(held ?? '');
  },
);

test('with on_unknown_outcome: retry a POST without a key is planned as one that may be repeated', async () => {
  const durable = async (more: string) => {
    const config = `upstreams: { fx: { url: https://api.example.com, durable: { mode: on${more} } } }\n`;
    const { out } = await run(explain, ['POST', '/fx/latest', '--json'], config);
    return (JSON.parse(out) as { durable: { retried: { sentUnknown: boolean }[] } }).durable.retried;
  };
  expect(await durable('')).toMatchObject([{ calls: 'all', sentUnknown: false, statuses: [421, 425, 429] }]);
  expect(await durable(', on_unknown_outcome: retry')).toMatchObject([{ calls: 'all', sentUnknown: true }]);
});

test('shows which clients may use a route that adds a credential', async () => {
  const args = ['POST', '/pay/keyed', '--config', 'config.yaml'];
  const { out } = await run(explain, args, CONFIG);
  expect(sectionOf(out, 'Which clients may use the route')).toEqual([
    '  The route adds authorization.',
    '  Web pages get 403 (clients.browsers).',
    '  Host may be IP addresses, names without a dot, *.localhost, *.internal, hook.local, pay.example (clients.allowed_hosts).',
  ]);
  const open = CONFIG.replace('authorization: literal', 'x-lang: de').replace('x-lang: en, ', '');
  expect((await run(explain, args, open)).out).not.toContain('Which clients may use the route');
});

test('explains when an attempt with an event stream has failed', async () => {
  const stream = (more: string) => `
    upstreams:
      llm:
        url: https://api.example.com
        retry: { safe: false }
        stream:
          first_event: 30s
          event_gap: 1m
          ignore: [ping]
          error:
            - { name: overloaded, event: error, body: { /error/type: overloaded_error }, status: 529, means: not_processed }
            - { body: { /error: "*" } }
          done: [{ event: message_stop }]
        ${more}
`;
  const heading = 'When the reply is an event stream';
  const { out } = await run(explain, ['POST', '/llm/v1'], stream(''));
  expect(sectionOf(out, heading)).toEqual([
    '  The attempt succeeds with the first meaningful event: no comment, not without data, and not in stream.ignore (ping).',
    '  Without one 30s after the head it fails.',
    '  With one of these errors as the first event it fails too:',
    '  overloaded  as 529  sent again',
    '  /error      as 502  passed on',
    '  Until then up to 64KiB are held back.',
    '  Later, 1m without a meaningful event break the stream.',
    '  A stream that ends without one of the events in stream.done is counted as incomplete.',
  ]);
  const off = stream('routes: [{ match: { path: /v1 }, stream: off }]');
  expect((await run(explain, ['POST', '/llm/v1'], off)).out).not.toContain(heading);
});

test('explains silent attempts only if no attempt timeout is written', async () => {
  const plain = 'upstreams:\n  pay: { url: https://pay.example }\n';
  const heading = 'When an attempt is silent';
  expect(sectionOf((await run(explain, ['GET', '/pay/a'], plain)).out, heading).join(' ')).toContain(
    '90th percentile of its path',
  );
  const second = async (method: string, yaml = plain) =>
    sectionOf((await run(explain, [method, '/pay/a'], yaml)).out, heading).join(' ');
  expect(await second('GET')).toContain('A parallel second attempt is sent after at least 20 s');
  expect(await second('PUT')).toContain('No second attempt is sent for a PUT');
  for (const off of ['hedge: off', 'hedge: { percentile: 95% }', 'retry: off'])
    expect(await second('GET', `defaults: { ${off} }\n${plain}`)).toContain('No second attempt');
  const written = `defaults: { timeouts: { attempt: 2s } }\n${plain}`;
  expect((await run(explain, ['GET', '/pay/a'], written)).out).not.toContain(heading);
});

test('explain names the clients that may use the upstream', async () => {
  const tokens = `clients:
  tokens:
    - { name: web, token: web-token-0123456789 }
    - { name: batch, token: batch-token-0123456789, allow: [other], priority: low, quota: 20% }
upstreams: { pay: { url: https://pay.example }, other: { url: https://other.example } }
`;
  const { out } = await run(explain, ['GET', '/pay/x'], tokens);
  expect(sectionOf(out, 'Which clients may use the route')).toEqual([
    '  Clients need a token (clients.tokens). These may use the upstream: web.',
  ]);
  expect((await run(explain, ['GET', '/other/x'], tokens)).out).toContain(
    'web, batch (low, at most 20% of the quota).',
  );
  expect(out).not.toContain('token-0123456789');
});

test('the tenant of a request: where its name comes from, how it is checked, and its URL', async () => {
  const config = `upstreams:
  shop: { url: "https://{shop}.myshopify.com", mount: { path: "/shop/{shop}" } }
  crm: { url: "https://{id}.crm.example", tenant: { header: x-id, matches: "^a" } }
`;
  const { out } = await run(explain, ['GET', '/shop/Acme/orders'], config);
  expect(out).toContain('GET https://acme.myshopify.com/orders\n');
  expect(sectionOf(out, 'The tenant')).toEqual([
    '  A call names its tenant in a segment of its path, for {shop}.',
    '  Here it is acme.',
    '  It must be one label of a host name (a-z, 0-9 and hyphens inside it). Other calls get 400 (invalid_tenant).',
    '  Each tenant has its own state and connections, for the 1000 most recently used ones (tenant.max).',
  ]);
  expect((await run(explain, ['GET', '/crm/x', '--tenant', 'a1'], config)).out).toContain(
    'https://a1.crm.example/x',
  );
  expect((await run(explain, ['GET', '/crm/x'], config)).out).toContain(
    'Here it is not given: write --tenant NAME.',
  );
  const refused = await run(explain, ['GET', '/crm/x', '--tenant', 'b'], config);
  expect([refused.code, refused.err]).toEqual([
    1,
    expect.stringContaining('invalid_tenant: the name of the tenant must be one label'),
  ]);
});
