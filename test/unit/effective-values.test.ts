import { expect, test } from 'vitest';
import type { z } from 'zod';
import type { RouteConfig } from '../../src/config/config.ts';
import { type Field, isList, keysOf, leafOf } from '../../src/config/fields/field.ts';
import { sharedSchema } from '../../src/config/keys/schema.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { routeValues } from '../../src/config/show/effective.ts';

/** Every single value that a route can have, by its dotted key. */
function leaves(schema: z.ZodType, path: readonly string[] = []): [string, Field][] {
  return Object.entries(keysOf(schema) ?? {}).flatMap(([name, child]): [string, Field][] => {
    const leaf = leafOf(child);
    // Lists of maps have tests of their own.
    if (leaf === undefined) return isList(child) ? [] : leaves(child, [...path, name]);
    return name === '' ? [] : [[[...path, name].join('.'), leaf]];
  });
}

/** Values where the kind of a key does not say which other value is legal. */
const OTHER: Readonly<Record<string, string>> = {
  'faults.status': '503',
  'retry.statuses': '[503]',
  'retry.not_processed': '[429]',
  'retry.grpc_statuses': '[unavailable]',
  'retry.idempotency_header': 'x-key',
  'retry.veto_headers': '[x-veto]',
  'retry.budget.refill': '7/s',
  'concurrency.mode': 'off',
  'quota.windows': '[7/s]',
  'quota.cost.header': 'x-cost',
  'quota.cost.body': '/max_tokens',
  'quota.cost.reply': '[[/a], [/b, /c]]',
  'quota.client': 'header:x-app',
  'quota.credential_headers': '[x-caller]',
  'stream.ignore': '[ping]',
  'cache.vary': '[x-region]',
  'identity.secret_names': '[x-own-secret]',
  'identity.account_names': '[x-own-account]',
  'identity.ignored_names': '[x-token]',
  'fallback.upstream': 'spare',
  'fallback.path': '/other/**',
  'fallback.headers.remove': '[x-a]',
  'fallback.statuses': '[504]',
  'fallback.reply.status': '503',
  'fallback.reply.body': 'sorry',
};

/** These are read from files, or need a whole document: tests of their own show them. */
const ELSEWHERE =
  /^(durable\.(poll|until)\..*|connection\..*|timeouts\.connect|tls\..*|(retry|durable)\.backoff\.list)$/;

/** Other keys without which a key has no effect. */
const WITH: readonly (readonly [RegExp, string])[] = [
  [/^cache\.(?!ttl)/, 'cache.ttl: 7s'],
  [/^dedupe\.(?!window)/, 'dedupe.window: 7s'],
  [/^dedupe\./, 'retry.idempotency_key: pass'],
  [/^retry\.idempotency_header/, 'retry.idempotency_key: pass'],
  [/^durable\.(?!mode)/, 'durable.mode: on'],
  [/^(durable|retry)\.backoff\.kind/, 'durable.mode: on'],
  [/^hedge\.max_extra/, 'hedge.after: 7s'],
  [/^stream\.(ignore|hold)/, 'stream.first_event: 7s'],
  [/^breaker\.slow\.rate/, 'breaker.slow.duration: 7s'],
  [/^fallback\.(?!upstream|reply)/, 'fallback.upstream: spare'],
  [/^fallback\.reply\.body/, 'fallback.reply.status: 503'],
  [/^faults\.(percent|header)/, 'faults.status: 503'],
];

/** Another legal value than the built-in one, as it would be written. */
function sample(key: string, { kind, type, builtIn }: Field): string {
  const other = OTHER[key];
  if (other !== undefined) return other;
  if (kind === 'duration') return '7s';
  if (kind === 'size') return '7KiB';
  if (kind === 'percentage') return '77%';
  if (type === 'true or false') return String(builtIn !== true);
  if (typeof builtIn === 'number' || / number /.test(type)) return '7';
  // `list` needs its waits.
  const words = type.split(', ').filter((word) => word !== 'list' && word !== builtIn);
  return words[0] ?? '';
}

