import { setTimeout as sleep } from 'node:timers/promises';
import { type Arrival, trafficOf } from '../../../src/simulate/traffic.ts';
import { percentile } from '../../lib/stats.ts';
import { type Client, DEADLINE_MS } from './contender.ts';
import { TARGET_CONTENDERS } from './contenders/targets.ts';
import { clockFrom, type LoadAsk, type LoadedCall, type LoadReport } from './messages.ts';

/** An application that uses one contender. It sends the seeded Poisson load, independent of results, and ends with its parent. */
process.on('message', async (ask: LoadAsk) => {
  process.send?.(await run(ask));
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });

async function run({ contender: name, origin, scenario, startAt }: LoadAsk): Promise<LoadReport> {
  const isAsked = (one: { readonly name: string }) => one.name === name;
  const contender =
    TARGET_CONTENDERS.find(isAsked) ?? (await import('./contenders/all.ts')).CONTENDERS.find(isAsked);
  if (contender === undefined) throw new Error(`no contender ${name}`);
  const client = contender.client(origin);
  const now = clockFrom(startAt);
  const lags: number[] = [];
  const calls: Promise<LoadedCall>[] = [];
  for (const arrival of trafficOf(scenario)) {
    const { atMs } = arrival;
    for (let waitMs = atMs - now(); waitMs > 0; waitMs = atMs - now()) await sleep(waitMs);
    lags.push(now() - atMs);
    calls.push(call(client, arrival, now));
  }
  const done = await Promise.all(calls);
  await client.close();
  return { calls: done, lagP99Ms: percentile(lags, 0.99), lagMaxMs: Math.max(...lags) };
}

/** Never rejects, and ends at the deadline even if the contender does not. */
async function call(client: Client, arrival: Arrival, now: () => number): Promise<LoadedCall> {
  const { atMs, target, endpoint } = arrival;
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const { promise: late, resolve: giveUp } = Promise.withResolvers<number>();
  signal.addEventListener('abort', () => giveUp(0), { once: true });
  const status = await Promise.race([late, client.call(target, signal).catch(() => 0)]);
  return { target, path: endpoint.path, atMs, ms: now() - atMs, status };
}
