import type { Send } from '../proxy/pipeline.ts';
import type { Observer } from '../telemetry/call-record.ts';
import { combine } from '../telemetry/observer.ts';
import { Client, type SimulatedCall } from './client.ts';
import type { Scenario } from './scenario.ts';
import { seededRandom, subSeed } from './seeded-random.ts';
import { type Sidecar, type Subject, startSidecar } from './sidecar.ts';
import { type Arrival, trafficOf } from './traffic.ts';
import { streamTexts } from './stream-texts.ts';
import { type Reached, SimulatedUpstream } from './upstream.ts';
import { SimulatedUpstreams } from './upstreams.ts';
import { VirtualClock } from './virtual-clock.ts';

/** The result of one simulation. */
export interface Run {
  readonly scenario: Scenario;
  /** In the order of their arrival. */
  readonly calls: readonly SimulatedCall[];
  /** Each attempt that reached the upstream, in order. */
  readonly reached: readonly Reached[];
  /** Requests that the upstream served, and those of them whose client no longer waited. */
  readonly served: number;
  readonly wasted: number;
  /** Attempts that the upstream turned away because its queue was full. */
  readonly shed: number;
}

export interface SimulateOptions {
  /** Called with each proxy before its first call; an ablation changes it here. */
  readonly onSidecar?: (sidecar: Sidecar) => void;
}

/** Calls in flight when the load ends may take this much longer than their deadline. */
const SPARE_MS = 60_000;

/**
 * Runs `scenario` in virtual time through the pipelines of the data path. It is deterministic: arrivals, service times, random
 * failures and jitter each have a separate stream of the seed, so that two configurations get the same load.
 */
export async function simulate(
  subject: Subject,
  scenario: Scenario,
  options: SimulateOptions = {},
): Promise<Run> {
  const { seed } = scenario;
  return simulateWay(subject, scenario, (index, { clock, observer, upstream, targets }) => {
    const random = seededRandom(subSeed(seed, `sidecar ${index}`));
    const sidecar = startSidecar(subject, { clock, random, observer, upstream, targets });
    options.onSidecar?.(sidecar);
    return sidecar;
  });
}

/** The same clients at the same upstream, without a proxy between them. */
export async function simulateDirect(subject: Subject, scenario: Scenario): Promise<Run> {
  return simulateWay(withoutOwnRetries(subject), scenario, (_, { upstream }) => ({ send: upstream }));
}

/** Without a proxy, no header stops the retries of SDKs. */
export function withoutOwnRetries({ upstream, route }: Subject): Subject {
  const { settings } = route;
  return {
    upstream,
    route: { ...route, settings: { ...settings, retry: { ...settings.retry, limitClientRetries: false } } },
  };
}

/** The parts of a run that a way of calls may use. */
export interface World {
  readonly clock: VirtualClock;
  readonly observer: Observer;
  /** Targets are not simulated: the upstream. Otherwise the first target. */
  readonly upstream: Send;
  /** The upstream of each target, by name; undefined: targets are not simulated. */
  readonly targets: ((name: string) => Send) | undefined;
}

/** The way of calls to the upstream: through a proxy, or directly. */
type Way = Pick<Sidecar, 'send'>;

/** Runs `scenario` with any way of calls to the upstream: one for each caller. */
export async function simulateWay(
  { route, upstream: { name, targets = [] } }: Subject,
  scenario: Scenario,
  wayOf: (index: number, world: World) => Way,
): Promise<Run> {
  const clock = new VirtualClock();
  const arrivals = new Map<string, Arrival>();
  const known = (target: string) => arrivals.get(target) as Arrival;
  const streams = {
    texts: streamTexts(route.settings.stream),
    idleTimeoutMs: route.settings.idleTimeoutMs,
  };
  const seen = new Map<string, number>();
  const upstreams = new SimulatedUpstreams(
    scenario,
    targets.map((one) => one.name),
    (own) => new SimulatedUpstream(own, clock, known, { streams, seen }),
  );
  const observer = combine();
  const world = { clock, observer, upstream: upstreams.send, targets: upstreams.sendTo };
  const ways = Array.from({ length: scenario.callers }, (_, index) => wayOf(index, world));
  const random = seededRandom(subSeed(scenario.seed, 'clients'));
  const client = new Client(route, { upstream: name, clients: scenario.clients, random, clock, observer });
  const calls: SimulatedCall[] = [];
  const failed: unknown[] = [];
  startTraffic(trafficOf(scenario), clock, (arrival) => {
    const call = callOf(arrival);
    calls.push(call);
    arrivals.set(arrival.target, arrival);
    const { send } = ways[arrival.caller] as Way;
    client.call(send, arrival, call).catch((bug: unknown) => failed.push(bug));
  });
  const { totalTimeoutMs } = route.settings;
  await clock.run(scenario.endMs + Math.min(totalTimeoutMs, 3_600_000) + SPARE_MS);
  if (failed.length > 0) throw failed[0];
  return { scenario, calls, ...upstreams.counts() };
}

function callOf({ atMs, endpoint, target }: Arrival): SimulatedCall {
  const { path } = endpoint;
  return { target, path, atMs, ok: false, tries: 0, attempts: 0, ms: 0, failure: undefined };
}

/** Starts each call at its arrival. One timer at a time, because a heap of all future calls would be slow. */
function startTraffic(
  traffic: Iterator<Arrival>,
  clock: VirtualClock,
  arrive: (arrival: Arrival) => void,
): void {
  const next = () => {
    const { done, value } = traffic.next();
    if (done) return;
    clock.timer(value.atMs - clock.now(), () => {
      arrive(value);
      next();
    });
  };
  next();
}
