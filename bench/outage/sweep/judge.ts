import { attemptsBound } from '../../../src/simulate/bound.ts';
import type { SimulatedCall } from '../../../src/simulate/client.ts';
import type { Scenario } from '../../../src/simulate/scenario.ts';
import { type Run, simulate, simulateDirect } from '../../../src/simulate/simulate.ts';
import { plainSubject } from '../default-policy.ts';
import { type Case, draw } from './draw.ts';

/** A case, and how we and nobody fared in it. */
export interface Verdict {
  readonly drawn: Case;
  /** Shares of the calls that are judged. */
  readonly ours: number;
  readonly direct: number;
  /** Of a hundred, by which we are below no proxy at all. */
  readonly pointsBelow: number;
  readonly attempts: number;
  /** The most that the budget allows. */
  readonly bound: number;
  readonly holds: boolean;
}

/** So much worse than nobody we may be. */
const POINTS = 3;
/** A fault that concerns everybody has to be noticed first. */
const NOTICE_MS = 15_000;
/** A 429 to everybody that names a moment is believed; when it was wrong, a probe says so, and there are few a minute. */
const PROBED_AFTER_MS = 30_000;

export async function judgeSeed(seed: number): Promise<Verdict> {
  const drawn = draw(seed);
  const subject = plainSubject({ defaults: drawn.settings });
  const run = await simulate(subject, drawn.scenario);
  const direct = await simulateDirect(subject, drawn.scenario);
  const judged = judgedIn(drawn);
  const [ours, theirs] = [successOf(run, judged), successOf(direct, judged)];
  const pointsBelow = 100 * (theirs - ours);
  const { settings } = subject.route;
  const requests = run.calls.reduce((sum, { tries }) => sum + tries, 0);
  const ms = drawn.scenario.endMs + settings.totalTimeoutMs;
  const { attempts: bound } = attemptsBound(settings, drawn.scenario, {
    requests,
    successes: run.served,
    ms,
  });
  const attempts = run.reached.length;
  const holds = pointsBelow <= POINTS && attempts <= bound;
  return { drawn, ours, direct: theirs, pointsBelow, attempts, bound, holds };
}

/** Which calls count. A fault that comes and goes is a new one each time. */
function judgedIn({ scenario, systemic }: Case): (call: SimulatedCall) => boolean {
  if (!systemic) return () => true;
  const { faultAtMs, faultMs } = scenario;
  const noticed = faultAtMs + (comesAndGoes(scenario) ? faultMs : Math.min(faultMs, NOTICE_MS));
  const over = faultAtMs + faultMs;
  const probed = over + (closesTheKey(scenario) ? PROBED_AFTER_MS : 0);
  return ({ atMs }) => atMs < faultAtMs || (atMs >= noticed && atMs < over) || atMs >= probed;
}

function closesTheKey({ endpoints = [] }: Scenario): boolean {
  return endpoints.some(({ troubles = [] }) =>
    troubles.some(({ does }) =>
      does.kind === 'answers' ? does.status === 429 && does.headers?.length !== 0 : does.kind === 'limits',
    ),
  );
}

function comesAndGoes({ endpoints = [] }: Scenario): boolean {
  return endpoints.some(({ troubles = [] }) => troubles.some(({ everyMs }) => everyMs !== undefined));
}

function successOf({ calls }: Run, judged: (call: SimulatedCall) => boolean): number {
  const chosen = calls.filter(judged);
  return chosen.length === 0 ? 1 : chosen.filter(({ ok }) => ok).length / chosen.length;
}
