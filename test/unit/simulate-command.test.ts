import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulate } from '../../src/cli/simulate.ts';
import type { Report } from '../../src/simulate/report.ts';
import { runCommand } from '../support/run-command.ts';

const CONFIG = `
upstreams:
  api:
    url: https://api.example
    timeouts: { attempt: 1s, total: 8s }
    routes:
      - { name: bold, match: { path: /bold }, retry: { budget: { ratio: 3, refill: 100/s } }, breaker: off, concurrency: off }
      - { name: write, match: { method: POST, path: /write } }
      - { name: charge, match: { method: POST, path: /charge }, retry: { idempotency_key: inject } }
      - { name: ask, match: { method: POST, path: /ask }, retry: { safe: true } }
      - name: stream
        match: { path: /stream }
        stream: { first_event: 1s, error: [{ event: error, body: { /error/type: over* }, status: 529 }], done: [{ event: end }] }
  plain: { url: https://plain.example }
  keys:
    url: https://keys.example
    targets:
      - { name: a, headers: { set: { authorization: "Bearer a" } } }
      - { name: b, headers: { set: { authorization: "Bearer b" } } }
      - { name: spare, url: https://spare.example, tier: 2 }
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'breakwater-simulate-'));
  writeFileSync(join(folder, 'config.yaml'), CONFIG);
  writeFileSync(join(folder, 'broken.yaml'), 'upstreams: 5');
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) => runCommand(simulate, args, { cwd: folder });

const SMALL = ['--rps', '8', '--for', '10s'];
const report = async (...args: string[]) => JSON.parse((await run(...args, '--json')).out) as Report;

describe('the same seed', () => {
  test('gives the same output, and another seed a different one', async () => {
    const once = await run('api', ...SMALL, '--json');
    expect(await run('api', ...SMALL, '--json')).toEqual(once);
    expect((await run('api', ...SMALL, '--json', '--seed', '2')).out).not.toBe(once.out);
  });

  test('gives both configurations the same load', async () => {
    const { config, defaults } = await report('api', ...SMALL);
    expect(defaults?.figures.whole.requests).toBe(config.figures.whole.requests);
  });
});

describe('as text', () => {
  test('figures next to those of the defaults, the bound and a chart', async () => {
    const { code, out } = await run('api', '--fault', 'outage');
    expect(code).toBe(0);
    expect(out).toMatch(
      /^api, route default: outage for 20s at 80 requests\/s; capacity 100\/s, 100ms each, seed 1\n/,
    );
    expect(out).toMatch(/as configured +built-in defaults/);
    expect(out).toMatch(/attempts per request +during the fault +0\.\d\d +0\.\d\d\n/);
    expect(out).toMatch(/success +during the fault +\d+\.\d % +\d+\.\d %\n/);
    expect(out).toMatch(/the minute after +9\d\.\d % +9\d\.\d %\n/);
    expect(out).toMatch(/time to recover +[0-5] s +[0-5] s\n/);
    expect(out).toMatch(/\d+ \+ 1 · \(10 \+ 0\.1 · \d+\) \+ 1 · \d+ = \d+ attempts\. This run had \d+\./);
    expect(out).toMatch(/Failed during the fault: breaker_open \d+/);
    expect(out).toMatch(/100 % ▕█+/);
    expect(out).toContain('└── outage ──┘');
  });

  test('says that the configuration is the default', async () => {
    const { out } = await run('plain', ...SMALL);
    expect(out).toContain('These are the built-in defaults.');
    expect(out).not.toContain('built-in defaults  ');
  });

  test('a brownout that an aggressive configuration sustains, and the default does not', async () => {
    const { out, err } = await run('api', '--route', 'bold', '--fault', 'brownout', '--rps', '16');
    expect(err).toMatch(/^warning: 16\/s · \(1 \+ 2\).*sustain an outage, and no breaker or adaptive limit/);
    expect(out).toMatch(/time to recover +never \(in 180 s\) +\d+ s\n/);
  });

  test('no warning if there is capacity for the retries', async () => {
    expect((await run('api', ...SMALL, '--capacity', '20')).err).toBe('');
  });

  test('a flaky upstream has a rescued share', async () => {
    expect((await run('api', ...SMALL, '--fault', 'flaky=0.3')).out).toMatch(
      /rescued +of what retries could +\d+\.\d %/,
    );
  });
});

describe('streams', () => {
  test.each(['stall', 'error-event'])(
    '%s: a route with stream rescues what the defaults lose',
    async (fault) => {
      // Another seed may have so many failures in a row that the breaker opens.
      const args = ['api', '--route', 'stream', '--fault', `${fault}=0.3`, ...SMALL, '--seed', '2'];
      const { config, defaults } = await report(...args);
      expect(config.figures.rescued).toBeGreaterThan(0.9);
      expect(defaults?.figures.rescued).toBe(0);
      expect((await run(...args)).out).toContain('to the first event of each stream');
    },
  );

  test('a route with stream is answered with streams, whatever the fault', async () => {
    const args = ['--fault', 'brownout', ...SMALL];
    expect((await report('api', '--route', 'stream', ...args)).scenario.streams).toBe(true);
    expect((await report('api', '--route', 'ask', ...args)).scenario.streams).toBeUndefined();
  });
});

describe('targets', () => {
  const sharesOf = async (...args: string[]) =>
    ((await report('keys', ...SMALL, ...args)).config.targets ?? []).map(
      ({ name, faulty, during }) =>
        `${name} ${faulty ? 'fails' : 'works'} ${during > 0.2 ? 'much' : 'little'}`,
    );

  test('all have the fault if none is named', async () => {
    const { out } = await run('keys', ...SMALL);
    expect(out).toMatch(
      /^keys, route default: outage of all targets for 10s .* capacity 10\/s for each target,/,
    );
    expect(out).toMatch(/share of a +during the fault +\d+\.\d %\n/);
    expect(out).toContain('(capacity 30)');
    expect(out).toContain('These are the built-in defaults.');
  });

  test('one key whose quota is used up leaves its calls to the other', async () => {
    const args = ['--target', 'a', '--fault', 'exhausted'];
    expect(await sharesOf(...args)).toEqual(['a fails little', 'b works much', 'spare works little']);
    expect((await report('keys', ...SMALL, ...args)).config.figures.during.success).toBe(1);
  });

  test('the outage of the host of two keys is one of both', async () => {
    const args = ['--target', 'b', '--fault', 'outage'];
    expect((await sharesOf(...args)).slice(0, 2)).toEqual([
      expect.stringMatching('a fails'),
      expect.stringMatching('b fails'),
    ]);
    expect((await run('keys', ...SMALL, ...args)).out).toContain('outage of targets a, b for 10s');
  });

  test.each([
    ['keys', 'keys has no target "c"; write one of a, b, spare\n'],
    ['api', 'api has no target "c"; it has no targets\n'],
  ])('an unknown one of %s', async (upstream, err) => {
    expect(await run(upstream, '--target', 'c')).toEqual({ code: 1, out: '', err });
  });
});

describe('the scenario', () => {
  test('has the values of the options', async () => {
    const args = [
      '--fault',
      'flaky=25%',
      '--for',
      '5s',
      '--rps',
      '4',
      '--callers',
      '3',
      '--latency',
      '50ms',
      '--seed',
      '9',
    ];
    expect((await report('api', ...args)).scenario).toEqual({
      fault: { kind: 'flaky', share: 0.25 },
      faultAtMs: 60_000,
      faultMs: 5_000,
      endMs: 245_000,
      ratePerSecond: 4,
      callers: 3,
      capacityPerSecond: 5,
      serviceMs: 50,
      seed: 9,
    });
  });

  test('the number of callers multiplies the budgets', async () => {
    const { config: one } = await report('api', '--fault', 'exhausted', '--rps', '40');
    const { config: forty } = await report('api', '--fault', 'exhausted', '--rps', '40', '--callers', '40');
    expect(one.figures.during.attemptsPerRequest).toBeLessThan(1.1);
    expect(forty.figures.during.attemptsPerRequest).toBeGreaterThan(
      2 * one.figures.during.attemptsPerRequest,
    );
  });

  test('a POST is repeated only with a key or on a safe route', async () => {
    const flaky = ['--fault', 'flaky=0.5', ...SMALL];
    const { config: write } = await report('api', '--route', 'write', ...flaky);
    const { config: charge, defaults } = await report('api', '--route', 'charge', ...flaky);
    expect(write.figures.whole.attempts).toBeLessThanOrEqual(write.figures.whole.requests);
    expect(charge.figures.whole.attempts).toBeGreaterThan(charge.figures.whole.requests);
    const ask = await report('api', '--route', 'ask', ...flaky);
    expect(ask.config.figures.whole.attempts).toBeGreaterThan(ask.config.figures.whole.requests);
    expect(ask.defaults?.figures.whole.attempts).toBeGreaterThan(ask.config.figures.whole.requests);
    // The meaning of a key is a fact about the API, which the defaults do not change.
    expect(defaults?.figures.whole.attempts).toBeGreaterThan(charge.figures.whole.requests);
  });

  test('attempts never exceed the bound', async () => {
    for (const fault of ['exhausted', 'rate-limited', 'flapping', 'flaky=0.6']) {
      const { config } = await report('api', '--fault', fault, ...SMALL, '--callers', '4');
      expect(config.figures.whole.attempts).toBeLessThanOrEqual(config.bound.attempts);
    }
  });
});

test('--svg writes a chart with both configurations', async () => {
  const { code } = await run('api', ...SMALL, '--svg', 'chart.svg');
  const svg = readFileSync(join(folder, 'chart.svg'), 'utf8');
  expect(code).toBe(0);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 \d+ \d+" role="img">/);
  expect(svg).toContain('<title>api, route default: outage for 10 s at 8/s</title>');
  expect(svg.match(/<path class="a" d="M/g)).toHaveLength(2);
  expect(svg.match(/<path class="b" d="M/g)).toHaveLength(2);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});

test('a line has a gap if nothing arrived', async () => {
  await run('api', '--rps', '0.2', '--svg', 'gaps.svg');
  const svg = readFileSync(join(folder, 'gaps.svg'), 'utf8');
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  expect(svg).toMatch(/class="a" d="M[^"]*M/);
});

test('an SVG that cannot be written is a failure', async () => {
  const { code, err } = await run('api', ...SMALL, '--svg', 'no/such/folder.svg');
  expect(code).toBe(1);
  expect(err).toContain('cannot write no/such/folder.svg');
});

test('--help is a success', async () => {
  const { code, out, err } = await run('--help');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^Usage: breakwater simulate UPSTREAM/);
});

test.each([
  [[], 'UPSTREAM is missing'],
  [['api', 'more'], "unexpected argument 'more'"],
  [['api', '--fault', 'meteor'], '--fault meteor: write one of brownout'],
  [['api', '--for', '20'], '--for: "20" has no unit'],
  [['api', '--for', '0s'], '--for and --latency must be more than 0'],
  [['api', '--rps', '0'], '--rps: "0" is not a number from 0.001'],
  [['api', '--rps', ''], '--rps: "" is not a number'],
  [['api', '--rps', '1e99'], '--rps: "1e99" is not a number'],
  [['api', '--capacity', 'lots'], '--capacity: "lots" is not a number'],
  [['api', '--callers', '1.5'], '--callers: "1.5" is not a whole number'],
  [['api', '--seed=-1'], '--seed: "-1" is not a whole number'],
  [['api', '--rps', '90000'], 'more than 2000000 calls; lower --rps and --capacity by the same factor'],
])('%j is wrong usage', async (args, why) => {
  const { code, out, err } = await run(...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(`breakwater: ${why}`);
  expect(err).toContain('Usage: breakwater simulate');
});

test.each([
  [['nope'], 'there is no upstream "nope"; write one of api, plain'],
  [
    ['api', '--route', 'nope'],
    'api has no route "nope"; write one of bold, write, charge, ask, stream, default',
  ],
  [['api', '--config', 'broken.yaml'], 'broken.yaml:1:12'],
])('%j fails', async (args, why) => {
  const { code, out, err } = await run(...args);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toContain(why);
});

test('starting the proxy does not load the simulation', () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file) || !existsSync(file)) return;
    seen.add(file);
    for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(
      /^import\s(?!type)[^'"]*['"](\.[^'"]+)['"]/gm,
    )) {
      visit(join(dirname(file), target));
    }
  };
  visit('src/cli/start.ts');
  visit('src/main.ts');
  expect(seen.size).toBeGreaterThan(30);
  expect([...seen].filter((file) => file.includes('simulate'))).toEqual([]);
});
