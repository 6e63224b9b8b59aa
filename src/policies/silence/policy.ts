import type { Reply } from '../../http/reply.ts';
import { AttemptWatch } from '../../proxy/attempt-watch.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { expectationOf, type Pace } from './usual-times.ts';

/** The two ends of a watch: it is known to all who judge an attempt, and it runs once the attempt leaves. */
export interface PacePolicies {
  readonly admission: Policy;
  readonly departure: Policy;
}

export interface PaceOptions {
  /** Undefined where no attempt timeout is written. */
  readonly attemptTimeoutMs: number | undefined;
  readonly totalTimeoutMs: number;
  readonly clock: Clock;
}

/** Watches each attempt, and learns from it how long attempts of its kind take. */
export function pacePolicies(
  pace: Pace,
  { attemptTimeoutMs, totalTimeoutMs, clock }: PaceOptions,
): PacePolicies {
  const totalMs = Math.min(totalTimeoutMs, attemptTimeoutMs ?? totalTimeoutMs);

  const admission: Policy = (next) => (call, attempt) => {
    const expectation = expectationOf(pace.usualOf(call), totalMs);
    attempt.watch = new AttemptWatch(expectation, pace.pulse, clock);
    return next(call, attempt);
  };

  const departure: Policy = (next) => async (call, attempt) => {
    const { watch } = attempt;
    if (watch === undefined) return next(call, attempt);
    watch.start(call);
    const startedAt = clock.now();
    try {
      const reply = await next(call, attempt);
      watch.answered();
      watch.learn(isGood(reply) ? clock.now() - startedAt : undefined);
      return reply;
    } catch (error) {
      watch.stop();
      watch.learn(undefined);
      throw error;
    }
  };

  return { admission, departure };
}

/** Failures come faster or slower than answers, and say nothing of how long an answer takes. */
function isGood({ status, classification }: Reply): boolean {
  return status < 500 && status !== 429 && classification?.throttled !== true;
}
