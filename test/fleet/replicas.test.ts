import { describe, expect, test, vi } from 'vitest';
import { REDIS_MISSING } from '../../bench/lib/databases.ts';
import { freePort } from '../../bench/lib/process.ts';
import { type Running, run } from '../support/command.ts';
import { linkTo } from './engine-link.ts';
import { ENGINES, freshName } from './engines.ts';
import {
  type CountingUpstream,
  offer,
  type ReplicaProcess,
  startCountingUpstream,
  startReplica,
} from './replicas.ts';

/*
 * Real processes on a real engine. A busy machine delays calls, but never makes more of them: what is asserted is the number of calls
 * over the whole time. `test/property/fleet.test.ts` asserts each sliding window, in virtual time.
 */

const BURST = 5;

/** For states that the admin API shows. */
const WAIT = { timeout: 60_000, interval: 20 };

/** The most calls at 100/s since `begun`, the burst included. */
const allowedSince = (begun: number): number => (performance.now() - begun) / 10 + BURST;

interface Setting {
  readonly store: string;
  readonly upstream: CountingUpstream;
  readonly quota: string;
  readonly name?: string;
}

const configOf = ({ store, upstream, quota, name = freshName() }: Setting) => `
shared: { store: '${store}', name: ${name} }
upstreams:
  api: { url: '${upstream.url}', allow_private: true, quota: { windows: ${quota}, wait: 300ms }, retry: off }
`;

const started = (yaml: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => startReplica(yaml)));

const TEN_MINUTES = 600_000;

/** Three replicas whose wall clocks differ by ten minutes each. */
const startedApart = (yaml: string) =>
  Promise.all([-TEN_MINUTES, 0, TEN_MINUTES].map((shiftMs) => startReplica(yaml, shiftMs)));

