import { describe, expect, test, vi } from 'vitest';
import { Changes } from '../support/changes.ts';
import { ENGINES, freshName } from './engines.ts';
import {
  type CountingUpstream,
  offer,
  type ReplicaProcess,
  startCountingUpstream,
  startReplica,
} from './replicas.ts';

/* Real processes on a real engine. `test/unit/shared-cooldowns.test.ts` asserts the times, in virtual time. */

const WAIT = { timeout: 20_000, interval: 10 };

interface State {
  readonly shared: { readonly used: boolean; readonly replicas: number };
  readonly upstreams: readonly {
    readonly scopes: readonly { readonly quota?: { readonly credentials: readonly Credential[] } }[];
  }[];
}

interface Credential {
  readonly cooldown?: { readonly cause: string; readonly reported_by?: string };
}

const stateOf = async ({ adminUrl }: ReplicaProcess): Promise<State> =>
  (await (await fetch(`${adminUrl}/api/state`)).json()) as State;

const cooldownsOf = async (replica: ReplicaProcess) =>
  (await stateOf(replica)).upstreams.flatMap(({ scopes }) =>
    scopes.flatMap(({ quota }) => quota?.credentials.flatMap(({ cooldown }) => cooldown ?? []) ?? []),
  );

/** A busy machine may start three processes slower than the store may answer. */
const untilUsed = (replica: ReplicaProcess) =>
  vi.waitFor(async () => expect((await stateOf(replica)).shared).toMatchObject({ used: true }), WAIT);

async function ask({ url }: ReplicaProcess): Promise<number> {
  const { body, status } = await fetch(`${url}/api/x`);
  await body?.cancel();
  return status;
}

