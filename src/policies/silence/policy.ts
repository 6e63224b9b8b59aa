import type { Reply } from '../../http/reply.ts';
import { AttemptWatch } from '../../proxy/attempt-watch.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import { expectationOf, type UsualTimes } from './usual-times.ts';

/** The two parts of the policy. The outer part creates the watch; the inner part starts it when the attempt leaves. */
export interface SilencePolicies {
  readonly outer: Policy;
  readonly inner: Policy;
}

export interface SilenceOptions {
  /** Milliseconds; undefined if no attempt timeout is configured. */
  readonly attemptTimeoutMs: number | undefined;
  readonly totalTimeoutMs: number;
  readonly clock: Clock;
}

/** Watches the silence of each attempt, and learns the usual times from it. */
export function silencePolicies(
  usualTimes: UsualTimes,
  { attemptTimeoutMs, totalTimeoutMs, clock }: SilenceOptions,
): SilencePolicies {
  const totalMs = Math.min(totalTimeoutMs, attemptTimeoutMs ?? totalTimeoutMs);

  const outer: Policy = (next) => (call, attempt) => {
    const expectation = expectationOf(usualTimes.usualOf(call), totalMs);
    attempt.watch = new AttemptWatch(expectation, usualTimes.pulse, clock);
    return next(call, attempt);
  };

  const inner: Policy = (next) => async (call, attempt) => {
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

  return { outer, inner };
}

/** Failures do not count, because their times say nothing about the times of answers. */
function isGood({ status, classification }: Reply): boolean {
  return status < 500 && status !== 429 && classification?.throttled !== true;
}
