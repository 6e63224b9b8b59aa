import { parseArgs } from 'node:util';
import { seededRandom } from '../support/seeded-random.ts';
import type { Tally } from './client.ts';
import { soakConfig } from './config.ts';
import { Load } from './load.ts';
import type { Holdings } from './probe.ts';
import { pause, SoakedProxy } from './proxy.ts';
import { FaultyUpstream } from './upstream.ts';
import { WellUpstream } from './well-upstream.ts';

/*
 * Minutes of faults on both sides of the proxy in its own process, with reloads and restarts of the upstream. Then
 * all resources must be as at the start. `node test/soak/run.ts --minutes 10`; ends with 1 if it is not.
 */

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const MINUTES = Number(values.minutes);
const SEED = Number(values.seed);

/** Code is compiled, pools and rings are filled: only then is "where it began". */
const WARM_UP_MS = Math.min(20_000, (MINUTES * 60_000) / 3);
/** Time after the last client, longer than any idle connection or timer. */
const REST_MS = 5_000;

/** Minimum share of the valid requests with an attempt that the upstream answers. Otherwise, the soak would test only failures. */
const PASSED_SHARE = 0.75;
/**
 * Maximum share of valid requests without an attempt. An upstream that leaves one probe of the breaker without a reply causes
 * a second of refusals, so the share of a short run depends on chance.
 */
const REFUSED_SHARE = 0.5;

/** Allowed growth of the heap, for the compiler and the rings of recent calls. A leak of 100 bytes per call is far more. */
const HEAP_SLACK_BYTES = 6 * 1024 * 1024;
const EXTERNAL_SLACK_BYTES = 2 * 1024 * 1024;
/** Memory that the allocator retains for the next peak. */
const RSS_SLACK_BYTES = 64 * 1024 * 1024;

const random = seededRandom(SEED);
const upstream = new FaultyUpstream(random);
const well = new WellUpstream(random);
const tally: Tally = { plays: {}, replies: {}, answeredBy: {}, problems: [] };

/** Differences from the start, in words. */
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
  if (after.descriptors.length > before.descriptors.length)
    found.push(`descriptors grew from ${String(before.descriptors)} to ${String(after.descriptors)}`);
  for (const [kind, count] of Object.entries(after.resources)) {
    const from = before.resources[kind] ?? 0;
    if (count > from) found.push(`${kind} grew from ${from} to ${count}`);
  }
  return found;
}

async function soak(): Promise<readonly string[]> {
  await upstream.start();
  const proxy = new SoakedProxy(soakConfig({ faulty: upstream.port, ...(await well.start()) }));
  await proxy.ready();
  const load = new Load({ proxy, upstream, random, tally });
  await load.run(WARM_UP_MS);
  await pause(REST_MS);
  const before = await proxy.holdings();
  for (let minute = 0; minute < MINUTES; minute++) {
    await load.run(Math.min(1, MINUTES - minute) * 60_000);
    print({ minute: minute + 1, ...(await proxy.holdings()) });
  }
  await recover(proxy);
  await pause(REST_MS);
  const left = await proxy.left();
  const after = await proxy.holdings();
  const happened = await happenings(proxy);
  const exit = await proxy.stop();
  await upstream.stop();
  well.stop();
  print({ before, after, left, happened, tally: { ...tally, problems: tally.problems.length } });
  const counts = (found: Readonly<Record<string, number>>) => Object.entries(found);
  return [
    ...differences(before, after),
    ...counts(left).flatMap(([what, number]) => (number > 0 ? [`${number} ${what} left`] : [])),
    ...counts(happened).flatMap(([what, number]) => (number > 0 ? [] : [`not once: ${what}`])),
    ...unfair(),
    ...tally.problems.slice(0, 10),
    ...upstream.violations.slice(0, 10).map((violation) => `sent to the upstream: ${violation}`),
    ...proxy.bugs.slice(0, 10),
    ...(proxy.complaints === '' ? [] : [proxy.complaints.slice(0, 3_000)]),
    ...(exit === '0' ? [] : [`the proxy ended with ${exit}`]),
  ];
}

/** Sends calls until breakers are closed, because only calls close one. A probe may meet a fault, but not some tens in a row. */
async function recover(proxy: SoakedProxy): Promise<void> {
  const { port } = proxy;
  const headers = { connection: 'close' };
  const call = async () => {
    const reply = await fetch(`http://127.0.0.1:${port}/api/after`, { headers }).catch(() => undefined);
    await reply?.text().catch(() => undefined);
  };
  for (let round = 0; round < 30; round++) {
    await Promise.all(Array.from({ length: 8 }, call));
    const { 'open breakers': open } = await proxy.left();
    if (open === 0) return;
    // Longer than the breaker waits before it lets a probe through.
    await pause(300);
  }
}

/** Conditions for a meaningful soak. */
async function happenings(proxy: SoakedProxy): Promise<Readonly<Record<string, number>>> {
  return {
    retried: await proxy.counted('retries_total'),
    resumed: await proxy.counted('resumes_total', 'result="resumed"'),
    hedged: await proxy.counted('hedges_total'),
    'answered by a fallback': await proxy.counted('fallbacks_total', 'result="answered"'),
    'given from the cache': await proxy.counted('cache_requests_total', 'result="hit"'),
    revalidated: await proxy.counted('cache_requests_total', 'result="revalidated"'),
    'waited for a quota': await proxy.counted('quota_wait_seconds_count'),
    'breaker opened': await proxy.counted('breaker_transitions_total', 'to="open"'),
    'breaker closed': await proxy.counted('breaker_transitions_total', 'to="closed"'),
  };
}

function unfair(): readonly string[] {
  const { upstream: passed = 0, proxy: failed = 0, refused = 0 } = tally.answeredBy;
  const percent = (share: number) => `${(share * 100).toFixed()} %`;
  const passedShare = passed / (passed + failed);
  const refusedShare = refused / (passed + failed + refused);
  return [
    ...(passedShare >= PASSED_SHARE ? [] : [`only ${percent(passedShare)} were answered by the upstream`]),
    ...(refusedShare <= REFUSED_SHARE ? [] : [`${percent(refusedShare)} were refused`]),
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
