import { expect, test } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { startOrigin, status } from '../support/origin.ts';

const BREAKER = '{ min_requests: 2, failure_rate: 50% }';

interface ScopeState {
  readonly scope: string;
  readonly breaker?: { readonly state: string };
  readonly budget_tokens?: number;
  readonly concurrency?: object;
  readonly quota?: object;
}

async function scopesOf(proxy: Breakwater): Promise<readonly ScopeState[]> {
  const state = (await (await fetch(`${proxy.adminUrl}/api/state`)).json()) as {
    readonly upstreams: readonly { readonly scopes: readonly ScopeState[] }[];
  };
  return state.upstreams[0]?.scopes ?? [];
}

async function start(more: string): Promise<Breakwater> {
  return startBreakwater(apiConfig(await startOrigin(status(500)), more));
}

test('a route that writes the values of its upstream still has its own state', async () => {
  const proxy = await start(`    retry: off
    breaker: ${BREAKER}
    routes:
      - { name: same, match: { path: /same }, breaker: ${BREAKER} }
      - { name: none, match: { path: /none } }
`);
  for (let i = 0; i < 3; i++) await fetch(`${proxy.url}/api/none`);
  const states = (await scopesOf(proxy)).map(({ scope, breaker }) => [scope, breaker?.state]);
  expect(states).toEqual([
    ['api', 'open'],
    ['api/same', 'closed'],
  ]);
  expect((await fetch(`${proxy.url}/api/same`)).status).toBe(500);
  // The route that writes nothing has the breaker of its upstream.
  expect((await fetch(`${proxy.url}/api/none`)).status).toBe(503);
});

test.each([
  ['breaker', 'breaker: {}', 'breaker'],
  ['retry.budget', 'retry: { budget: {} }', 'budget_tokens'],
  ['concurrency', 'concurrency: {}', 'concurrency'],
  ['quota', 'quota: {}', 'quota'],
] as const)('%s: an empty section is enough to have its own', async (_key, written, shown) => {
  const proxy = await start(`    routes: [{ name: r, match: { path: /r }, ${written} }]\n`);
  const own = (await scopesOf(proxy)).find(({ scope }) => scope === 'api/r');
  const { scope: _scope, ...state } = own ?? { scope: '' };
  expect(Object.keys(state)).toEqual([shown]);
});

test('a route that writes other keys shares all of it', async () => {
  const proxy = await start(
    '    routes: [{ name: r, match: { path: /r }, retry: { attempts: 2 }, timeouts: { total: 5s } }]\n',
  );
  expect((await scopesOf(proxy)).map(({ scope }) => scope)).toEqual(['api']);
});

test('what differs for another reason cannot be shared: the quota of a credential that the route adds', async () => {
  const proxy = await start(
    '    routes: [{ name: r, match: { path: /r }, headers: { set: { authorization: k } } }]\n',
  );
  expect((await scopesOf(proxy)).map(({ scope }) => scope)).toEqual(['api', 'api/r']);
});
