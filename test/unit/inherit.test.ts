import { expect, test } from 'vitest';
import { type Good, loadConfig } from '../../src/config/load.ts';
import { routeValues } from '../../src/config/show/effective.ts';

function load(text: string): Good {
  const loaded = loadConfig('config.yaml', {}, () => text);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded;
}

/** `{ 'retry.attempts': '5 · config.yaml:3 (defaults)' }` of a route. */
function valuesOf(loaded: Good, upstream: string, route: string): Record<string, string> {
  const found = loaded.config.upstreams.find(({ name }) => name === upstream);
  const config = found?.routes.find(({ name }) => name === route);
  if (config === undefined) throw new Error(`no route ${route}`);
  return Object.fromEntries(
    routeValues(loaded, config).map(({ key, shown, origin }) => [key, `${shown} · ${origin}`]),
  );
}

const LAYERS = `
defaults:
  timeouts: { attempt: 3s }
  retry:
    attempts: 5
    backoff: { base: 50ms, jitter: equal }
upstreams:
  stripe:
    url: https://api.stripe.com
    retry:
      backoff: { base: 70ms }
    routes:
      - name: charges
        match: { method: POST, path: /v1/charges }
        retry: { backoff: { max: 2s } }
`;

test('a value comes from the innermost layer that has it, with its place', () => {
  const values = valuesOf(load(LAYERS), 'stripe', 'charges');
  expect(values['timeouts.attempt']).toBe('3s · config.yaml:3 (defaults)');
  expect(values['timeouts.total']).toBe('10m · built-in');
  expect(values['retry.attempts']).toBe('5 · config.yaml:5 (defaults)');
  expect(values['retry.backoff.base']).toBe('70ms · config.yaml:11 (upstreams.stripe)');
  expect(values['retry.backoff.jitter']).toBe('equal · config.yaml:6 (defaults)');
  expect(values['retry.backoff.max']).toBe('2s · config.yaml:15 (route charges)');
});

test('a route does not change other routes', () => {
  expect(valuesOf(load(LAYERS), 'stripe', 'default')['retry.backoff.max']).toBe('10s · built-in');
});

test('every setting has an origin', () => {
  const values = valuesOf(load(LAYERS), 'stripe', 'charges');
  expect(Object.keys(values).length).toBeGreaterThan(35);
  expect(Object.values(values).filter((value) => value.includes('undefined'))).toEqual([]);
});

test('a merged value has the place of its anchor', () => {
  const loaded = load(`
x-careful: &careful
  attempts: 2
upstreams:
  a: { url: https://a.example, retry: { <<: *careful, statuses: [503] } }
  b: { url: https://b.example, retry: { <<: *careful, attempts: 4 } }
`);
  expect(valuesOf(loaded, 'a', 'default')['retry.attempts']).toBe('2 · config.yaml:3 (upstreams.a)');
  expect(valuesOf(loaded, 'a', 'default')['retry.statuses']).toBe('[503] · config.yaml:5 (upstreams.a)');
  expect(valuesOf(loaded, 'b', 'default')['retry.attempts']).toBe('4 · config.yaml:6 (upstreams.b)');
});

test('earlier merge sources win over later ones, and chains of merges unfold', () => {
  const loaded = load(`
x-one: &one { attempts: 2, idempotency_header: x-one }
x-two: &two { <<: *one, attempts: 4 }
upstreams:
  a: { url: https://a.example, retry: { <<: [*one, *two] } }
  b: { url: https://b.example, retry: { <<: [*two, *one] } }
`);
  expect(valuesOf(loaded, 'a', 'default')['retry.attempts']).toMatch(/^2 /);
  expect(valuesOf(loaded, 'b', 'default')['retry.attempts']).toMatch(/^4 /);
  expect(valuesOf(loaded, 'b', 'default')['retry.idempotency_header']).toMatch(/^x-one .*:2 /);
});

