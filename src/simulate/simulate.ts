import { combine } from '../proxy/observer.ts';
import { Client, type SimulatedCall } from './client.ts';
import type { Scenario } from './scenario.ts';
import { exponential, seededRandom, subSeed } from './seeded-random.ts';
import { type Sidecar, startSidecar, type Subject } from './sidecar.ts';
import { SimulatedUpstream } from './upstream.ts';
import { VirtualClock } from './virtual-clock.ts';

/** All that happened in one simulation. */
export interface Run {
  readonly scenario: Scenario;
  /** In the order of their arrival. */
  readonly calls: readonly SimulatedCall[];
  /** When each attempt reached the upstream, in order. */
  readonly attemptTimes: readonly number[];
  /** Requests that the upstream served to the end, and those of them that nobody waited for any more. */
  readonly served: number;
  readonly wasted: number;
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
  const { seed, callers, endMs } = scenario;
  const clock = new VirtualClock();
  const upstream = new SimulatedUpstream(scenario, clock);
  const observer = combine();
  const sidecars = Array.from({ length: callers }, (_, index) => {
    const random = seededRandom(subSeed(seed, `sidecar ${index}`));
    const sidecar = startSidecar(subject, { clock, random, observer, upstream: upstream.send });
    options.onSidecar?.(sidecar);
    return sidecar;
  });
  const client = new Client(subject.route, { upstream: subject.upstream.name, clock, observer });
  const calls: SimulatedCall[] = [];
  const failed: unknown[] = [];
  startArrivals(scenario, clock, (n, caller) => {
    const call: SimulatedCall = {
      target: `/${n}`,
      atMs: clock.now(),
      ok: false,
      attempts: 0,
      ms: 0,
      failure: undefined,
    };
    calls.push(call);
    const sidecar = sidecars[caller] as Sidecar;
    client.call(sidecar.send, call).catch((bug: unknown) => failed.push(bug));
  });
  const { totalTimeoutMs } = subject.route.settings;
  await clock.run(endMs + Math.min(totalTimeoutMs, 3_600_000) + SPARE_MS);
  if (failed.length > 0) throw failed[0];
  const { attemptTimes, served, wasted } = upstream;
  return { scenario, calls, attemptTimes, served, wasted };
}

/** A Poisson process whose arrivals are dealt to callers at random, which makes each caller's a Poisson process too. */
function startArrivals(
  scenario: Scenario,
  clock: VirtualClock,
  arrive: (n: number, caller: number) => void,
): void {
  const { seed, callers, endMs, ratePerSecond } = scenario;
  const random = seededRandom(subSeed(seed, 'arrivals'));
  let n = 0;
  const next = () => {
    const gapMs = exponential(1_000 / ratePerSecond, random);
    if (clock.now() + gapMs >= endMs) return;
    clock.timer(gapMs, () => {
      arrive(n++, Math.floor(random() * callers));
      next();
    });
  };
  next();
}