async function counted({ adminUrl }: ReplicaProcess, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

interface Limited {
  readonly limit: number;
  readonly windowS: number;
}

/** The answer to call number `count` of a window. */
function stating({ limit, windowS }: Limited, count: number, resetS: number) {
  const left = Math.max(0, limit - count);
  const headers = {
    'ratelimit-policy': `"q";q=${limit};w=${windowS}`,
    ratelimit: `"q";r=${left};t=${resetS}`,
  };
  return { status: count > limit ? 429 : 200, headers };
}

const SECOND: Limited = { limit: 100, windowS: 1 };

/**
 * Makes `upstream` count by the second. Resolves when two seconds in a row were used well, and not exceeded. Replies are slow, so that
 * replicas that know only what the replies state would exceed each second.
 */
async function usedWell(upstream: CountingUpstream): Promise<void> {
  upstream.replyMs = 100;
  const changes = new Changes();
  const counts: number[] = [];
  const from = performance.now();
  upstream.answer = () => {
    const second = Math.floor((performance.now() - from) / 1_000);
    counts[second] = (counts[second] ?? 0) + 1;
    changes.notify();
    return stating(SECOND, counts[second], 1);
  };
  const isWell = (count = 0) => count >= 0.95 * SECOND.limit && count <= SECOND.limit;
  await changes.until(() => counts.slice(0, -1).some((count, i, all) => isWell(count) && isWell(all[i + 1])));
}

describe.each(ENGINES)('$name $missing', (engine) => {
  describe.skipIf(engine.missing !== undefined)('replicas as processes', { timeout: 120_000 }, () => {
    test('share a stated limit, a cooldown, one probe of it, and a reset by an operator', async () => {
      const [limited, upstream] = [await startCountingUpstream(), await startCountingUpstream()];
      upstream.answer = () => ({ status: 200, headers: {} });
      const used = usedWell(limited);
      const yaml = `
shared: { store: '${engine.url}', name: ${freshName()} }
upstreams:
  limited: { url: '${limited.url}', allow_private: true, quota: { wait: 1s }, retry: off }
  api: { url: '${upstream.url}', allow_private: true, quota: { scope: credential, wait: 5s }, retry: off }
`;
      const replicas = await Promise.all([startReplica(yaml), startReplica(yaml), startReplica(yaml)]);
      const [one, two, three] = replicas;
      await Promise.all(replicas.map(untilUsed));

      // A busy machine may make the store look slow, or send calls late. So the load goes on until two seconds in a row show it.
      const loads = [80, 60, 20].map((rate, i) => offer(`${replicas[i]?.url}/limited/x`, rate, 100_000));
      await used;
      for (const load of loads) load.stop();
      await Promise.all(loads.map(({ done }) => done));

      for (const replica of replicas) expect(await ask(replica)).toBe(200);

      // A busy machine may have brought calls together at the other upstream, which refuses some then.
      const earlier = await counted(two, 'breakwater_shared_cooldowns_total');
      upstream.answer = () => ({ status: 429, headers: { 'retry-after': '600' } });
      for (let i = 0; i < 10 && (await cooldownsOf(one)).length === 0; i++) await ask(one);
      for (const replica of [two, three])
        await vi.waitFor(
          async () =>
            expect(await cooldownsOf(replica)).toMatchObject([
              { cause: 'retry_after', reported_by: 'another replica' },
            ]),
          WAIT,
        );
      await two.process.untilPrinted(/"cause":"retry_after".*reported by another replica/);
      expect(await counted(two, 'breakwater_shared_cooldowns_total')).toBe(earlier + 1);

      // A call of each waits. One of the calls is sent after about a second, and its success lets the others pass.
      const before = upstream.seen.length;
      upstream.answer = () => ({ status: 200, headers: {} });
      expect(await Promise.all(replicas.map(ask))).toEqual([200, 200, 200]);
      expect(upstream.seen.length).toBe(before + 3);
      expect((await Promise.all(replicas.map(cooldownsOf))).flat()).toEqual([]);
      const probes = await Promise.all(
        replicas.map((replica) => counted(replica, 'breakwater_shared_probes_total')),
      );
      expect(probes.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(1);

      // A reset by an operator of one replica ends it for all.
      upstream.answer = () => ({ status: 429, headers: { 'retry-after': '600' } });
      for (let i = 0; i < 10 && (await cooldownsOf(one)).length === 0; i++) await ask(one);
      for (const replica of replicas)
        await vi.waitFor(async () => expect(await cooldownsOf(replica)).toHaveLength(1), WAIT);
      const reset = await fetch(`${one.adminUrl}/api/upstreams/api/quota`, {
        method: 'POST',
        headers: { 'breakwater-admin': 'true', 'content-type': 'application/json' },
        body: '{"reset":true}',
      });
      expect(await reset.json()).toEqual({ upstream: 'api', reset: true });
      for (const replica of replicas)
        await vi.waitFor(async () => expect(await cooldownsOf(replica)).toEqual([]), WAIT);
    });

    test('share a limit that the upstream states, also over a restart of all', async () => {
      const upstream = await startCountingUpstream();
      const limit = 60;
      const from = performance.now();
      let refused = 0;
      upstream.answer = (count) => {
        if (count > limit) refused++;
        const resetS = Math.ceil(600 - (performance.now() - from) / 1_000);
        return stating({ limit, windowS: 600 }, count, resetS);
      };
      const yaml = `
shared: { store: '${engine.url}', name: ${freshName()} }
upstreams:
  api: { url: '${upstream.url}', allow_private: true, quota: { wait: 1s }, retry: off }
`;
      const before = await startReplica(yaml);
      await untilUsed(before);
      for (let i = 0; i < 24; i++) await ask(before);
      before.process.child.kill('SIGKILL');
      await before.process.ended();
      const used = upstream.seen.length;
      expect(used).toBe(24);
      const after = await Promise.all([startReplica(yaml), startReplica(yaml)]);
      await Promise.all(after.map(untilUsed));
      const first = await Promise.all(after.map(ask));
      // Each alone would send all that is left.
      const others = await Promise.all(after.flatMap((one) => Array.from({ length: 35 }, () => ask(one))));
      const sent = [...first, ...others].filter((status) => status === 200).length;
      // Units that a killed process held stay unused.
      expect(sent).toBeGreaterThan(3);
      expect(sent).toBeLessThanOrEqual(limit - used);
      // A busy machine may make the store look slow. Then each replica uses its share, and a few calls are too many.
      expect(refused).toBeLessThanOrEqual(15);
    });
  });
});
