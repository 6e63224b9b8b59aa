import { load } from './load.ts';
import { originStats } from './origin.ts';
import { cpuMicros } from './proc.ts';
import type { Scenario } from './scenarios.ts';
import type { Started } from './startup.ts';

/** The result of one contender in one scenario and one round. */
export interface Sample {
  readonly contender: string;
  readonly scenario: string;
  /** CPU time of the proxy's processes per request, at `LOADED_CONNECTIONS`. */
  readonly cpuMicros: number;
  readonly requestsPerSecond: number;
  readonly failures: number;
  /** Connections to the origin opened under load. A contender with keep-alive opens almost none. */
  readonly reconnects: number;
}

export interface Plan {
  readonly scenarios: readonly Scenario[];
  readonly rounds: number;
  /** After this time, warm-up included, no round starts except the second. */
  readonly limitMs: number;
  /** 1, or less for a quicker and noisier run. */
  readonly scale: number;
}

const LOADED_CONNECTIONS = 32;
/** Warm-up passes: 24,000 requests, because V8 still compiles code after 20,000. */
const WARM_UP_PASSES = 4;

/** Share of the time for warm-up at most, for slow machines. The report has the number of passes. */
const WARM_UP_SHARE = 0.4;
/** Minimum number of rounds, because one has no median. */
const MIN_ROUNDS = 2;

/** Warms up code and connections of every contender. Returns the number of passes. */
export async function warmUp(started: readonly Started[], plan: Plan, originPort: number): Promise<number> {
  const startedAt = performance.now();
  for (let pass = 0; pass < WARM_UP_PASSES; pass++) {
    if (performance.now() - startedAt > plan.limitMs * WARM_UP_SHARE) return pass;
    for (const scenario of plan.scenarios) {
      const options = { requests: loadedRequests(scenario, plan), connections: LOADED_CONNECTIONS };
      for (const { running } of started) await load(running.port, scenario, options);
      await load(originPort, scenario, options);
    }
  }
  return WARM_UP_PASSES;
}

/** Rotates the order (A B C, B C A, …), so that neither a slow period of the machine nor the order favours a contender. */
export async function runRounds(
  started: readonly Started[],
  plan: Plan,
  originPort: number,
  limitMs: number,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const startedAt = performance.now();
  for (let round = 0; round < plan.rounds; round++) {
    if (round >= MIN_ROUNDS && performance.now() - startedAt > limitMs) break;
    const turn = round % started.length;
    const order = [...started.slice(turn), ...started.slice(0, turn)];
    for (const scenario of plan.scenarios) {
      for (const one of order) samples.push(await measure(one, scenario, plan, originPort));
    }
  }
  return samples;
}

async function measure(one: Started, scenario: Scenario, plan: Plan, originPort: number): Promise<Sample> {
  const { pid, port } = one.running;
  // Opens the connections again that were idle for too long since its last turn: the others take longer than Breakwater's 4 s.
  await load(port, scenario, { requests: 2 * LOADED_CONNECTIONS, connections: LOADED_CONNECTIONS });
  const { connections } = await originStats(originPort);
  const cpuBefore = cpuMicros(pid);
  const loaded = await load(port, scenario, {
    requests: loadedRequests(scenario, plan),
    connections: LOADED_CONNECTIONS,
  });
  const cpu = cpuMicros(pid) - cpuBefore;
  // Without the connection of this query.
  const reconnects = (await originStats(originPort)).connections - connections - 1;
  return {
    contender: one.name,
    scenario: scenario.name,
    cpuMicros: cpu / loaded.requests,
    requestsPerSecond: (loaded.requests / loaded.durationMs) * 1000,
    failures: loaded.failures,
    reconnects,
  };
}

function loadedRequests(scenario: Scenario, plan: Plan): number {
  return Math.ceil(scenario.requests * plan.scale);
}
