import { attemptsBound } from '../../../src/simulate/bound.ts';
import { type Run, simulate, simulateDirect } from '../../../src/simulate/simulate.ts';
import { plainSubject } from '../default-policy.ts';
import { countedIn } from './counted.ts';
import { type Case, draw } from './draw.ts';
import { EXCEPTIONS } from './exceptions.ts';

/** A case with its results, with and without Breakwater. */
export interface SeedResult {
  readonly drawn: Case;
  /** Success shares of the calls that count. */
  readonly ours: number;
  readonly direct: number;
  /** Percentage points below the result without a proxy. */
  readonly pointsBelow: number;
  /** Whether the result is more than 3 points below. */
  readonly below: boolean;
  /** The name of the exception that explains it; undefined if none does. */
  readonly exception: string | undefined;
  readonly attempts: number;
  /** The maximum attempts that the budget allows. */
  readonly bound: number;
  /** Whether attempts are within the budget, and success is not below, or an exception explains it. */
  readonly holds: boolean;
}

const POINTS = 3;

/** A difference of this many calls is random, because the retries of the two runs differ. */
const LUCK_CALLS = 3;

export async function runSeed(seed: number): Promise<SeedResult> {
  const drawn = draw(seed);
  const subject = plainSubject({ defaults: drawn.settings });
  const run = await simulate(subject, drawn.scenario);
  const direct = await simulateDirect(subject, drawn.scenario);
  const counts = countedIn(drawn, direct);
  const [ours, theirs] = [successOf(run, counts), successOf(direct, counts)];
  const pointsBelow = 100 * (theirs.share - ours.share);
  const below = pointsBelow > POINTS && theirs.good - ours.good > LUCK_CALLS;
  const exception = below ? EXCEPTIONS.find(({ applies }) => applies(drawn, direct))?.name : undefined;
  const { settings } = subject.route;
  const requests = run.calls.reduce((sum, { tries }) => sum + tries, 0);
  const ms = drawn.scenario.endMs + settings.totalTimeoutMs;
  const { attempts: bound } = attemptsBound(settings, drawn.scenario, {
    requests,
    successes: run.served,
    ms,
  });
  const attempts = run.reached.length;
  const holds = attempts <= bound && (!below || exception !== undefined);
  return {
    drawn,
    ours: ours.share,
    direct: theirs.share,
    pointsBelow,
    below,
    exception,
    attempts,
    bound,
    holds,
  };
}

function successOf({ calls }: Run, counts: (index: number) => boolean) {
  const chosen = calls.filter((_, index) => counts(index));
  const good = chosen.filter(({ ok }) => ok).length;
  return { good, share: chosen.length === 0 ? 1 : good / chosen.length };
}
