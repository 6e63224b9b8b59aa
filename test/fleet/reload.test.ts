import { describe, expect, test, vi } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { ENGINES, freshName } from './engines.ts';

/* A reload of a quota that replicas share, on a real engine. */

const WAIT = { timeout: 20_000, interval: 10 };

interface State {
  readonly shared: { readonly used: boolean };
  readonly upstreams: readonly {
    readonly scopes: readonly { readonly quota?: { readonly cooldowns: number } }[];
  }[];
}

const stateOf = async ({ adminUrl }: Breakwater): Promise<State> =>
  (await (await fetch(`${adminUrl}/api/state`)).json()) as State;

const cooldownsOf = async (proxy: Breakwater) =>
  (await stateOf(proxy)).upstreams[0]?.scopes[0]?.quota?.cooldowns;

async function passed({ url }: Breakwater, count: number): Promise<number> {
  let all = 0;
  for (let i = 0; i < count; i++) if ((await fetch(`${url}/api/x`)).status === 200) all++;
  return all;
}

describe.each(ENGINES)('$name $missing', (engine) => {
  describe.skipIf(engine.missing !== undefined)('a reload', () => {
    async function start(step = ok()) {
      const origin = await startOrigin(step);
      const name = freshName();
      const yaml = (quota: string) =>
        `shared: { store: "${engine.url}", name: ${name} }\n${apiConfig(origin, `    retry: off\n    quota: ${quota}\n`)}`;
      const replica = async (quota: string) => {
        const proxy = await startBreakwater(yaml(quota));
        await vi.waitFor(async () => expect((await stateOf(proxy)).shared.used).toBe(true), WAIT);
        return proxy;
      };
      const reload = async (proxy: Breakwater, quota: string) => {
        proxy.rewrite(yaml(quota));
        expect(await proxy.app.reload()).toMatchObject({ ok: true });
      };
      return { replica, reload };
    }

    test('keeps the units of a window that has the same numbers', async () => {
      const { replica, reload } = await start();
      const one = await replica('{ windows: [6/d, 100/h], wait: 1s }');
      const two = await replica('{ windows: [6/d, 100/h], wait: 1s }');
      const used = (await passed(one, 9)) + (await passed(two, 9));
      // A slow store may have given units that came too late.
      expect(used).toBeGreaterThan(0);
      expect(used).toBeLessThanOrEqual(6);
      for (const changed of [
        '{ windows: [6/d, 200/h], wait: 2s }',
        '{ windows: 6/d, wait: 1s, learn: false }',
      ]) {
        await reload(one, changed);
        expect(await passed(one, 3)).toBe(0);
      }
      await reload(one, '{ windows: 7/d, wait: 1s }');
      await vi.waitFor(async () => expect(await passed(one, 1)).toBe(1), WAIT);
    });

    test('keeps a cooldown, and replicas with another wait know it', async () => {
      const { replica, reload } = await start(status(429, { 'retry-after': '600' }));
      const one = await replica('{ wait: 1s }');
      await passed(one, 2);
      expect(await cooldownsOf(one)).toBe(1);
      await reload(one, '{ wait: 2s, windows: 100/d }');
      expect(await cooldownsOf(one)).toBe(1);
      const two = await replica('{ wait: 3s }');
      await passed(two, 1);
      await vi.waitFor(async () => expect(await cooldownsOf(two)).toBe(1), WAIT);
      await reload(one, '{ wait: 2s, scope: credential }');
      expect(await cooldownsOf(one)).toBe(0);
    });
  });
});
