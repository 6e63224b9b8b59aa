import { expect, test } from 'vitest';
import { assemble, type Assembly } from '../../src/app/assemble.ts';
import { RetainedState } from '../../src/app/retained-state.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { atOnce, type Steps } from '../../src/runtime/event-loop.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** Assembles one configuration after another, as reloads do. */
class Reloads {
  readonly #deps = {
    clock: new FakeClock(),
    random: seededRandom(1),
    observer: {},
    memory: new ByteBudget(1_000_000),
    state: new RetainedState(),
    draining: new Abort(),
    durable: { accept: () => Promise.reject(new Error('unused')), prefix: undefined, route: () => undefined },
  };

  steps(yaml: string): Steps<Assembly> {
    return assemble(configOf(yaml), this.#deps as unknown as Parameters<typeof assemble>[1]);
  }

  load(yaml: string): Assembly {
    return atOnce(this.steps(yaml));
  }
}

function configOf(yaml: string): Config {
  const loaded = loadConfig('config.yaml', {}, () => yaml);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

const upstream = (name: string, more = '') =>
  `  ${name}:\n    url: https://${name}.example.com\n    headers: { set: { authorization: x } }\n${more}`;
const file = (...upstreams: readonly string[]) => `upstreams:\n${upstreams.join('')}`;
const SLOWER = '    timeouts: { total: 50s }\n';

/** The names of the upstreams that `after` has taken over as they were in `before`. */
const takenOver = (before: Assembly, after: Assembly) =>
  after.upstreams.filter((one) => before.upstreams.includes(one)).map(({ name }) => name);

test('an upstream that has not changed is taken over as it is; a changed one is built again with its state', () => {
  const reloads = new Reloads();
  const first = reloads.load(file(upstream('a'), upstream('b')));
  const second = reloads.load(file(upstream('b', SLOWER), upstream('a')));
  expect(takenOver(first, second)).toEqual(['a']);
  const breakerOf = ({ upstreams }: Assembly, name: string) =>
    upstreams.find((one) => one.name === name)?.scopes[0]?.breakerHandle;
  expect(breakerOf(second, 'b')).toBe(breakerOf(first, 'b'));

  // State of `a`, which the second load did not ask for, is still there for the third.
  const third = reloads.load(file(upstream('a', SLOWER), upstream('b', SLOWER)));
  expect(takenOver(second, third)).toEqual(['b']);
  expect(breakerOf(third, 'a')).toBe(breakerOf(first, 'a'));
});

test('an upstream is built again if one that its routes fall back to has changed', () => {
  const reloads = new Reloads();
  const all = (backup: string) =>
    file(upstream('a', '    fallback: { upstream: b }\n'), upstream('b', backup), upstream('c'));
  const first = reloads.load(all(''));
  expect(takenOver(first, reloads.load(all('')))).toEqual(['a', 'b', 'c']);
  expect(takenOver(first, reloads.load(all(SLOWER)))).toEqual(['c']);
});

test('an upstream is built again if its clients are checked differently', () => {
  const reloads = new Reloads();
  const first = reloads.load(file(upstream('a')));
  const second = reloads.load(`clients: { allowed_hosts: [proxy.internal] }\n${file(upstream('a'))}`);
  expect(takenOver(first, second)).toEqual([]);
});

test('a load that fails in the middle costs no state', () => {
  const reloads = new Reloads();
  const routes = `    routes:
      - match: { path: /shared }
      - match: { path: /own }
        breaker: { min_requests: 5 }
`;
  const ownBreaker = ({ upstreams }: Assembly) =>
    upstreams[0]?.scopes.find(({ name }) => name === 'a/own')?.breakerHandle;
  const first = reloads.load(file(upstream('a', routes)));
  expect(ownBreaker(first)).toBeDefined();
  // It ends after the first route, and so has not asked for the state of the second one.
  reloads.steps(file(upstream('a', SLOWER + routes))).next();
  const second = reloads.load(file(upstream('a', routes)));
  expect(takenOver(first, second)).toEqual(['a']);
  const third = reloads.load(file(upstream('a', SLOWER + routes)));
  expect(ownBreaker(third)).toBe(ownBreaker(first));
});
