import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { presetFile, presetOf } from '../../src/config/resolve/preset.ts';
import { routeValues } from '../../src/config/show/effective.ts';
import { PRESETS } from '../../src/presets/presets.ts';
import {
  eventMeans,
  quotasOf,
  replyMeans,
  requestRepeats,
  routeOf,
  withPreset,
} from '../support/preset-examples.ts';
import { EXAMPLES } from './presets/examples.ts';

test('every preset has examples from its sources', () => {
  expect(Object.keys(EXAMPLES)).toEqual(Object.keys(PRESETS));
  for (const { replies, hosts } of Object.values(EXAMPLES)) {
    expect(replies.length).toBeGreaterThan(1);
    expect(hosts.length).toBeGreaterThan(0);
  }
});

test.each(Object.entries(PRESETS))('%s: each of its facts has an example', (name, preset) => {
  const { replies, requests = [], quotas = [], events = [] } = EXAMPLES[name] ?? { replies: [] };
  const said = [...replies, ...events].flatMap(({ means }) => means.split(' '));
  const facts = [preset, ...(preset.routes ?? [])];
  const names = facts.flatMap(({ errors, stream }) => [...(errors?.rules ?? []), ...(stream?.error ?? [])]);
  expect(names.map((rule) => rule.name).filter((rule) => !said.includes(rule))).toEqual([]);
  const repeated = facts.filter(
    ({ retry: { safe, idempotency_key: key, attempts } = {} }) => (safe ?? key ?? attempts) !== undefined,
  );
  const ways = requests.filter(({ repeats }) => repeats !== 'none');
  expect(ways.length).toBeGreaterThanOrEqual(repeated.length);
  const buckets = facts.flatMap(({ quota }) => quota?.formats ?? []).map(({ bucket }) => bucket ?? 'default');
  const read = quotas.flatMap(({ readings }) => readings.map(({ bucket }) => bucket ?? 'default'));
  expect(buckets.filter((bucket) => !read.includes(bucket))).toEqual([]);
  const ends = facts.some(({ stream }) => stream?.done !== undefined);
  expect(events.some(({ means }) => means === 'done')).toBe(ends);
});

/** The rows of all presets, each with the name of its preset. */
const rows = <T>(
  pick: (examples: (typeof EXAMPLES)[string]) => readonly T[] | undefined,
): (T & { preset: string })[] =>
  Object.entries(EXAMPLES).flatMap(([preset, examples]) =>
    (pick(examples) ?? []).map((row) => ({ ...row, preset })),
  );

describe('the meaning of replies of each API', () => {
  test.each(rows(({ replies }) => replies))(
    '$preset: $call $status $headers $body: $means',
    ({ preset, ...example }) => {
      expect(replyMeans(preset, example)).toBe(example.means);
    },
  );
});

describe('calls that may be repeated', () => {
  test.each(rows(({ requests }) => requests))('$preset: $call: $repeats', ({ preset, call, repeats }) => {
    expect(requestRepeats(preset, call)).toBe(repeats);
  });
});

describe('the meaning of events of each API', () => {
  test.each(rows(({ events }) => events))('$preset: $event $data: $means', ({ preset, ...example }) => {
    expect(eventMeans(preset, example)).toBe(example.means);
  });
});

describe('quotas in replies of each API', () => {
  test.each(rows(({ quotas }) => quotas))('$preset: $headers', ({ preset, ...example }) => {
    const found = quotasOf(preset, example);
    expect(found).toHaveLength(example.readings.length);
    expect(found).toMatchObject(example.readings);
  });

  test('Discord’s counts are those of single routes', () => {
    expect(routeOf(withPreset('discord'), 'GET /x').settings.quota.learn).toBe(false);
  });

  test.each([
    ['openai', 'openai-organization'],
    ['azure-openai', 'api-key'],
    ['anthropic', 'x-api-key'],
    ['google', 'x-goog-api-key'],
    ['shopify', 'x-shopify-access-token'],
    ['github', 'authorization'],
  ])('%s identifies callers by %s', (preset, header) => {
    expect(routeOf(withPreset(preset), 'GET /x').settings.quota.credentialHeaders).toContain(header);
  });
});

describe('a host finds its preset', () => {
  const hosts = Object.entries(EXAMPLES).flatMap(([preset, examples]) =>
    examples.hosts.map((host) => [host, preset] as const),
  );

  test.each(hosts)('%s: %s', (host, preset) => {
    expect(presetOf(host)).toBe(preset);
    const loaded = loadConfig('c.yaml', {}, () => `upstreams:\n  api: { url: https://${host} }\n`);
    expect((loaded.ok ? loaded.hints : loaded.problems).map(formatProblem).join('\n')).toContain(
      `write preset: ${preset}`,
    );
  });

  test('each pattern of each preset has such a host', () => {
    for (const [name, { hosts: patterns }] of Object.entries(PRESETS))
      expect(EXAMPLES[name]?.hosts.length).toBeGreaterThanOrEqual(patterns.length);
  });

  test.each(['example.com', 'api.stripe.com.example.com', 'notstripe.com'])('%s: none', (host) => {
    expect(presetOf(host)).toBeUndefined();
  });
});

describe.each(Object.entries(PRESETS))('%s', (name, preset) => {
  test('is valid, changes only its own keys, and gives no warnings', () => {
    expect(withPreset(name).warnings).toEqual([]);
  });

  test('has a source for every value, and explain prints it', () => {
    const loaded = withPreset(name);
    for (const route of loaded.config.upstreams[0]?.routes ?? []) {
      const said = routeValues(loaded, route).filter(({ origin }) => origin !== 'built-in');
      expect(said.length).toBeGreaterThan(0);
      for (const { origin } of said)
        expect(origin).toMatch(new RegExp(`^preset ${name} \\(https://\\S+\\)$`));
    }
  });

  test('prints as a file with the same meaning', () => {
    const file = presetFile(name);
    if (!('text' in file)) throw new Error(file.problem);
    const own = withPreset('./own.yaml', '', { 'own.yaml': file.text }).config.upstreams[0]?.routes;
    expect(own).toEqual(withPreset(name).config.upstreams[0]?.routes);
  });

  test('names the source of every key that it has', () => {
    for (const key of Object.keys(preset.sources ?? {})) {
      const value = key
        .split('.')
        .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], preset);
      expect([key, value]).not.toEqual([key, undefined]);
    }
  });
});
