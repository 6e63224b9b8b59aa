import type { SimulatedCall } from '../../../src/simulate/client.ts';
import { endpointsOf, type Scenario, type Service } from '../../../src/simulate/scenario.ts';
import type { Run } from '../../../src/simulate/simulate.ts';
import type { Effect, Trouble } from '../../../src/simulate/effect.ts';
import type { Case } from './draw.ts';

/** Time to detect a systemic fault. */
const NOTICE_MS = 15_000;

/** Time for which a 429 to all callers with a stated end is believed. Probes, which are few per minute, correct a wrong one. */
const PROBED_AFTER_MS = 30_000;

/** The breaker's defaults: the wait before a probe, and its jitter. */
const PROBE_WAIT = { ratio: 0.05, minMs: 500, maxMs: 15_000, jitter: 1.2 };

/** The window of an outage: without a proxy, four in five calls fail in it. The breaker's definition is the same. */
const OUTAGE = { windowMs: 5_000, success: 0.2, calls: 5 };

/** A period in which a fault affects all calls. */
interface Stretch {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * Selects the calls that count: all except the following.
 *
 * - Calls in the first 15 s of a systemic fault. It affects every attempt at every endpoint, or four in five calls fail
 *   without a proxy, because the upstream is overloaded by its load or a backlog.
 * - Calls in a systemic fault that comes and goes, because each time is a new fault.
 * - Calls after a systemic fault, until a probe can have been answered.
 * - Calls within 30 s after a 429 to all callers with a stated end.
 * - Calls in a systemic fault that succeed without a proxy only by the client's own retries, which last until its end. A
 *   breaker exists to stop such retries.
 */
export function countedIn({ scenario, systemic }: Case, direct: Run): (index: number) => boolean {
  const drawn = systemic ? [drawnFault(scenario)] : [];
  const stretches = merged([...drawn, ...outagesOf(direct.calls)]);
  const hidden = stretches.flatMap((stretch) => hiddenOf(stretch, scenario));
  return (index) => {
    const { atMs, tries, ok } = direct.calls[index] as SimulatedCall;
    if (hidden.some(({ fromMs, untilMs }) => atMs >= fromMs && atMs < untilMs)) return false;
    const inFault = stretches.some(({ fromMs, untilMs }) => atMs >= fromMs && atMs < untilMs);
    return !(inFault && ok && tries > 1);
  };
}

const drawnFault = ({ faultAtMs, faultMs }: Scenario): Stretch => ({
  fromMs: faultAtMs,
  untilMs: faultAtMs + faultMs,
});

function hiddenOf({ fromMs, untilMs }: Stretch, scenario: Scenario): Stretch[] {
  const all = effectsOf(scenario);
  const noticedMs = troublesOf(scenario).some(({ everyMs }) => everyMs !== undefined)
    ? untilMs
    : Math.min(untilMs, fromMs + NOTICE_MS);
  const returnMs = all.some(closesTheKey) ? PROBED_AFTER_MS : probedMs(untilMs - fromMs, scenario);
  return [
    { fromMs, untilMs: noticedMs },
    { fromMs: untilMs, untilMs: untilMs + returnMs },
  ];
}

/** The longest time to a probe, to a call that can be one, for a failed probe, and the usual time of a good reply. */
function probedMs(faultMs: number, scenario: Scenario): number {
  const { ratio, minMs, maxMs, jitter } = PROBE_WAIT;
  const waitMs = jitter * Math.min(maxMs, Math.max(minMs, ratio * faultMs));
  const gapMs = (1_000 * scenario.callers) / scenario.ratePerSecond;
  const failsMs = Math.max(
    0,
    ...effectsOf(scenario).map((does) => ('afterMs' in does ? (does.afterMs ?? 0) : 0)),
  );
  const answerMs = Math.max(...endpointsOf(scenario).map(({ service }) => usualMs(service, scenario)));
  return waitMs + gapMs + failsMs + answerMs;
}

/** The 90th percentile of the reply time without a fault. */
function usualMs(service: Service | undefined, { serviceMs }: Scenario): number {
  if (service === undefined || 'meanMs' in service) return -Math.log(0.1) * (service?.meanMs ?? serviceMs);
  const whole = service.mix.reduce((sum, { share }) => sum + share, 0);
  let left = 0.9 * whole;
  for (const { share, ms } of service.mix.toSorted((x, y) => x.ms - y.ms)) {
    left -= share;
    if (left <= 0) return ms;
  }
  return 0;
}

const troublesOf = (scenario: Scenario): readonly Trouble[] =>
  endpointsOf(scenario).flatMap(({ troubles = [] }) => troubles);

const effectsOf = (scenario: Scenario): readonly Effect[] => troublesOf(scenario).map(({ does }) => does);

const closesTheKey = (does: Effect): boolean =>
  does.kind === 'answers' ? does.status === 429 && does.headers?.length !== 0 : does.kind === 'limits';

/** The periods in which four in five calls fail. */
function outagesOf(calls: readonly SimulatedCall[]): Stretch[] {
  const last = calls.at(-1)?.atMs ?? 0;
  const stretches: Stretch[] = [];
  for (let fromMs = 0; fromMs <= last; fromMs += 1_000) {
    const untilMs = fromMs + OUTAGE.windowMs;
    const some = calls.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs);
    const good = some.filter(({ ok }) => ok).length;
    if (some.length >= OUTAGE.calls && good <= OUTAGE.success * some.length)
      stretches.push({ fromMs, untilMs });
  }
  return stretches;
}

/** Merges adjacent periods. */
function merged(stretches: readonly Stretch[]): Stretch[] {
  const all: Stretch[] = [];
  for (const next of stretches.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = all.at(-1);
    if (last === undefined || next.fromMs > last.untilMs) all.push(next);
    else all[all.length - 1] = { fromMs: last.fromMs, untilMs: Math.max(last.untilMs, next.untilMs) };
  }
  return all;
}
