import type { Context } from '../lib/context.ts';
import { BARE, BREAKWATER, taking } from '../lib/contenders.ts';
import { load } from '../lib/load.ts';
import { startOrigin } from '../lib/origin.ts';
import { portkey } from '../lib/portkey.ts';
import { atMost, type Part } from '../lib/report.ts';
import { CHAT, type Scenario, SCENARIOS } from '../lib/scenarios.ts';
import { startAll } from '../lib/startup.ts';
import { median, quartiles } from '../lib/stats.ts';
import { verify } from '../lib/verify.ts';

const DIRECT = 'no proxy';
const GET = SCENARIOS[0] as Scenario;
/** The most that Breakwater may add to the bare dispatch proxy, in ms. */
const LIMIT_MS = 0.05;

interface Target {
  readonly name: string;
  readonly port: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Latency that each contender adds on one connection, without other load. */
export async function latency(context: Context): Promise<Part> {
  const { present, absent } = taking(context, [portkey(context.tempDir)]);
  const originPort = await startOrigin();
  const started = await startAll(present, originPort);
  const targets: Target[] = [
    { name: DIRECT, port: originPort },
    ...started.map(({ name, running: { port, headers } }) => ({
      name,
      port,
      ...(headers === undefined ? {} : { headers }),
    })),
  ];
  const rounds = context.quick ? 8 : 25;
  const failures: string[] = [];
  const measured = new Map<Scenario, Map<string, Times>>();
  for (const scenario of [GET, CHAT]) {
    // The gateway carries chat completions only.
    const taking = targets.filter(({ headers }) => headers === undefined || scenario === CHAT);
    for (const { port, headers } of taking) await verify(port, scenario, headers);
    measured.set(scenario, await timesOf(taking, scenario, rounds, failures));
  }
  return {
    title: 'Added latency on one connection',
    tables: [...measured].map(([scenario, times]) => ({
      head: [scenario.name, 'p50 ms', '+ to no proxy', 'quartiles', '+ of minima', '+p99 ms'],
      rows: [...times].map(([name, time]) => {
        const direct = times.get(DIRECT) as Times;
        const added = addedTo(direct, time);
        return [
          name,
          median(time.p50).toFixed(3),
          median(added).toFixed(3),
          quartiles(added)
            .map((ms) => ms.toFixed(3))
            .join('–'),
          (Math.min(...time.p50) - Math.min(...direct.p50)).toFixed(3),
          (median(time.p99) - median(direct.p99)).toFixed(3),
        ];
      }),
    })),
    goals: [...measured].flatMap(([scenario, times]) => {
      const [ours, bare] = [times.get(BREAKWATER), times.get(BARE)];
      if (ours === undefined || bare === undefined) return [];
      const added = addedTo(bare, ours);
      return [
        atMost(`${scenario.name}: p50, ms more than ${BARE}`, median(added), LIMIT_MS, quartiles(added)),
      ];
    }),
    notes: [`${rounds} rounds of ${REQUESTS} requests each.`, ...absent],
    failed: failures.length > 0,
  };
}

const REQUESTS = 150;
const WARM_UP_ROUNDS = 20;

/** In ms, by round. */
interface Times {
  readonly p50: number[];
  readonly p99: number[];
}

function addedTo(base: Times, time: Times): number[] {
  return time.p50.map((ms, round) => ms - (base.p50[round] ?? NaN));
}

async function timesOf(
  targets: readonly Target[],
  scenario: Scenario,
  rounds: number,
  failures: string[],
): Promise<Map<string, Times>> {
  const times = new Map(targets.map(({ name }): [string, Times] => [name, { p50: [], p99: [] }]));
  for (const { port, headers } of targets)
    await load(port, scenario, { requests: REQUESTS * WARM_UP_ROUNDS, connections: 4, headers });
  for (let round = 0; round < rounds; round++) {
    const turn = round % targets.length;
    for (const { name, port, headers } of [...targets.slice(turn), ...targets.slice(0, turn)]) {
      const result = await load(port, scenario, { requests: REQUESTS, connections: 1, headers });
      if (result.failures > 0) failures.push(name);
      times.get(name)?.p50.push(result.p50Ms);
      times.get(name)?.p99.push(result.p99Ms);
    }
  }
  return times;
}
