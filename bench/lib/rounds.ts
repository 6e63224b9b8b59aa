import { load } from './load.ts';
import { cpuMicros } from './proc.ts';
import type { Scenario } from './scenarios.ts';
import type { Started } from './startup.ts';
import { originConnections } from './verify.ts';

/** The result of one contender in one scenario and one round. */
export interface Sample {
  readonly contender: string;
  readonly scenario: string;
  /** CPU time of the proxy's processes per request, at `LOADED_CONNECTIONS`. */
  readonly cpuMicros: number;
  readonly requestsPerSecond: number;
  /** A lone client's latency minus that of a lone client at the origin in the same round. */
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  readonly failures: number;
  /** Connections to the origin opened while loaded; a contender that keeps its connections opens next to none. */
  readonly reconnects: number;
}

export interface Plan {
  readonly scenarios: readonly Scenario[];
  readonly rounds: number;
  /** No round but the second starts after this much time, warming up included. */
  readonly limitMs: number;
  /** 1, or less for a quicker and noisier run. */
  readonly scale: number;
}

const LOADED_CONNECTIONS = 32;
/** Latency is taken unloaded: on two cores shared with load and origin, loaded latency is just 1/throughput. */
const LATENCY_CONNECTIONS = 1;
const LATENCY_REQUESTS = 150;
/** V8 still compiles a proxy's code after 20 000 requests; this comes to 24 000. */
const WARM_UP_PASSES = 4;

/** On a slow machine warming up must leave time to measure; the report says how many passes there were. */
const WARM_UP_SHARE = 0.4;
/** One round has no median. */
const MIN_ROUNDS = 2;

/** Brings every contender's code and connections to temperature. Returns the passes made. */
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

/** A B C, then B C A, and so on, so that a slow minute of the machine or the order of turns favours no contender. */
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
      const direct = await load(originPort, scenario, latencyOptions(plan));
      for (const one of order) samples.push(await measure(one, scenario, plan, { originPort, direct }));
    }
  }
  return samples;
}

interface Baseline {
  readonly originPort: number;
  readonly direct: { readonly p50Ms: number; readonly p99Ms: number };
}

async function measure(one: Started, scenario: Scenario, plan: Plan, base: Baseline): Promise<Sample> {
  const { pid, port } = one.running;
  const connectionsBefore = await originConnections(base.originPort);
  const cpuBefore = cpuMicros(pid);
  const loaded = await load(port, scenario, {
    requests: loadedRequests(scenario, plan),
    connections: LOADED_CONNECTIONS,
  });
  const cpu = cpuMicros(pid) - cpuBefore;
  const reconnects = (await originConnections(base.originPort)) - connectionsBefore;
  const lone = await load(port, scenario, latencyOptions(plan));
  return {
    contender: one.name,
    scenario: scenario.name,
    cpuMicros: cpu / loaded.requests,
    requestsPerSecond: (loaded.requests / loaded.durationMs) * 1000,
    addedP50Ms: lone.p50Ms - base.direct.p50Ms,
    addedP99Ms: lone.p99Ms - base.direct.p99Ms,
    failures: loaded.failures + lone.failures,
    reconnects,
  };
}

function loadedRequests(scenario: Scenario, plan: Plan): number {
  return Math.ceil(scenario.requests * plan.scale);
}

function latencyOptions(plan: Plan): { requests: number; connections: number } {
  return { requests: Math.ceil(LATENCY_REQUESTS * plan.scale), connections: LATENCY_CONNECTIONS };
}