test('shorthands are keys, which are inherited like all others', () => {
  const loaded = load(`
defaults: { retry: off, breaker: off, concurrency: 7 }
upstreams:
  a:
    url: https://a.example
    routes:
      - { name: again, match: { path: /a }, retry: { attempts: 2 }, breaker: { mode: shadow }, concurrency: adaptive }
`);
  const [again, rest] = loaded.config.upstreams[0]?.routes ?? [];
  expect(rest?.settings.retry.attempts).toBe(1);
  expect(rest?.settings.breaker.mode).toBe('off');
  expect(rest?.settings.concurrency).toMatchObject({ mode: 'fixed', max: 7 });
  expect(valuesOf(loaded, 'a', 'default')['retry.attempts']).toBe('1 · config.yaml:2 (defaults)');
  expect(again?.settings.retry.attempts).toBe(2);
  expect(again?.settings.breaker.mode).toBe('shadow');
  expect(again?.settings.concurrency).toMatchObject({ mode: 'adaptive', max: 7 });
});

test('a written bound adjusts the built-in value of its pair', () => {
  const { config } = load('upstreams: { a: { url: https://a.example, retry: { backoff: { max: 50ms } } } }');
  const settings = config.upstreams[0]?.routes[0]?.settings;
  expect(settings?.retry.backoff).toMatchObject({ baseMs: 50, overloadedBaseMs: 50, maxMs: 50 });
});

test('a route has its own state for sections that it writes, and shares the rest', () => {
  const { config } = load(`
upstreams:
  a:
    url: https://a.example
    breaker: { probes: 1 }
    routes:
      - { match: { path: /b }, breaker: { window: 5s } }
      - { match: { path: /q }, retry: { budget: { cap: 1 } }, concurrency: 3 }
      - { match: { path: /r }, retry: { attempts: 2 } }
`);
  const own = config.upstreams[0]?.routes.map((route) =>
    Object.entries(route.own).flatMap(([name, isOwn]) => (isOwn ? name : [])),
  );
  expect(own).toEqual([['breaker'], ['budget', 'concurrency'], [], []]);
});

test('what a check adjusts for one route, it does not adjust for the others of the upstream', () => {
  const loaded = load(`
upstreams:
  api:
    url: https://api.example.com
    retry: { attempts: 2 }
    hedge: { after: 1s }
    routes:
      - { name: quick, match: { path: /quick }, retry: { backoff: { max: 20ms } }, hedge: { percentile: 95% } }
      - { name: keyed, match: { path: /keyed }, headers: { set: { x-api-key: k } } }
      - { name: kept, match: { path: /kept }, durable: { attempts: 3 } }
      - { name: plain, match: { path: /plain } }
`);
  const [quick, keyed, kept, plain] = ['quick', 'keyed', 'kept', 'plain'].map((route) =>
    valuesOf(loaded, 'api', route),
  );
  const apart = (name: string) =>
    [quick, keyed, kept, plain].map((values) => values?.[name]?.split(' · ')[0]);
  expect(apart('retry.backoff.base')).toEqual(['20ms', '100ms', '100ms', '100ms']);
  expect(apart('hedge.after')).toEqual(['off', '1s', '1s', '1s']);
  expect(apart('durable.mode')).toEqual(['off', 'off', 'on', 'off']);
  const counted = loaded.config.upstreams[0]?.routes.map(({ settings }) => settings.quota.credentialHeaders);
  expect(counted?.[1]).toEqual(['x-api-key']);
  expect(counted?.[3]).toContain('authorization');
  expect(counted?.[3]).toEqual(counted?.[4]);
});

test('routes share the settings that they do not write, and so do upstreams', () => {
  const { config } = load(`
defaults: { timeouts: { total: 10s } }
upstreams:
  a:
    url: https://a.example.com
    headers: { set: { x-a: b } }
    routes: [{ match: { path: /x }, breaker: { min_requests: 7 }, retry: { attempts: 7 } }]
  b: { url: https://b.example.com }
`);
  const [x, rest, other] = config.upstreams.flatMap(({ routes }) => routes.map(({ settings }) => settings));
  const shared = [
    'retry',
    'budget',
    'errorRules',
    'breaker',
    'concurrency',
    'cache',
    'dedupe',
    'quota',
  ] as const;
  expect(shared.filter((name) => x?.[name] !== rest?.[name])).toEqual(['retry', 'breaker']);
  expect(x?.retry.statuses).toBe(rest?.retry.statuses);
  const headers = config.upstreams[0]?.routes.map((route) => route.headers);
  expect(headers?.[0]).toBe(headers?.[1]);
  expect(shared.filter((name) => other?.[name] !== rest?.[name])).toEqual([]);
});