/** `{ a: { b: 1 } }` from `a.b: 1`. */
function nested(entries: readonly (readonly [string, string])[]): string {
  const tree: Record<string, unknown> = {};
  for (const [key, text] of entries) {
    const path = key.split('.');
    const last = path.pop() ?? '';
    const at = path.reduce<Record<string, unknown>>(
      (into, part) => (into[part] ??= {}) as Record<string, unknown>,
      tree,
    );
    at[last] = text;
  }
  const write = (value: unknown): string =>
    typeof value === 'string'
      ? value
      : `{ ${Object.entries(value as object)
          .map(([key, child]) => `${key}: ${write(child)}`)
          .join(', ')} }`;
  return Object.entries(tree)
    .map(([key, value]) => `    ${key}: ${write(value)}\n`)
    .join('');
}

function load(entries: readonly (readonly [string, string])[]) {
  const yaml = `upstreams:\n  a:\n    url: https://a.example\n${nested(entries)}  spare: { url: https://b.example }\n`;
  // Without it, faults are not in effect.
  const loaded = loadConfig('config.yaml', { FAULTS: 'on' }, () => yaml);
  if (!loaded.ok) throw new Error(`${loaded.problems.map(formatProblem).join('\n')}\n${yaml}`);
  const route = loaded.config.upstreams[0]?.routes.at(-1) as RouteConfig;
  return { loaded, route, shown: routeValues(loaded, route) };
}

/** The settings of a route in a comparable form. */
const running = ({ settings }: RouteConfig) =>
  JSON.stringify(settings, (_, value: unknown) => (value instanceof Set ? [...value] : value));

const keys = leaves(sharedSchema).filter(([key]) => !ELSEWHERE.test(key));

test.each(keys)('%s: the written value is shown with its place, and is in effect', (key, about) => {
  const companions = WITH.filter(([pattern]) => pattern.test(key)).map(
    ([, entry]) => entry.split(': ') as [string, string],
  );
  const value = sample(key, about);
  const before = load(companions);
  const after = load([...companions, [key, value]]);
  const shown = after.shown.find((entry) => entry.key === key);
  expect(shown?.shown.replace(/^\[|\]$/g, '')).toBe(value.replace(/^\[|\]$/g, ''));
  expect(shown?.origin).toMatch(/^config\.yaml:\d+ \(upstreams\.a\)$/);
  expect(running(after.route)).not.toBe(running(before.route));
});

test('a value that is adaptive by default is shown as adaptive, not as off', () => {
  const { shown } = load([]);
  expect(shown.find(({ key }) => key === 'durable.concurrency')?.shown).toBe('adaptive');
});

test('a section that makes a route durable is shown as durable.mode: on, with its place', () => {
  const { shown, route } = load([['durable.attempts', '7']]);
  expect(route.settings.durable).toBeDefined();
  expect(shown.find(({ key }) => key === 'durable.mode')).toEqual({
    key: 'durable.mode',
    shown: 'on',
    origin: 'config.yaml:4 (upstreams.a)',
  });
});

test.each(['retry', 'durable'])('%s.backoff.list is what runs with kind: list', (section) => {
  const { route } = load([
    [`${section}.backoff.kind`, 'list'],
    [`${section}.backoff.list`, '[1s, 3s]'],
  ]);
  const { retry, durable } = route.settings;
  const backoff = section === 'retry' ? retry.backoff : durable?.backoff;
  expect(backoff).toMatchObject({ kind: 'list', listMs: [1_000, 3_000] });
});

test.each(['retry', 'durable'])('%s.backoff is refused where its values contradict each other', (section) => {
  expect(() => load([[`${section}.backoff.kind`, 'list']])).toThrow(
    `upstreams.a.${section}.backoff.kind: list needs its waits`,
  );
  const limits = [
    [`${section}.backoff.base`, '7m'],
    [`${section}.backoff.max`, '1m'],
  ] as const;
  expect(() => load(limits)).toThrow(`upstreams.a.${section}.backoff.base: 7m is above max, which is 1m`);
});

test('without written values everything is built in', () => {
  const { shown } = load([]);
  expect(shown.length).toBeGreaterThan(60);
  expect(shown.filter(({ origin }) => origin !== 'built-in')).toEqual([]);
});
