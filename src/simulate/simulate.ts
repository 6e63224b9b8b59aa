import type { Send } from '../proxy/pipeline.ts';
import type { Observer } from '../telemetry/call-record.ts';
import { combine } from '../telemetry/observer.ts';
import { Client, type SimulatedCall } from './client.ts';
import type { Scenario } from './scenario.ts';
import { seededRandom, subSeed } from './seeded-random.ts';
import { type Sidecar, type Subject, startSidecar } from './sidecar.ts';
import { type Arrival, trafficOf } from './traffic.ts';
import { type Reached, SimulatedUpstream } from './upstream.ts';
import { VirtualClock } from './virtual-clock.ts';

/** All that happened in one simulation. */
export interface Run {
  readonly scenario: Scenario;
  /** In the order of their arrival. */
  readonly calls: readonly SimulatedCall[];
  /** Each attempt that reached the upstream, in order. */
  readonly reached: readonly Reached[];
  /** Requests that the upstream served to the end, and those of them that nobody waited for any more. */
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
 * Runs `scenario` in virtual time through the pipelines of the data path. Deterministic: arrivals, service times, bad luck
 * and the policies' jitter each have a stream of their own from the seed, so that two configurations meet the same load.
 */
export async function simulate(
  subject: Subject,
  scenario: Scenario,
  options: SimulateOptions = {},
): Promise<Run> {
  const { seed } = scenario;
  return run(subject, scenario, (index, { clock, observer, upstream }) => {
    const random = seededRandom(subSeed(seed, `sidecar ${index}`));
    const sidecar = startSidecar(subject, { clock, random, observer, upstream });
    options.onSidecar?.(sidecar);
    return sidecar;
  });
}

/** The same clients at the same upstream, without a proxy between them. */
export async function simulateDirect(subject: Subject, scenario: Scenario): Promise<Run> {
  return run(withoutOwnRetries(subject), scenario, (_, { upstream }) => ({ send: upstream }));
}

/** No proxy means that none tells the SDKs not to retry. */
function withoutOwnRetries({ upstream, route }: Subject): Subject {
  const { settings } = route;
  return {
    upstream,
    route: { ...route, settings: { ...settings, retry: { ...settings.retry, limitClientRetries: false } } },
  };
}

interface Place {
  readonly clock: VirtualClock;
  readonly observer: Observer;
  readonly upstream: Send;
}

/** What calls go through: a proxy, or nothing. */
type Way = Pick<Sidecar, 'send'>;

async function run(
  { route, upstream: { name } }: Subject,
  scenario: Scenario,
  wayOf: (index: number, place: Place) => Way,
): Promise<Run> {
  const clock = new VirtualClock();
  const arrivals = new Map<string, Arrival>();
  const upstream = new SimulatedUpstream(scenario, clock, (target) => arrivals.get(target) as Arrival);
  const observer = combine();
  const place = { clock, observer, upstream: upstream.send };
  const ways = Array.from({ length: scenario.callers }, (_, index) => wayOf(index, place));
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
  const { reached, served, shed, wasted } = upstream;
  return { scenario, calls, reached, served, shed, wasted };
}

function callOf({ atMs, endpoint, target }: Arrival): SimulatedCall {
  const { path } = endpoint;
  return { target, path, atMs, ok: false, tries: 0, attempts: 0, ms: 0, failure: undefined };
}

/** One timer at a time: a heap of all calls to come would slow everything down. */
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
