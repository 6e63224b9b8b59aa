import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { seededRandom } from '../support/seeded-random.ts';
import { playClient, type Tally } from './client.ts';
import type { Holdings } from './probe.ts';
import { pause, SoakedProxy } from './proxy.ts';
import { FaultyUpstream } from './upstream.ts';

/*
 * Minutes of faults on both sides of the proxy in a process of its own, with reloads and restarts of the upstream; then
 * everything has to be where it began. `node test/soak/run.ts --minutes 10`; ends with 1 if it is not.
 */

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const MINUTES = Number(values.minutes);
const SEED = Number(values.seed);

/** Code is compiled, pools and rings are filled: only then is "where it began". */
const WARM_UP_MS = Math.min(20_000, (MINUTES * 60_000) / 3);
/** Longer than every timeout and keep-alive time of the soaked proxy. */
const REST_MS = 8_000;
const CLIENTS = 32;
const RELOAD_EVERY_MS = 3_000;
const RESTART_EVERY_MS = 7_000;

/** A heap moves with what the compiler and the rings of recent calls happen to hold; a leak of 100 bytes per call is far more. */
const HEAP_SLACK_BYTES = 6 * 1024 * 1024;
const EXTERNAL_SLACK_BYTES = 2 * 1024 * 1024;
/** Pages that the allocator keeps for the next peak. */
const RSS_SLACK_BYTES = 64 * 1024 * 1024;

const random = seededRandom(SEED);
const upstream = new FaultyUpstream(random);
const tally: Tally = { connections: 0, replies: {}, problems: [] };
const tokens = new Set<string>();

async function load(proxy: SoakedProxy, ms: number): Promise<void> {
  const end = performance.now() + ms;
  const goesOn = () => performance.now() < end && proxy.exit === undefined;
  const client = async () => {
    while (goesOn()) await playClient(proxy.port, random, tokens, tally);
  };
  const every = async (period: number, act: () => Promise<void> | void) => {
    while (goesOn()) {
      await act();
      await pause(period);
    }
  };
  await Promise.all([
    ...Array.from({ length: CLIENTS }, client),
    every(RELOAD_EVERY_MS, () => proxy.reload()),
    every(RESTART_EVERY_MS, async () => {
      await upstream.stop();
      await pause(100);
      await upstream.start();
    }),
  ]);
}

/** What differs from where it began, in words. */
function differences(before: Holdings, after: Holdings): string[] {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const grown = [
    ['heap', before.heapBytes, after.heapBytes, HEAP_SLACK_BYTES],
    ['external memory', before.externalBytes, after.externalBytes, EXTERNAL_SLACK_BYTES],
    ['resident memory', before.rssBytes, after.rssBytes, RSS_SLACK_BYTES],
  ] as const;
  const found = grown
    .filter(([, from, to, slack]) => to > from + slack)
    .map(([what, from, to]) => `${what} grew from ${mib(from)} to ${mib(to)}`);
  if (after.descriptors > before.descriptors)
    found.push(`descriptors grew from ${before.descriptors} to ${after.descriptors}`);
  for (const [kind, count] of Object.entries(after.resources)) {
    const from = before.resources[kind] ?? 0;
    if (count > from) found.push(`${kind} grew from ${from} to ${count}`);
  }
  return found;
}

async function soak(): Promise<readonly string[]> {
  await upstream.start();
  const proxy = new SoakedProxy(upstream.port);
  await proxy.ready();
  await load(proxy, WARM_UP_MS);
  await pause(REST_MS);
  const before = await proxy.holdings();
  for (let minute = 0; minute < MINUTES; minute++) {
    await load(proxy, Math.min(1, MINUTES - minute) * 60_000);
    print({ minute: minute + 1, ...(await proxy.holdings()) });
  }
  await pause(REST_MS);
  const left = await proxy.left();
  const after = await proxy.holdings();
  const exit = await proxy.stop();
  await upstream.stop();
  print({ before, after, left, tally: { ...tally, problems: tally.problems.length } });
  const remains = Object.entries(left).filter(([, count]) => count > 0);
  return [
    ...differences(before, after),
    ...remains.map(([what, count]) => `${count} ${what} left`),
    ...tally.problems.slice(0, 10),
    ...upstream.flaws.slice(0, 10).map((flaw) => `sent to the upstream: ${flaw}`),
    ...proxy.bugs.slice(0, 10),
    ...(exit === '0' ? [] : [`the proxy ended with ${exit}`]),
  ];
}

function print(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what, null, 2)}\n`);
}

const problems = await soak();
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.stdout.write(
  problems.length === 0 ? 'soak: everything is where it began\n' : `soak: FAILED (seed ${SEED})\n`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
