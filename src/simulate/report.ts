import { isDeepStrictEqual } from 'node:util';
import type { RouteSettings } from '../config/config.ts';
import { attemptsBound, type Bound, overloadWarning } from './bound.ts';
import { builtInSettings, withDefaults } from './built-in.ts';
import { type Figures, figuresOf } from './figures.ts';
import type { Scenario } from './scenario.ts';
import { type Bucket, seriesOf } from './series.ts';
import type { Subject } from './sidecar.ts';
import { type Run, simulate } from './simulate.ts';
import { sharesOf, type TargetShare, withTargets } from './target-faults.ts';

/** The result of one configuration. */
export interface Result {
  readonly figures: Figures;
  /** Over the whole run. */
  readonly bound: Bound;
  /** During the fault, if nothing succeeded in it. */
  readonly worstDuring: Bound;
  /** Reasons of the requests that arrived during the fault and failed, the most frequent first. */
  readonly failures: readonly (readonly [reason: string, count: number])[];
  readonly series: readonly Bucket[];
  /** Undefined if the upstream has no targets. */
  readonly targets: readonly TargetShare[] | undefined;
}

export interface Report {
  readonly upstream: string;
  readonly route: string;
  readonly scenario: Scenario;
  /** Requests per second of the upstream, or of all its targets together. */
  readonly capacityPerSecond: number;
  readonly config: Result;
  /** The same load and seed with the built-in policies; undefined if the route uses these. */
  readonly defaults: Result | undefined;
  readonly warnings: readonly string[];
}

/** One bucket is one column of a terminal chart. */
const BUCKETS = 72;

/** Simulates a route as configured, and with the built-in policies for comparison. */
export async function simulationReport(subject: Subject, whole: Scenario): Promise<Report> {
  const { failing, upstream, route } = subject;
  const { targets } = upstream;
  const asked = targets === undefined ? whole : withTargets(whole, targets, failing);
  // A route with `stream` is answered with event streams.
  const scenario = route.settings.stream === undefined ? asked : { ...asked, streams: true };
  const config = await resultOf(subject, scenario);
  const defaultSubject = withDefaults(subject, builtInSettings());
  const same = isDeepStrictEqual(settingsOf(defaultSubject), settingsOf(subject));
  const capacityPerSecond = scenario.capacityPerSecond * (targets?.length ?? 1);
  const warning = overloadWarning(route.settings, { ...scenario, capacityPerSecond });
  return {
    upstream: upstream.name,
    route: route.name,
    scenario,
    capacityPerSecond,
    config,
    defaults: same ? undefined : await resultOf(defaultSubject, scenario),
    warnings: warning === undefined ? [] : [warning],
  };
}

/** The settings of the route, and those that it has at each target. */
function settingsOf({ upstream, route }: Subject): readonly unknown[] {
  const index = upstream.routes.indexOf(route);
  return [route.settings, ...(upstream.targets ?? []).map(({ routes }) => routes[index]?.settings)];
}

async function resultOf(subject: Subject, scenario: Scenario): Promise<Result> {
  const run = await simulate(subject, scenario);
  const { settings } = subject.route;
  const figures = figuresOf(run, settings.retry.attempts);
  const { during, whole } = figures;
  return {
    figures,
    bound: attemptsBound(settings, scenario, { ...whole, ms: lastMoment(scenario, settings) }),
    worstDuring: attemptsBound(settings, scenario, {
      requests: during.requests,
      successes: 0,
      ms: scenario.faultMs,
    }),
    failures: failuresDuring(run),
    series: seriesOf(run, BUCKETS),
    targets: sharesOf(run, subject.upstream.targets),
  };
}

/** Latest end of a call: the budget earns tokens until then. */
function lastMoment({ endMs }: Scenario, { totalTimeoutMs }: RouteSettings): number {
  return endMs + totalTimeoutMs;
}

function failuresDuring({ calls, scenario: { faultAtMs, faultMs } }: Run): [string, number][] {
  const counts = new Map<string, number>();
  for (const { atMs, ok, failure } of calls) {
    if (ok || atMs < faultAtMs || atMs >= faultAtMs + faultMs) continue;
    const reason = failure ?? 'never_ended';
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
}
