import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { keysOf } from '../../src/config/fields/field.ts';
import { fileSchema } from '../../src/config/keys/schema.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { configJsonSchema } from '../../src/config/show/json-schema.ts';
import { renderOptionsTable } from '../../src/config/show/options-table.ts';
import { GENERIC_FORMATS } from '../../src/http/rate-limit.ts';
import { statusSet } from '../../src/http/status.ts';
import { BACKOFF_KINDS } from '../../src/policies/retry/growth.ts';

const { upstreams: ALL_UPSTREAMS = fileSchema } = keysOf(fileSchema) ?? {};
const { '': ONE_UPSTREAM = fileSchema } = keysOf(ALL_UPSTREAMS) ?? {};
const UPSTREAM_KEYS = Object.keys(keysOf(ONE_UPSTREAM) ?? {});

type Env = Readonly<Record<string, string>>;

function problems(text: string, env: Env = {}): string[] {
  const loaded = loadConfig('config.yaml', env, () => text);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

function warnings(text: string): string[] {
  const loaded = loadConfig('config.yaml', {}, () => text);
  return loaded.ok ? loaded.warnings.map(formatProblem) : ['not ok'];
}

function config(text: string, env: Env = {}): Config {
  const loaded = loadConfig('config.yaml', env, () => text);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

/** One upstream `a` with these lines below it. */
const upstream = (...lines: string[]) =>
  ['upstreams:', '  a:', '    url: https://a.example', ...lines.map((line) => `    ${line}`)].join('\n');

describe('a small file', () => {
  const { upstreams, ...rest } = config('upstreams: { stripe: { url: "https://api.stripe.com/v1/" } }');

  test('has the built-in values of the process', () => {
    expect(rest).toEqual({
      file: 'config.yaml',
      tls: undefined,
      listen: { host: '127.0.0.1', port: 8080 },
      admin: { host: '127.0.0.1', port: 8081, token: undefined },
      log: { level: 'info', requests: 'notable', slowMs: 5_000, path: 'full' },
      tracing: undefined,
      events: undefined,
      clients: {
        tokens: [],
        headTimeoutMs: 60_000,
        bodyTimeoutMs: 60_000,
        sendTimeoutMs: 60_000,
        minBytesPerSecond: 240,
        http2: false,
        maxConnections: 10_000,
        browsers: false,
        hosts: [],
      },
      bodyMemoryBytes: 64 * 2 ** 20,
      drainDelayMs: 0,
      drainTimeoutMs: 30_000,
      responseHeaders: true,
      schedules: [],
      durable: {
        store: 'breakwater.db',
        prefix: '/_breakwater',
        backlog: 100_000,
        callbacks: {
          allow: [],
          secrets: [],
          allowPrivate: false,
          timeoutMs: 15_000,
          waitsMs: [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map((s) => s * 1_000),
          deadlineMs: 4 * 86_400_000,
          retentionMs: 86_400_000,
          maxResultBytes: 2 ** 16,
        },
        credentialsKey: undefined,
      },
    });
  });

  test('has the built-in values of an upstream', () => {
    expect(upstreams).toMatchObject([
      {
        name: 'stripe',
        origin: 'https://api.stripe.com',
        basePath: '/v1',
        mount: { path: '/stripe' },
        allowPrivate: false,
        privatePath: false,
        allow: undefined,
        connection: {
          connectTimeoutMs: 2_000,
          keepAliveMs: 4_000,
          maxAgeMs: 300_000,
          http2: 'off',
          proxy: undefined,
          tls: {
            ca: undefined,
            cert: undefined,
            key: undefined,
            servername: undefined,
            minVersion: 'TLSv1.2',
          },
        },
      },
    ]);
  });

  test('has one route, with the built-in values of the policies', () => {
    expect(upstreams[0]?.routes).toMatchObject([
      {
        name: 'default',
        methods: undefined,
        path: '/**',
        headers: { set: [], remove: [] },
        own: {
          budget: false,
          breaker: false,
          concurrency: false,
          quota: false,
          cache: false,
          dedupe: false,
        },
        settings: {
          cache: {
            ttlMs: undefined,
            override: false,
            vary: [],
            staleWhileRevalidateMs: 0,
            staleIfErrorMs: 0,
            maxReplyBytes: 1024 * 1024,
            memoryBytes: 64 * 1024 * 1024,
          },
          dedupe: { windowMs: undefined, maxReplyBytes: 1024 * 1024, memoryBytes: 64 * 1024 * 1024 },
          hedge: 'stuck',
          attemptTimeoutMs: undefined,
          idleTimeoutMs: 60_000,
          totalTimeoutMs: 600_000,
          maxReplayBytes: 2 ** 20,
          retry: {
            attempts: 3,
            // 500 is retried for GET and HEAD only, which is classify's to know.
            statuses: statusSet([408, 425, 429, '5xx']),
            grpcStatuses: new Set(),
            notProcessed: new Set(),
            idempotencyKey: 'none',
            limitClientRetries: true,
            safe: false,
            idempotencyHeader: 'idempotency-key',
            backoff: {
              kind: 'exponential',
              baseMs: 100,
              overloadedBaseMs: 1_000,
              factor: 2,
              maxMs: 10_000,
              jitter: 'full',
              listMs: [],
            },
            retryAfterMaxMs: 90_000,
            vetoHeaders: ['x-should-retry', 'stripe-should-retry'],
          },
          errorRules: { inspect: 'errors', rules: [] },
          resumeAttempts: 0,
          budget: { cap: 10, ratio: 1, refillPerSecond: 0.1 },
          breaker: {
            mode: 'enforce',
            windowMs: 10_000,
            minRequests: 20,
            failureRate: 0.8,
            slow: undefined,
            connectFailures: 10,
            consecutiveFailures: 10,
            probes: 1,
            waitRatio: 0.05,
            minWaitMs: 500,
            maxWaitMs: 15_000,
          },
          concurrency: {
            mode: 'adaptive',
            min: 1,
            max: Infinity,
            queue: 1_000,
            waitMs: 3_000,
            latencyCeilingMs: undefined,
          },
          quota: {
            mode: 'on',
            windows: [],
            cost: { fixed: 1, header: undefined, pointer: undefined },
            scope: 'auto',
            learn: true,
            formats: GENERIC_FORMATS,
            credentialHeaders: ['authorization', 'x-api-key', 'api-key'],
            queue: 1000,
            waitMs: 30_000,
          },
          identity: { secretNames: [], accountNames: [], ignoredNames: [] },
        },
      },
    ]);
  });

  test('is deeply frozen', () => {
    const open: unknown[] = [];
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      if (!Object.isFrozen(value)) open.push(value);
      Object.values(value).forEach(visit);
    };
    visit({ upstreams });
    expect(open).toEqual([{ upstreams }]);
  });
});

test('a route has its written values as numbers', () => {
  const [route] =
    config(
      upstream(
        'routes:',
        '  - name: charges',
        '    match: { method: [post, PUT, post], path: "/v1/charges/:id" }',
        '    timeouts: { attempt: 1.5s, idle: 2m, total: 5s }',
        '    request: { max_replay: 64KiB }',
        '    retry: { statuses: [503], not_processed: [429], idempotency_key: inject, idempotency_header: X-Key, retry_after: { max: 1m },',
        '      backoff: { kind: list, list: [1s, 5s] }, budget: { cap: 3, ratio: 0.1, refill: 6/m } }',
        '    breaker: { mode: shadow, slow: { duration: 5s, rate: 50% }, wait: { ratio: 0.2, min: 1s, max: 1m } }',
        '    concurrency: { mode: fixed, max: 4, queue: 0, wait: 0s, latency_ceiling: 3s }',
      ),
    ).upstreams[0]?.routes ?? [];
  expect(route).toMatchObject({
    name: 'charges',
    methods: ['POST', 'PUT'],
    path: '/v1/charges/:id',
    settings: {
      attemptTimeoutMs: 1_500,
      idleTimeoutMs: 120_000,
      totalTimeoutMs: 5_000,
      maxReplayBytes: 65_536,
      retry: {
        statuses: new Set([503]),
        notProcessed: new Set([429]),
        idempotencyKey: 'inject',
        idempotencyHeader: 'x-key',
        retryAfterMaxMs: 60_000,
        backoff: { kind: 'list', listMs: [1_000, 5_000] },
      },
      budget: { cap: 3, ratio: 0.1, refillPerSecond: 0.1 },
      breaker: {
        mode: 'shadow',
        slow: { durationMs: 5_000, rate: 0.5 },
        waitRatio: 0.2,
        minWaitMs: 1_000,
        maxWaitMs: 60_000,
      },
      concurrency: { mode: 'fixed', max: 4, queue: 0, waitMs: 0, latencyCeilingMs: 3_000 },
    },
  });
});

test('a route adds to the header rules of its upstream, and wins for the same name', () => {
  const [a] = config(
    upstream(
      'headers: { set: { Authorization: a, x-lang: en, x-old: "1" }, remove: [x-internal, cookie] }',
      'routes: [{ match: { path: /x }, headers: { set: { authorization: b, Cookie: c }, remove: X-Old } }]',
    ),
  ).upstreams;
  expect(a?.routes.map(({ headers }) => headers)).toEqual([
    {
      set: [
        ['authorization', 'b'],
        ['x-lang', 'en'],
        ['Cookie', 'c'],
      ],
      remove: ['x-internal', 'cookie', 'x-old'],
    },
    {
      set: [
        ['Authorization', 'a'],
        ['x-lang', 'en'],
        ['x-old', '1'],
      ],
      remove: ['x-internal', 'cookie'],
    },
  ]);
});

test('the fallback of the inner layer wins, and a route can turn it off', () => {
  const [a] = config(
    `${upstream(
      'fallback: { upstream: b, path: /x/** }',
      'routes:',
      '  - { match: { path: /static }, fallback: { reply: { status: 203, body: "[]" } } }',
      '  - { match: { path: /none }, fallback: off }',
    )}\n  b: { url: https://b.example, fallback: { reply: { status: 503 } } }`,
  ).upstreams;
  expect(a?.routes.map(({ settings }) => settings.fallback)).toMatchObject([
    { upstreams: [], reply: { status: 203, set: [['content-type', 'application/json']], body: '[]' } },
    undefined,
    { upstreams: [{ upstream: 'b', path: '/x/**', unsafe: false }], reply: undefined, reserve: 0.3 },
  ]);
});

test('fallbacks are in the order in which they are written, and the fixed reply of their layer is the last', () => {
  const [a] = config(
    `${upstream(
      'fallback: { upstream: b, next: [{ upstream: c, path: /c/**, unsafe: true }], reply: { status: 200 } }',
      'routes:',
      '  - { match: { path: /two }, fallback: { next: [{ upstream: d }] } }',
      '  - { match: { path: /static }, fallback: { reply: { status: 204 } } }',
      '  - { match: { path: /none }, fallback: off }',
    )}\n${['b', 'c', 'd'].map((name) => `  ${name}: { url: https://${name}.example }`).join('\n')}`,
  ).upstreams;
  const shown = a?.routes.map(({ settings: { fallback } }) => [
    ...(fallback?.upstreams.map(({ upstream: name, path, unsafe }) => `${name} ${path} ${unsafe}`) ?? []),
    fallback?.reply?.status,
  ]);
  expect(shown).toEqual([
    ['b /** false', 'd /** false', 200],
    [204],
    [undefined],
    ['b /** false', 'c /c/** true', 200],
  ]);
});

test('a second attempt in parallel with a stuck one is built in; a written hedge or attempt timeout takes its place', () => {
  const text = upstream(
    'routes:',
    '  - { match: { path: /off }, hedge: off }',
    '  - { match: { path: /slow }, hedge: { percentile: 95% } }',
    '  - { match: { path: /cut }, timeouts: { attempt: 5s } }',
    '  - match: { path: /outer }',
    '    hedge: stuck',
  );
  const hedges = (yaml: string) => config(yaml).upstreams[0]?.routes.map(({ settings }) => settings.hedge);
  const usual = { after: { percentile: 0.95 }, maxExtra: 0.02 };
  expect(hedges(text)).toEqual([undefined, usual, undefined, 'stuck', 'stuck']);
  const fixed = `defaults: { hedge: { after: 300ms } }\n${text}`;
  const written = { after: { ms: 300 }, maxExtra: 0.02 };
  expect(hedges(fixed)).toEqual([undefined, usual, written, 'stuck', written]);
  // Only what somebody wrote is worth a warning.
  const once = loadConfig('config.yaml', {}, () => upstream('retry: off'));
  expect(once.ok && once.warnings).toEqual([]);
  const cut = loadConfig('config.yaml', {}, () => upstream('hedge: stuck', 'timeouts: { attempt: 5s }'));
  expect(cut.ok && cut.warnings.map(({ message }) => message)).toEqual([
    'stuck has no effect, because timeouts.attempt is set; remove one',
  ]);
});

test('the hedge of the inner layer wins, and one that cannot happen gives a warning', () => {
  const text = upstream(
    'hedge: { percentile: 95% }',
    'routes:',
    '  - { match: { path: /fixed }, hedge: { after: 300ms, max_extra: 5% } }',
    '  - { match: { path: /none }, hedge: off }',
    '  - { match: { path: /once }, retry: off }',
  );
  const hedges = config(text).upstreams[0]?.routes.map(({ settings }) => settings.hedge);
  const usual = { after: { percentile: 0.95 }, maxExtra: 0.02 };
  expect(hedges).toEqual([{ after: { ms: 300 }, maxExtra: 0.05 }, undefined, usual, usual]);
  const loaded = loadConfig('config.yaml', {}, () => text);
  expect(loaded.ok && loaded.warnings.map(({ message }) => message)).toEqual([
    'has no effect, because retry.attempts is 1 and the second attempt counts too; write retry.attempts: 2 or more',
  ]);
});

test('an allow-list has methods and patterns, and removes headers that would get around it', () => {
  const [a] = config(upstream('allow: ["GET /v1/**", "get,POST /v1/charges", ANY /ping]')).upstreams;
  expect(a?.allow).toEqual({
    mode: 'enforce',
    rules: [
      { methods: ['GET'], path: '/v1/**' },
      { methods: ['GET', 'POST'], path: '/v1/charges' },
      { methods: undefined, path: '/ping' },
    ],
  });
  expect(a?.routes[0]?.headers.remove).toContain('x-http-method-override');
});

test('an allow-list in shadow mode changes no header, and warns that it denies nothing', () => {
  const text = upstream('allow: { mode: shadow, calls: ["GET /v1/**"] }');
  const loaded = loadConfig('config.yaml', {}, () => text);
  if (!loaded.ok) throw new Error('refused');
  const [a] = loaded.config.upstreams;
  expect(a?.allow).toEqual({ mode: 'shadow', rules: [{ methods: ['GET'], path: '/v1/**' }] });
  expect(a?.routes[0]?.headers.remove).toEqual([]);
  expect(loaded.warnings.map(formatProblem)).toEqual([
    'config.yaml:4:20  upstreams.a.allow.mode: shadow denies nothing: calls that are not on the list are sent',
  ]);
});

test('headers, mount by host and connections of an upstream', () => {
  const [a] = config(
    upstream(
      'mount: { host: API.Local. }',
      'headers: { set: { Authorization: "Bearer ${KEY}", x-lang: "" }, remove: [X-Internal, cookie] }',
      'timeouts: { connect: 500ms }',
      'connection: { keep_alive: 1s, max_age: 1h }',
    ),
    { KEY: 'k' },
  ).upstreams;
  expect(a).toMatchObject({
    mount: { host: 'api.local' },
    routes: [
      {
        headers: {
          set: [
            ['Authorization', 'Bearer k'],
            ['x-lang', ''],
          ],
          remove: ['x-internal', 'cookie'],
        },
      },
    ],
    connection: { connectTimeoutMs: 500, keepAliveMs: 1_000, maxAgeMs: 3_600_000 },
  });
});

test('numbers and switches can come from the environment', () => {
  const { listen, responseHeaders, upstreams } = config(
    `listen: \${LISTEN}\nresponse_headers: \${HEADERS}\n${upstream('retry: { attempts: "${N}" }', 'concurrency: ${LIMIT}')}`,
    { LISTEN: '[::1]:0', HEADERS: 'false', N: '7', LIMIT: '9' },
  );
  expect(listen).toEqual({ host: '::1', port: 0 });
  expect(responseHeaders).toBe(false);
  expect(upstreams[0]?.routes[0]?.settings).toMatchObject({
    retry: { attempts: 7 },
    concurrency: { mode: 'fixed', max: 9 },
  });
});

test('the path of a mount has no slash at its end', () => {
  const mountOf = (path: string) => config(upstream(`mount: { path: ${path} }`)).upstreams[0]?.mount;
  expect(mountOf('/a/b/')).toEqual({ path: '/a/b' });
  expect(mountOf('/')).toEqual({ path: '' });
});

test('a number is a fixed limit; an adaptive limit has no bound unless one is written', () => {
  const limitOf = (line: string) => config(upstream(line)).upstreams[0]?.routes[0]?.settings.concurrency;
  expect(limitOf('concurrency: 500')).toMatchObject({ mode: 'fixed', max: 500 });
  expect(limitOf('concurrency: { max: 30 }')).toMatchObject({ mode: 'adaptive', max: 30 });
  expect(limitOf('concurrency: { min: 30 }')).toMatchObject({ mode: 'adaptive', min: 30, max: Infinity });
});

test('paths of files are relative to the config file', () => {
  const read: string[] = [];
  const loaded = loadConfig('conf/config.yaml', {}, (path) => {
    read.push(path);
    return path.endsWith('.yaml') ? 'admin_token: ${file:secrets/token}\n' + upstream() : 'a token\n';
  });
  expect(read).toEqual(['conf/config.yaml', 'conf/secrets/token']);
  expect(loaded.ok && loaded.config.admin.token).toBe('a token');
});

test.each([
  ['http://collector:4318', 'http://collector:4318/v1/traces'],
  ['https://collector/otlp/', 'https://collector/otlp/v1/traces'],
  ['http://collector:4318/v1/traces', 'http://collector:4318/v1/traces'],
])('traces for %s go to %s', (otlp, url) => {
  expect(config(`tracing: { otlp: "${otlp}" }\n${upstream()}`).tracing).toEqual({
    url,
    headers: { set: [] },
    sample: 0.1,
    service: 'breakwater',
  });
});

test('errors of gRPC are written by name', () => {
  const retry = config(upstream('retry: { grpc_statuses: [unavailable, aborted] }')).upstreams[0]?.routes[0];
  expect(retry?.settings.retry.grpcStatuses).toEqual(new Set(['unavailable', 'aborted']));
  expect(problems(upstream('retry: { grpc_statuses: [UNAVAILABLE] }'))[0]).toMatch(
    /grpc_statuses: "UNAVAILABLE" is not one of cancelled, unknown, /,
  );
});

test('a section whose keys are all commented out is empty', () => {
  expect(config(`defaults:\nlog:\n${upstream('retry:', 'routes:')}`).upstreams[0]?.routes).toHaveLength(1);
});

describe('reports all problems at once, each with its place', () => {
  test('the whole list', () => {
    const text = `# line 1
x-slow: &slow
  backoff: { base: 200 }
listen: 8080
retries: 3
upstreams:
  stripe:
    url: https://api.stripe.com
    retires: {}
    retry:
      <<: *slow
      statuses: [99]
    headers: { set: { authorization: "Bearer \${STRIPE_KEY}" } }
    routes:
      - match: { method: POST, path: v1 }
        timeouts: { connect: 1s, attempt: 5 }
  other:
    url: http://127.0.0.1:99
    mount: { path: /stripe }
    breaker: { wait: { min: 20s } }
`;
    expect(problems(text)).toEqual([
      'config.yaml:3:20  upstreams.stripe.retry.backoff.base: "200" has no unit; write 200ms or 200s',
      'config.yaml:4:9  listen: "8080" has no host; write 127.0.0.1:8080, or 0.0.0.0:8080 to be reachable from other machines',
      'config.yaml:5:1  retries: unknown key; did you mean "defaults.retry"?',
      'config.yaml:9:5  upstreams.stripe.retires: unknown key; did you mean "retry"?',
      'config.yaml:12:17  upstreams.stripe.retry.statuses: "99" is not a status from 400 to 599',
      'config.yaml:13:38  upstreams.stripe.headers.set.authorization: environment variable STRIPE_KEY is not set; set it, or write ${STRIPE_KEY:-default}',
      'config.yaml:15:38  upstreams.stripe.routes[0].match.path: "v1" does not start with /; write /v1',
      'config.yaml:16:21  upstreams.stripe.routes[0].timeouts.connect: not allowed in a route, because all routes of an upstream share its connections; write it in the upstream',
      'config.yaml:16:43  upstreams.stripe.routes[0].timeouts.attempt: "5" has no unit; write 5ms or 5s',
      'config.yaml:18:10  upstreams.other.url: 127.0.0.1 is a private address; write allow_private: true next to url if this is intended',
      'config.yaml:19:20  upstreams.other.mount.path: /stripe is already used by upstreams.stripe (line 7); change one of the two',
      'config.yaml:20:29  upstreams.other.breaker.wait.min: 20s is above max, which is 15s; lower it or raise max',
    ]);
  });

  test('a missing file', () => {
    const loaded = loadConfig('nope.yaml', {}, () => {
      throw Object.assign(new Error('…'), { code: 'ENOENT' });
    });
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
      'nope.yaml  cannot be read: no such file; write one with "breakwater init", or name another file with --config',
    ]);
  });

  test.each([
    ['upstreams:\n  a: [1, 2\n', /^config\.yaml:3:1 {2}/],
    ['upstreams:\n\ta: 1\n', /^config\.yaml:2:1 {2}a tab cannot indent/],
    [upstream('headers: { set: { a: ${KEY} } }'), /^config\.yaml:4:\d+ .*quote it: "\$\{NAME\}"/],
    ['a: 1\n---\nb: 2\n', /^config\.yaml:2:1 {2}a second YAML document/],
    [
      upstream('retry: *nope'),
      /^config\.yaml:4:12 {2}upstreams\.a\.retry: there is no anchor &nope above this line; write it, or remove the alias$/,
    ],
    [
      upstream('retry: { <<: 5 }'),
      /^config\.yaml:4:14 {2}upstreams\.a\.retry\.<<: only maps can be merged; write an alias of a map$/,
    ],
    [
      upstream('retry: &r { backoff: *r }'),
      /upstreams\.a\.retry\.backoff: this alias contains itself; remove it$/,
    ],
    [upstream('retry: &r { <<: *r }'), /upstreams\.a\.retry\.<<: this alias contains itself; remove it$/],
  ])('invalid YAML: %j', (text, first) => expect(problems(text, { KEY: 'k' })[0]).toMatch(first));

  test('continues after a duplicate key', () => {
    expect(problems(upstream('retry: off', 'retry: off', 'breaker: on'))).toEqual([
      'config.yaml:5:5  this key is written twice; remove one',
      'config.yaml:6:14  upstreams.a.breaker: "on" is not understood; write off or a map of keys',
    ]);
  });

  test.each([
    ['resume: true', 3],
    ['resume: on', 3],
    ['resume: off', 0],
    ['resume: { attempts: 7 }', 7],
  ])('%s requests the rest of a body %i times', (line, attempts) => {
    expect(config(upstream(line)).upstreams[0]?.routes[0]?.settings.resumeAttempts).toBe(attempts);
  });

  test('a contradiction is reported at the value in the inner layer', () => {
    expect(
      problems(
        `defaults: { retry: { backoff: { base: 2s } } }\n${upstream('retry: { backoff: { max: 1s } }')}`,
      ),
    ).toEqual([
      'config.yaml:5:30  upstreams.a.retry.backoff.max: 1s is below base, which is 2s; raise it or lower base',
    ]);
  });

  test('the consequence of another problem is not reported', () => {
    expect(problems('upstreams: { a: { url: 5 } }')).toEqual([
      'config.yaml:1:24  upstreams.a.url: "5" is not text; write it in quotes',
    ]);
    expect(problems('upstreams: { a: { url: "${URL}" } }')).toEqual([
      'config.yaml:1:24  upstreams.a.url: environment variable URL is not set; set it, or write ${URL:-default}',
    ]);
    expect(problems(upstream('retry: { attempts: "${N}" }'))).toHaveLength(1);
    expect(problems(upstream('headers: { remove: [a, "${N}"] }'))).toHaveLength(1);
    expect(problems(upstream('routes: [5]'))).toEqual([
      'config.yaml:4:14  upstreams.a.routes[0]: must be a map of keys',
    ]);
  });

  test('aliases that unfold without end are stopped', () => {
    const bomb = [
      'x-0: &a0 [x, x]',
      ...Array.from({ length: 20 }, (_, i) => `x-${i + 1}: &a${i + 1} [*a${i}, *a${i}]`),
    ];
    expect(problems(bomb.join('\n')).filter((line) => line.includes('too many values'))).toHaveLength(1);
  });

  test.each([
    ['[]', 'config.yaml:1:1  the file must be a map of keys'],
    [
      '',
      'config.yaml:1:1  upstreams: no upstream is configured; write for example upstreams: { demo: { url: https://api.example.com } }',
    ],
    ['upstreams: { a: 5 }', 'config.yaml:1:17  upstreams.a: must be a map of keys'],
    [
      upstream('routes: { a: 1 }'),
      'config.yaml:4:13  upstreams.a.routes: must be a list (lines that start with "- ")',
    ],
    [
      upstream('retry: { attempts: }'),
      'config.yaml:4:24  upstreams.a.retry.attempts: has no value; write a whole number from 1 to 100, or remove the key',
    ],
    [
      upstream('retry: { attempts: 2.5 }'),
      'config.yaml:4:24  upstreams.a.retry.attempts: "2.5" is not a whole number from 1 to 100',
    ],
    [
      upstream('retry: { attempts: 0 }'),
      'config.yaml:4:24  upstreams.a.retry.attempts: "0" is not a whole number from 1 to 100',
    ],
    [
      upstream('retry: { backoff: { kind: cubic } }'),
      `config.yaml:4:31  upstreams.a.retry.backoff.kind: "cubic" is not one of ${BACKOFF_KINDS.join(', ')}`,
    ],
    [
      upstream('retry: { backoff: { kind: list } }'),
      'config.yaml:4:31  upstreams.a.retry.backoff.kind: list needs its waits; write for example list: [100ms, 1s, 5s]',
    ],
    [
      upstream('retry: { backoff: { base: 20s } }'),
      'config.yaml:4:31  upstreams.a.retry.backoff.base: 20s is above max, which is 10s; lower it or raise max',
    ],
    [
      upstream('timeouts: { total: 0s }'),
      'config.yaml:4:24  upstreams.a.timeouts.total: "0ms" is too short; write at least 1ms',
    ],
    [
      upstream('timeouts: { total: 25d }'),
      'config.yaml:4:24  upstreams.a.timeouts.total: "25d" is too long; write at most 24d',
    ],
    [
      upstream('breaker: { failure_rate: 0% }'),
      'config.yaml:4:30  upstreams.a.breaker.failure_rate: "0%" is always reached; write more than 0%',
    ],
    [
      upstream('breaker: { slow: 5s }'),
      'config.yaml:4:22  upstreams.a.breaker.slow: "5s" is not understood; write off or { duration: 5s, rate: 80% }',
    ],
    [
      upstream('request: { max_replay: 2GiB }'),
      'config.yaml:4:28  upstreams.a.request.max_replay: "2GiB" is too large; write at most 1GiB',
    ],
    [
      upstream('concurrency: 0'),
      'config.yaml:4:18  upstreams.a.concurrency: "0" is not understood; write adaptive, off, a number or a map of keys',
    ],
    [
      upstream('concurrency: { min: 5, max: 2 }'),
      'config.yaml:4:25  upstreams.a.concurrency.min: 5 is above max, which is 2; lower it or raise max',
    ],
    [
      upstream('concurrency: { initial: 5 }'),
      'config.yaml:4:20  upstreams.a.concurrency.initial: this key no longer exists; write max for a limit from the start, or remove it',
    ],
    [
      upstream('concurrency: { mode: fixed }'),
      'config.yaml:4:26  upstreams.a.concurrency.mode: fixed needs a number; write for example concurrency: 20',
    ],
    [
      upstream('concurrency: { max: 5, min: 9 }'),
      'config.yaml:4:33  upstreams.a.concurrency.min: 9 is above max, which is 5; lower it or raise max',
    ],
    [
      upstream('allow_private: maybe'),
      'config.yaml:4:20  upstreams.a.allow_private: "maybe" is not true or false',
    ],
    [
      upstream('quota: 5'),
      'config.yaml:4:12  upstreams.a.quota: "5" is not understood; write off, a window such as 100/s, a list of them or a map of keys',
    ],
    [
      upstream('quota: [100/m, 100]'),
      'config.yaml:4:12  upstreams.a.quota: "100" is not a quota; write for example 100/s, 5000/h or 10/15m',
    ],
    [
      upstream('quota: [100/s, 5/x, { limt: 5/s }]'),
      'config.yaml:4:12  upstreams.a.quota: "x" is not a period; write for example 100/s, 5000/h or 10/15m; "limt" is not a key of a window; it has limit, burst and counts',
    ],
    [
      upstream('quota: 5/x'),
      'config.yaml:4:12  upstreams.a.quota: "x" is not a period; write for example 100/s, 5000/h or 10/15m',
    ],
    [
      upstream('quota: { windows: [100/s, 5/x] }'),
      'config.yaml:4:23  upstreams.a.quota.windows: "x" is not a period; write for example 100/s, 5000/h or 10/15m',
    ],
    [
      upstream('quota: { windows: { limit: 0/s } }'),
      'config.yaml:4:23  upstreams.a.quota.windows: "0/s" allows no calls; write for example 100/s, 5000/h or 10/15m',
    ],
    [
      upstream('quota: { windows: { limit: 5/s, burst: 0 } }'),
      'config.yaml:4:23  upstreams.a.quota.windows: burst: "0" is not a whole number of at least 1',
    ],
    [
      upstream('quota: { windows: { limit: 5/s, bust: 2 } }'),
      'config.yaml:4:23  upstreams.a.quota.windows: "bust" is not a key of a window; it has limit, burst and counts',
    ],
    [
      upstream('quota: { cost: { body: max_tokens } }'),
      'config.yaml:4:28  upstreams.a.quota.cost.body: "max_tokens" is not a JSON pointer; write for example /max_tokens',
    ],
    [
      upstream('quota: { cost: { body: /*/* } }'),
      'config.yaml:4:28  upstreams.a.quota.cost.body: "/*/*" is not a JSON pointer; write for example /max_tokens',
    ],
    [
      upstream('maxAttempts: 3'),
      'config.yaml:4:5  upstreams.a.maxAttempts: unknown key; did you mean "retry.attempts"?',
    ],
    [
      upstream('zzz: 3'),
      `config.yaml:4:5  upstreams.a.zzz: unknown key; write one of ${UPSTREAM_KEYS.join(', ')}`,
    ],
    [upstream('__proto__: 3'), 'config.yaml:4:5  upstreams.a.__proto__: cannot be a key; write another name'],
    [
      `${upstream()}\n  __proto__: { url: https://b.example, retires: 3 }`,
      'config.yaml:4:3  upstreams.__proto__: cannot be a key; write another name',
    ],
    [
      upstream('retry: { statuses: [200, 999, abc, 503, 200] }'),
      'config.yaml:4:24  upstreams.a.retry.statuses: "200" is not a status from 400 to 599; "999" is not a status from 400 to 599; "abc" is not a status from 400 to 599',
    ],
    [
      upstream('errors: { rules: [{ means: retry, body: { /ok: true } }] }'),
      'config.yaml:4:52  upstreams.a.errors.rules[0].body."/ok": "true" is not text; write it in quotes',
    ],
    [
      upstream('errors: { rules: [{ name: typo, status: 402 }, { status: 402, means: retry }] }'),
      'config.yaml:4:23  upstreams.a.errors.rules[0]: has no meaning, and hides the rules below it; write means, throttled or wait',
    ],
    [
      upstream('errors: { rules: [{ status: 403, means: credential_refused, throttled: true }] }'),
      'config.yaml:4:65  upstreams.a.errors.rules[0].throttled: cannot be combined with means: credential_refused, because a limit ends by itself or is that of a valid key; remove one',
    ],
    [
      upstream('hedge: { percentile: 95%, after: 300ms }'),
      'config.yaml:4:31  upstreams.a.hedge.after: cannot be combined with percentile; remove one',
    ],
    [
      upstream('hedge: { percentile: 100% }'),
      'config.yaml:4:26  upstreams.a.hedge.percentile: "100%" is not between 0% and 100%',
    ],
    [
      upstream('fallback: { upstream: b }'),
      'config.yaml:4:27  upstreams.a.fallback.upstream: there is no upstream "b"; add it, or write fallback: off',
    ],
    [
      upstream('fallback: { upstream: a }'),
      'config.yaml:4:27  upstreams.a.fallback.upstream: a cannot be its own fallback; write another upstream, or fallback: off',
    ],
    [
      `${upstream('fallback: { upstream: b }')}\n  b: { url: https://b.example, fallback: { upstream: c } }\n  c: { url: https://c.example }`,
      'config.yaml:4:27  upstreams.a.fallback.upstream: b has a fallback upstream itself, and fallbacks cannot be chained; write another upstream, or all of them here, in next',
    ],
    [
      `${upstream('fallback: { upstream: b, next: [{ upstream: c }, { upstream: b }] }')}\n  b: { url: https://b.example }\n  c: { url: https://c.example }`,
      'config.yaml:4:66  upstreams.a.fallback.next[1].upstream: b comes before already, and would only fail again; remove it',
    ],
    [
      `${upstream('fallback: { upstream: b, next: [{ upstream: c }] }', 'routes: [{ match: { path: /x }, fallback: { upstream: c } }]')}\n  b: { url: https://b.example }\n  c: { url: https://c.example }`,
      'config.yaml:5:59  upstreams.a.routes[0].fallback.upstream: c is in the inherited fallback.next too, and would only fail again; write another upstream, or next: [] here',
    ],
    [
      `${upstream('fallback: { upstream: b, next: [{ upstream: c }] }')}\n  b: { url: https://b.example, fallback: { reply: { status: 200 } } }\n  c: { url: https://c.example }`,
      'config.yaml:4:27  upstreams.a.fallback.upstream: b has a fixed reply itself, so none after it would be asked; make it the last one, or write fallback: off there',
    ],
    [
      `${upstream('fallback: { upstream: b, next: [{ upstream: c }] }')}\n  b: { url: https://b.example }\n  c: { url: https://c.example, fallback: { upstream: d } }\n  d: { url: https://d.example }`,
      'config.yaml:4:49  upstreams.a.fallback.next[0].upstream: c has a fallback upstream itself, and fallbacks cannot be chained; write another upstream, or all of them here, in next',
    ],
    [
      upstream('fallback: { next: [{ upstream: b }] }'),
      'config.yaml:4:17  upstreams.a.fallback.next: has no upstream before it; write the first one as fallback.upstream',
    ],
    [
      `${upstream('fallback: { upstream: b, next: [{ path: /x }] }')}\n  b: { url: https://b.example }`,
      'config.yaml:4:37  upstreams.a.fallback.next[0]: has no upstream; write one, or remove this item',
    ],
    [
      `${upstream('fallback: { upstream: b, next: [{ upstream: c, headers: { set: { host: x } } }] }')}\n  b: { url: https://b.example }\n  c: { url: https://c.example }`,
      'config.yaml:4:70  upstreams.a.fallback.next[0].headers.set.host: "host" cannot be set, because the proxy writes it itself; remove it',
    ],
    [
      upstream('fallback: { reply: { status: 200, headers: { content-length: "3" } } }'),
      'config.yaml:4:50  upstreams.a.fallback.reply.headers.content-length: "content-length" cannot be set, because the proxy writes it itself; remove it',
    ],
    [
      upstream('fallback: { path: x }'),
      'config.yaml:4:23  upstreams.a.fallback.path: "x" does not start with /; write /x',
    ],
    [
      upstream('allow: [/v1]'),
      'config.yaml:4:12  upstreams.a.allow: "/v1" is not a method and a path; write for example GET /v1, or ANY /v1',
    ],
    [
      upstream('allow: ["GET v1"]'),
      'config.yaml:4:12  upstreams.a.allow: "v1" does not start with /; write /v1',
    ],
    [
      upstream('allow: []'),
      'config.yaml:4:12  upstreams.a.allow: is an empty list, which allows no call; remove it to allow every call',
    ],
    [
      upstream('allow: { mode: shadow }'),
      'config.yaml:4:12  upstreams.a.allow: needs calls; write for example calls: ["GET /v1/**"]',
    ],
    [
      upstream('allow: { calls: "/v1" }'),
      'config.yaml:4:21  upstreams.a.allow.calls: "/v1" is not a method and a path; write for example GET /v1, or ANY /v1',
    ],
    [
      upstream('headers: { set: { host: a } }'),
      'config.yaml:4:23  upstreams.a.headers.set.host: "host" cannot be set, because the proxy writes it itself; remove it',
    ],
    [
      upstream('headers: { set: { "a b": a } }'),
      'config.yaml:4:23  upstreams.a.headers.set."a b": "a b" is not a header name; write for example x-api-key',
    ],
    [
      upstream('headers: { set: { X-A: a, x-a: b } }'),
      'config.yaml:4:31  upstreams.a.headers.set.x-a: is the same header as "X-A"; remove one',
    ],
    [
      upstream('headers: { set: { a: 007 } }'),
      'config.yaml:4:26  upstreams.a.headers.set.a: "7" is not text; write it in quotes',
    ],
    [
      upstream('headers: { set: { a: "b\\nc: d" } }'),
      'config.yaml:4:26  upstreams.a.headers.set.a: contains a character that is not allowed in a header, such as a line break; remove it',
    ],
    [
      upstream('mount: { path: a }'),
      'config.yaml:4:20  upstreams.a.mount.path: "a" does not start with /; write /a',
    ],
    [
      upstream('mount: { path: /a//b }'),
      'config.yaml:4:20  upstreams.a.mount.path: "/a//b" contains an empty segment; write one / instead of //',
    ],
    [
      upstream('mount: { path: /a/.. }'),
      'config.yaml:4:20  upstreams.a.mount.path: "/a/.." contains a dot segment; remove it',
    ],
    [
      upstream('mount: { path: "/a?b" }'),
      'config.yaml:4:20  upstreams.a.mount.path: "/a?b" contains a character that is not allowed in a path; remove it',
    ],
    [
      upstream('mount: { host: "a:80" }'),
      'config.yaml:4:20  upstreams.a.mount.host: "a:80" has a port; write the host without it',
    ],
    [
      upstream('mount: { path: /a, host: a }'),
      'config.yaml:4:24  upstreams.a.mount.host: cannot be combined with path; remove one',
    ],
    [
      upstream('routes: [{ name: x }]'),
      'config.yaml:4:14  upstreams.a.routes[0].match: is missing; write for example match: { method: POST, path: /v1/orders }',
    ],
    [
      upstream('routes: [{ name: default, match: { path: /a } }]'),
      'config.yaml:4:22  upstreams.a.routes[0].name: "default" is the built-in route of all other calls; write another name, or set the values in the upstream itself',
    ],
    [
      upstream('routes: [{ name: x, match: { path: /a } }, { name: x, match: { path: /b } }]'),
      'config.yaml:4:56  upstreams.a.routes[1].name: "x" is already the name of an earlier route; write another name',
    ],
    [
      upstream('routes: [{ match: { path: /a/b** } }]'),
      'config.yaml:4:31  upstreams.a.routes[0].match.path: "/a/b**": "b**" is not a segment; write ** alone between slashes',
    ],
    [
      upstream('routes: [{ match: { method: "GE T" } }]'),
      'config.yaml:4:33  upstreams.a.routes[0].match.method: "GE T" is not a method; write for example GET or [GET, POST]',
    ],
    [
      'upstreams: { a: {} }',
      'config.yaml:1:14  upstreams.a.url: is missing; write for example url: https://api.example.com',
    ],
    [
      'upstreams: { "A b": { url: https://a.example } }',
      'config.yaml:1:14  upstreams."A b": is not a valid name; write up to 63 of a-z, 0-9, _ and -, with a letter or a digit first',
    ],
    [
      `admin: 0.0.0.0:8081\n${upstream()}`,
      'config.yaml:1:8  admin: 0.0.0.0 can be reached from other machines; set admin_token, or write 127.0.0.1:8081; for Prometheus and probes alone, write metrics: 0.0.0.0:9090',
    ],
    [
      `metrics: 9090\n${upstream()}`,
      'config.yaml:1:10  metrics: "9090" has no host; write 127.0.0.1:9090, or 0.0.0.0:9090 to be reachable from other machines',
    ],
    [
      `metrics: { token: a-long-enough-token }\n${upstream()}`,
      'config.yaml:1:19  metrics.token: has no effect without metrics.listen; write listen: 0.0.0.0:9090',
    ],
    [
      `metrics: { listen: 0.0.0.0:9090, token: short }\n${upstream()}`,
      'config.yaml:1:41  metrics.token: has fewer than 16 characters, and 0.0.0.0 can be reached from other machines; write a longer one, made for example by: openssl rand -hex 16',
    ],
    [
      `metrics: 127.0.0.1:8081\n${upstream()}`,
      'config.yaml:1:10  metrics: port 8081 is already used by admin; write another one',
    ],
    [
      `admin: 0.0.0.0:8081\nadmin_token: ""\n${upstream()}`,
      'config.yaml:2:14  admin_token: is empty, which would open the admin API; write a token, or remove the key',
    ],
    [
      `listen: 127.0.0.1:8081\n${upstream()}`,
      'config.yaml:1:1  admin: port 8081 is already used by listen; write another one',
    ],
    [
      `events: { format: slack }\n${upstream()}`,
      'config.yaml:1:1  events.webhook: is missing; write for example webhook: "${EVENT_WEBHOOK}"',
    ],
    [
      `events: { webhook: "https://a.example/s3cret" }\n${upstream()}`,
      'config.yaml:1:1  events.secret: is missing, because events are signed; write for example secret: "${EVENT_SECRET}", made by: echo whsec_$(openssl rand -base64 32)',
    ],
    [
      `events: { webhook: "https://a.example/s3cret", secret: short }\n${upstream()}`,
      'config.yaml:1:56  events.secret: is not a signing secret; write whsec_ followed by base64 of 24 to 64 bytes',
    ],
    [
      `events: { webhook: "http://10.0.0.1/s3cret", format: slack }\n${upstream()}`,
      'config.yaml:1:20  events.webhook: 10.0.0.1 is a private address; write allow_private: true next to webhook if this is intended',
    ],
    [
      `events: { webhook: "hooks.example", format: slack }\n${upstream()}`,
      'config.yaml:1:20  events.webhook: is not a URL; write for example https://app.internal/hooks/breakwater',
    ],
    [
      `events: { webhook: "https://a.example", format: slack, types: [breaker] }\n${upstream()}`,
      expect.stringMatching(
        /^config.yaml:1:63 {2}events.types: "breaker" is not one of breaker.opened, /,
      ) as string,
    ],
    [
      `tracing: { sample: 5% }\n${upstream()}`,
      'config.yaml:1:1  tracing.otlp: is missing; write for example otlp: http://127.0.0.1:4318',
    ],
    [
      `tracing: { otlp: "collector:4318" }\n${upstream()}`,
      'config.yaml:1:18  tracing.otlp: needs http:// or https://; write for example http://127.0.0.1:4318',
    ],
    [
      `tracing: { otlp: "http://me:s3cret@collector:4318" }\n${upstream()}`,
      'config.yaml:1:18  tracing.otlp: contains credentials; write tracing.headers: { authorization: "Basic ${BASIC_AUTH}" } instead',
    ],
    [
      `tracing: { otlp: "http://collector:4318?key=1" }\n${upstream()}`,
      'config.yaml:1:18  tracing.otlp: contains a query or a fragment; remove it',
    ],
    [
      `tracing: { otlp: "http://collector:4318", headers: { "a b": x } }\n${upstream()}`,
      'config.yaml:1:54  tracing.headers."a b": "a b" is not a header name; write for example x-api-key',
    ],
    [
      `tracing: { otlp: "http://collector:4318", sample: 0% }\n${upstream()}`,
      'config.yaml:1:51  tracing.sample: "0%" traces nothing; write more than 0%, or remove otlp',
    ],
  ])('%j', (text, problem) => expect(problems(text)).toEqual([problem]));

  test.each([
    ['api.stripe.com/v1', 'has no scheme; write https:// in front of it'],
    ['api.stripe.com:443', 'has no scheme; write https:// in front of it'],
    ['ftp://a.example', 'ftp:// is not supported; write https:// or http://'],
    ['https://a.example?x', 'contains a query or a fragment; remove it, because clients send their own'],
    ['https://a.example/#', 'contains a query or a fragment; remove it, because clients send their own'],
    ['https://', 'is not a URL; write for example https://api.example.com'],
    [
      'http://localhost:3000',
      'localhost is a private address; write allow_private: true next to url if this is intended',
    ],
    [
      'http://0x7f.1',
      '127.0.0.1 is a private address; write allow_private: true next to url if this is intended',
    ],
    [
      'http://[::1]:80',
      '[::1] is a private address; write allow_private: true next to url if this is intended',
    ],
    [
      'http://169.254.169.254',
      '169.254.169.254 is a private address; write allow_private: true next to url if this is intended',
    ],
  ])('the URL %s', (url, problem) => {
    expect(problems(`upstreams: { a: { url: "${url}" } }`)).toEqual([
      `config.yaml:1:24  upstreams.a.url: ${problem}`,
    ]);
  });

  test('a problem that an alias repeats is reported once, where it is written', () => {
    const text = `upstreams:
  a: &x { url: https://a.example, timeouts: { atempt: 5s } }
  b: { <<: *x }
`;
    expect(problems(text)).toEqual([
      'config.yaml:2:47  upstreams.a.timeouts.atempt: unknown key; did you mean "attempt"?',
    ]);
  });

  test('an address that is allowed, and an admin with a token', () => {
    expect(
      problems(
        'admin: 0.0.0.0:1\nadmin_token: 0123456789abcdef\nupstreams: { a: { url: http://10.0.0.1, allow_private: true } }',
      ),
    ).toEqual([]);
  });
});

describe('secrets', () => {
  const SECRET = 'sk_live_4242';

  test.each([
    'url: "https://user:${KEY}@a.example"',
    'url: "${KEY}"',
    'retry: { attempts: "${KEY}" }',
    'retry: "${KEY}"',
    'timeouts: { attempt: "${KEY}" }',
    'mount: { path: "${KEY}" }',
    'mount: { path: "/a//${KEY}" }',
    'routes: [{ match: { path: "/x/${KEY}**" } }]',
    'routes: [{ match: { path: /x, method: ["a b ${KEY}"] } }]',
    'headers: { remove: ["${KEY} x"] }',
    'allow: ["GET ${KEY}"]',
    'headers: { set: { a: "${KEY}\\n" } }',
  ])('that are wrong are not quoted: %s', (line) => {
    const text = line.startsWith('url') ? `upstreams:\n  a:\n    ${line}` : upstream(line);
    const found = problems(text, { KEY: SECRET });
    expect(found).not.toEqual([]);
    expect(found.join('\n')).not.toContain(SECRET);
  });

  test('are not quoted in part by the advice', () => {
    const found = problems(upstream('breaker: { wait: { max: "${KEY}" } }'), { KEY: '9876543210minutes' });
    expect(found).toEqual(['config.yaml:4:29  upstreams.a.breaker.wait.max: "${KEY}": "…" is not a unit']);
  });

  test('are shown as their expression in the file', () => {
    expect(problems(upstream('timeouts: { attempt: "${KEY}" }'), { KEY: SECRET })).toEqual([
      'config.yaml:4:26  upstreams.a.timeouts.attempt: "${KEY}" is not a duration; write for example 500ms, 10s, 5m, 1h or 1d',
    ]);
  });
});

describe('warnings', () => {
  test.each([
    [
      upstream('timeouts: { attempt: 60m }'),
      'config.yaml:4:26  upstreams.a.timeouts.attempt: 1h is never reached, because timeouts.total is 10m; lower it, or raise timeouts.total',
    ],
    [
      upstream('stream: { first_event: 60m }'),
      'config.yaml:4:28  upstreams.a.stream.first_event: 1h is never reached, because timeouts.total is 10m; lower it, or raise timeouts.total',
    ],
    [
      upstream('retry: { backoff: { list: [1s] } }'),
      'config.yaml:4:31  upstreams.a.retry.backoff.list: has no effect with kind: exponential; write kind: list',
    ],
    [
      `defaults: { breaker: off }\n${upstream('breaker: { probes: 1 }')}`,
      'config.yaml:5:24  upstreams.a.breaker.probes: has no effect, because breaker is off in defaults; write mode here too',
    ],
    [
      upstream('routes: [{ match: { path: /a } }, { match: { method: GET, path: /a } }]'),
      'config.yaml:4:39  upstreams.a.routes[1]: is never used, because route a above takes all its calls; move it up',
    ],
    [
      upstream('allow: [ANY /v1/**, "GET,gte /v2/**"]'),
      'config.yaml:4:25  upstreams.a.allow[1]: no client of HTTP/1.1 can send the method "gte"; did you mean "GET"?',
    ],
    [
      upstream('allow: { calls: ["GET /v1", "gte /v1/**"] }'),
      'config.yaml:4:33  upstreams.a.allow.calls[1]: no client of HTTP/1.1 can send the method "gte"; did you mean "GET"?',
    ],
    [
      upstream('allow: ZZZZZZ /v1/**'),
      'config.yaml:4:12  upstreams.a.allow: no client of HTTP/1.1 can send the method "ZZZZZZ"',
    ],
    [
      upstream('routes: [{ match: { method: [any, PSOT] } }]'),
      'config.yaml:4:33  upstreams.a.routes[0].match.method: no client of HTTP/1.1 can send the method "PSOT"; did you mean "POST"?',
    ],
    [
      upstream('errors: { rules: [{ status: [200, 202], text: busy, means: retry }] }'),
      'config.yaml:4:23  upstreams.a.errors.rules[0]: has no effect, because it needs bodies that errors.inspect does not read; write inspect: all',
    ],
    [
      upstream('errors: { inspect: off, rules: [{ body: { /a: b }, means: retry }] }'),
      'config.yaml:4:37  upstreams.a.errors.rules[0]: has no effect, because it needs bodies that errors.inspect does not read; write inspect: errors',
    ],
  ])('%j', (text, warning) => expect(warnings(text)).toEqual([warning]));

  test('no warning for a rule that can match by its head, or in a route that reads more bodies', () => {
    const rule = '{ status: 200, text: busy, means: retry }';
    const route = 'routes: [{ match: { path: /a }, errors: { inspect: all } }]';
    expect(warnings(upstream(`errors: { rules: [${rule}] }`, route))).toEqual([]);
    expect(warnings(upstream(`errors: { inspect: all, rules: [${rule}] }`))).toEqual([]);
    expect(warnings(upstream('errors: { rules: [{ status: 200, means: retry }] }'))).toEqual([]);
    expect(warnings(upstream('errors: { rules: [{ status: [200, 400], text: a, wait: 1s }] }'))).toEqual([]);
    expect(warnings(upstream('errors: { rules: [{ status: 402, throttled: false }] }'))).toEqual([]);
    expect(warnings(upstream('preset: slack'))).toEqual([]);
  });

  test('no warning where a route only lowers an inherited value', () => {
    expect(warnings(upstream('routes: [{ match: { path: /a }, timeouts: { total: 5s } }]'))).toEqual([]);
    expect(warnings(upstream('retry: off'))).toEqual([]);
  });
});

describe('names of routes', () => {
  const namesOf = (...matches: string[]) =>
    config(upstream('routes:', ...matches.map((match) => `  - ${match}`))).upstreams[0]?.routes.map(
      ({ name }) => name,
    );

  test('are made from method and path', () => {
    expect(
      namesOf(
        '{ match: { method: POST, path: /v1/charges } }',
        '{ match: { method: [GET, HEAD], path: "/v1/charges/:id" } }',
        '{ match: { path: /v1/** } }',
        '{ match: { path: /v2/*/x.json } }',
        '{ match: { path: / } }',
        '{ match: { method: DELETE } }',
      ),
    ).toEqual([
      'post-v1-charges',
      'get-head-v1-charges-id',
      'v1-all',
      'v2-any-x-json',
      'root',
      'delete',
      'default',
    ]);
  });

  test('are unique: a written name wins over a made one', () => {
    expect(
      namesOf(
        '{ match: { path: /a } }',
        '{ match: { path: /a/ } }',
        '{ name: a, match: { path: /b } }',
        '{ match: { path: /default } }',
      ),
    ).toEqual(['a-2', 'a-3', 'a', 'default-2', 'default']);
  });

  test('stay short', () => {
    expect(namesOf(`{ match: { path: /${'x'.repeat(200)} } }`)?.[0]).toHaveLength(60);
  });
});

test('ANY and * are any method', () => {
  const routes = config(upstream('routes: [{ match: { method: any, path: /a } }, { match: { path: /b } }]'))
    .upstreams[0]?.routes;
  expect(routes?.map(({ methods }) => methods)).toEqual([undefined, undefined, undefined]);
});

describe('the shipped files', () => {
  const shipped = readFileSync('config.yaml', 'utf8');
  const examplesAt = shipped.indexOf('  # Real APIs');

  test('config.yaml is valid as it is, without an API key', () => expect(problems(shipped)).toEqual([]));

  test('the values in its comments are the built-in ones', () => {
    const end = shipped.indexOf('\nupstreams:');
    const said = shipped
      .slice(0, end)
      .split('\n')
      .filter((line) => !/admin_token|concurrency: adaptive/.test(line))
      .map((line) => line.replace(/^( *)# ( *[a-z_]+:(\s.*)?)$/, '$1$2'))
      .join('\n');
    expect(said).toContain('\n      cap: 10');
    expect(config(said + shipped.slice(end))).toEqual(config(shipped));
  });

  test('its examples are valid with the keys that they name', () => {
    const examples = shipped
      .slice(examplesAt)
      .replace(/^ {2}# ?( *[A-Z_]+=.*| *(?:Real APIs|Presets hold).*)?/gm, (_, prose) =>
        prose === undefined ? '  ' : '  # ',
      );
    const env = { STRIPE_SECRET_KEY: 's', OPENAI_API_KEY: 'o', GITHUB_TOKEN: 'g' };
    const text = shipped.slice(0, examplesAt) + examples;
    expect(config(text, env).upstreams.map(({ name }) => name)).toEqual([
      'demo',
      'stripe',
      'openai',
      'github',
    ]);
    expect(warnings(text.replaceAll(/\$\{[A-Z_]+(_KEY|_TOKEN)\}/g, 'k'))).toEqual([]);
  });

  test('config.schema.json is up to date', () => {
    const written: unknown = JSON.parse(readFileSync('config.schema.json', 'utf8'));
    expect(written).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
  });
});

describe('the JSON Schema', () => {
  interface Node {
    readonly $ref?: string;
    readonly anyOf?: readonly Node[];
    readonly properties?: Readonly<Record<string, Node>>;
    readonly additionalProperties?: Node | boolean;
    readonly items?: Node;
    readonly title?: string;
    readonly pattern?: string;
    readonly description?: string;
    readonly default?: unknown;
    readonly required?: readonly string[];
    readonly $defs?: Readonly<Record<string, Node>>;
  }
  const root = configJsonSchema() as Node & { $schema: string };

  test('is draft 2020-12, and knows what is required', () => {
    expect(root.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
    expect(root.$defs?.['upstream']?.required).toEqual(['url']);
  });

  test('has a title and a description for every key', () => {
    const bare: string[] = [];
    const visit = (node: Node, path: string): void => {
      for (const [key, child] of Object.entries(node.properties ?? {})) {
        const about = { ...root.$defs?.[child.$ref?.split('/').at(-1) ?? ''], ...child };
        if (about.title === undefined || about.description === undefined) bare.push(`${path}.${key}`);
        visit(child, `${path}.${key}`);
      }
      for (const child of [...(node.anyOf ?? []), node.items, node.additionalProperties]) {
        if (typeof child === 'object') visit(child, path);
      }
    };
    for (const [name, node] of [['', root] as const, ...Object.entries(root.$defs ?? {})]) visit(node, name);
    expect(bare).toEqual([]);
  });

  test('takes ${…} wherever a value has a unit', () => {
    const { pattern = '' } = root.properties?.['drain_timeout'] ?? {};
    for (const text of ['30s', '1.5 m', '${DRAIN}']) expect(text).toMatch(new RegExp(pattern));
    for (const text of ['30', '30sec', '-1s']) expect(text).not.toMatch(new RegExp(pattern));
  });
});

test('the table of options has every key once, with its default', () => {
  const rows = renderOptionsTable().split('\n').slice(2, -1);
  const keys = rows.map((row) => row.split('`')[1]);
  // tls.cert is one thing where apps connect, and another at an upstream.
  const places = rows.map((row) => row.split('|').slice(1, 3).join());
  expect(new Set(places).size).toBe(keys.length);
  expect(rows).toContain(
    '| `timeouts.connect` | defaults, upstream | a duration | `2s` | Time to connect: DNS, TCP and TLS. Not for single routes, because the routes of an upstream share connections. |',
  );
  expect(rows.filter((row) => row.split('|').length !== 7)).toEqual([]);
  for (const key of ['listen', 'url', 'headers.set.<name>', 'retry.budget.cap', 'match.path'])
    expect(keys).toContain(key);
});
