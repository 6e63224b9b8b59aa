import { AttemptWatch } from '../../proxy/attempt-watch.ts';
import type { Hook } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { UsualTimes } from './usual-times.ts';

/** The two parts of the policy. The outer part creates the watch; the inner part starts it when the attempt leaves. */
export interface SilencePolicies {
  readonly outer: Hook;
  readonly inner: Hook;
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
  return {
    outer: {
      before(call, attempt) {
        const expectation = usualTimes.usualOf(call).expectation(totalMs);
        attempt.watch = new AttemptWatch(expectation, usualTimes.pulse, clock);
        return undefined;
      },
    },
    inner: {
      before(call, attempt) {
        attempt.watch?.start(attempt.bodyOf(call));
        return attempt.watch;
      },
    },
  };
}