/** A Redis of this test alone, at `port`. It has no data when it starts. */
async function startedRedis(port: number): Promise<Running> {
  const redis = run('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '']);
  await redis.untilPrinted(/Ready to accept connections/);
  return redis;
}

async function ask(replica: ReplicaProcess): Promise<number> {
  const { status, body } = await fetch(`${replica.url}/api/x`);
  await body?.cancel();
  return status;
}

async function stopped({ process }: ReplicaProcess, signal: NodeJS.Signals): Promise<void> {
  process.child.kill(signal);
  await process.ended();
}

interface State {
  readonly shared: { readonly used: boolean; readonly away?: string; readonly replicas: number };
}

/** The wall time in the log. */
const wallTime = async ({ process }: ReplicaProcess): Promise<number> =>
  Date.parse((await process.untilPrinted(/"time":"([^"]+)"/))[1] ?? '');

const stateOf = async ({ adminUrl }: ReplicaProcess): Promise<State['shared']> =>
  ((await (await fetch(`${adminUrl}/api/state`)).json()) as State).shared;

async function gauge({ adminUrl }: ReplicaProcess, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** Whether the store was away since the replica began to use it. The log of a killed process may lack its last lines. */
async function wasAway({ adminUrl }: ReplicaProcess): Promise<boolean> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return /^breakwater_shared_store_changes_total\{[^}]*to="away"/m.test(text);
}

/** Whether the replica counts alone, or has done so. */
const countsAlone = async (replica: ReplicaProcess): Promise<boolean> =>
  !(await stateOf(replica)).used || (await wasAway(replica));

describe.each(ENGINES)('$name $missing', (engine) => {
  describe.skipIf(engine.missing !== undefined)('replicas as processes', { timeout: 120_000 }, () => {
    test('share one quota, while one is killed and one is stopped for a time, with clocks ten minutes apart', async () => {
      const upstream = await startCountingUpstream();
      const replicas = await startedApart(configOf({ store: engine.url, upstream, quota: '100/s' }));
      const walls = await Promise.all(replicas.map(wallTime));
      expect(Math.max(...walls) - Math.min(...walls)).toBeGreaterThan(2 * TEN_MINUTES - 60_000);
      const begun = performance.now();
      const loads = [80, 60, 20].map((rate, i) => offer(`${replicas[i]?.url}/api/x`, rate, 4_000));
      const [first, second, third] = replicas as [ReplicaProcess, ReplicaProcess, ReplicaProcess];
      await loads[2]?.answered(5);
      first.process.child.kill('SIGKILL');
      second.process.child.kill('SIGSTOP');
      await loads[2]?.answered(20);
      expect(upstream.seen.length).toBeLessThanOrEqual(allowedSince(begun));
      second.process.child.kill('SIGCONT');
      await Promise.all(loads.map(({ done }) => done));
      expect(upstream.seen.length).toBeLessThanOrEqual(allowedSince(begun));
      expect(upstream.seen.length).toBeGreaterThan(20);
      // Calls of the load may have used the units of this moment.
      await expect.poll(() => ask(third)).toBe(200);
    });

    // A store keeps the units, whichever signal ends a replica. So one engine shows that a killed one changes nothing.
    test.each(engine === ENGINES[0] ? (['SIGTERM', 'SIGKILL'] as const) : (['SIGTERM'] as const))(
      'remember an hourly quota after %s of all',
      async (signal) => {
        const upstream = await startCountingUpstream();
        const yaml = configOf({ store: engine.url, upstream, quota: '30/h' });
        const before = await started(yaml, 2);
        for (let i = 0; i < 25; i++) await ask(before[i % 2] as ReplicaProcess);
        // A busy machine makes the store slow. Then each process counts its share alone, and the next one knows nothing of it.
        const haveCounted = await Promise.all(before.map(countsAlone));
        await Promise.all(before.map((replica) => stopped(replica, signal)));
        const used = upstream.seen.length;
        const [after] = (await started(yaml, 1)) as [ReplicaProcess];
        const statuses: number[] = [];
        for (let i = 0; i < 10; i++) statuses.push(await ask(after));
        expect(new Set([...statuses, 200, 429])).toEqual(new Set([200, 429]));
        if ([...haveCounted, await countsAlone(after)].includes(true)) return;
        expect(statuses).toContain(429);
        expect(used).toBe(25);
        // Units that were leased and not used come back, unless the process was killed.
        expect(upstream.seen.length).toBeGreaterThanOrEqual(signal === 'SIGTERM' ? 30 : 25);
        expect(upstream.seen.length).toBeLessThanOrEqual(30);
      },
    );

    test('go on with their shares while the engine is absent or slow, say so, and come back', async () => {
      const upstream = await startCountingUpstream();
      const link = await linkTo(engine.url);
      const name = freshName();
      const [one, two] = await started(configOf({ store: link.url, upstream, quota: '100/s', name }), 2);
      if (one === undefined || two === undefined) throw new Error('two replicas were started');
      // One that does not know the other yet would use the whole limit.
      for (const replica of [one, two])
        await vi.waitFor(
          async () => expect(await stateOf(replica)).toMatchObject({ used: true, replicas: 2 }),
          WAIT,
        );
      const begun = performance.now();
      link.cut();
      await one.process.untilPrinted(
        /"cause":"(lost|slow|unreachable)".*this replica uses its share of each quota/,
      );
      expect(await ask(one)).toBe(200);
      expect((await stateOf(one)).used).toBe(false);
      expect(await gauge(one, 'breakwater_shared_store_used')).toBe(0);
      expect((await fetch(`${one.adminUrl}/readyz`)).status).toBe(200);
      const loads = [one, two].map(({ url }) => offer(`${url}/api/x`, 100, 1_500));
      await Promise.all(loads.map(({ done }) => done));
      expect(upstream.seen.length).toBeLessThanOrEqual(allowedSince(begun) + 2 * BURST);
      link.restore();
      await vi.waitFor(async () => expect((await stateOf(one)).used).toBe(true), WAIT);
      expect(await gauge(one, 'breakwater_shared_store_used')).toBe(1);
      expect(await ask(one)).toBe(200);

      // A slow engine is treated as absent.
      link.delayMs = 500;
      await one.process.untilPrinted(/"cause":"slow"/);
      expect(await ask(one)).toBe(200);
      link.delayMs = 0;
      await vi.waitFor(async () => expect((await stateOf(one)).used).toBe(true), WAIT);
      expect(one.process.out + two.process.out).not.toContain('uncaught');
    });
  });
});

describe.skipIf(REDIS_MISSING !== undefined)(
  `a Redis that ends and starts without its data ${REDIS_MISSING ?? ''}`,
  () => {
    test('learns from the replicas what was used', { timeout: 120_000 }, async () => {
      const upstream = await startCountingUpstream();
      const port = await freePort();
      const before = await startedRedis(port);
      const yaml = configOf({ store: `redis://127.0.0.1:${port}`, upstream, quota: '30/h' });
      const replicas = await started(yaml, 2);
      const [one, two] = replicas as [ReplicaProcess, ReplicaProcess];
      for (let i = 0; i < 20; i++) await ask(replicas[i % 2] as ReplicaProcess);
      before.child.kill('SIGKILL');
      await before.ended();
      for (const replica of replicas)
        await vi.waitFor(async () => expect((await stateOf(replica)).used).toBe(false), WAIT);
      await startedRedis(port);
      for (const replica of replicas)
        await vi.waitFor(
          async () => expect(await stateOf(replica)).toMatchObject({ used: true, replicas: 2 }),
          WAIT,
        );
      const statuses: number[] = [];
      for (let i = 0; i < 30; i++) statuses.push(await ask(i % 2 === 0 ? one : two));
      expect(statuses).toContain(429);
      expect(upstream.seen.length).toBeGreaterThan(20);
      // Without a store each may use half of what it knows to be left, and knows at least of its own 10 calls.
      expect(upstream.seen.length).toBeLessThanOrEqual(40);
    });
  },
);
