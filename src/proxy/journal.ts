import type { Reply } from '../http/reply.ts';
import type { ProxyError } from './errors.ts';
import type { RetryReason } from './events.ts';
import type { NoteName, Notes } from './notes.ts';

/** Why an attempt waited for the quota: a configured window, limits learned from replies, or a wait that the upstream asked for. */
export type QuotaWait = 'window' | 'learned' | 'cooldown';

/** Records one call: the events of its attempts, and the notes of policies. */
export interface Journal {
  note<N extends NoteName>(name: N, value: Notes[N]): void;

  /** An attempt leaves for the upstream. Only the innermost Send reports the start and the end of attempts. */
  /** Returns the `traceparent` that it carries; undefined if it carries the client's, or none. */
  attemptStarted(attempt: number): string | undefined;
  /** `ms`: from its start to the head. */
  attemptAnswered(attempt: number, reply: Pick<Reply, 'status' | 'grpc'>, ms: number): void;
  attemptFailed(attempt: number, error: ProxyError, ms: number): void;

  /** The call waits for `delayMs` before `attempt`, because of `reason`. */
  retryScheduled(attempt: number, delayMs: number, reason: RetryReason): void;
  /** `attempt` is a hedge of an attempt that has taken `afterMs`. */
  hedgeStarted(attempt: number, afterMs: number): void;
  /** The next attempt waited `ms` for the quota. */
  waitedForQuota(ms: number, cause: QuotaWait): void;
  /** The reply of `attempt` matched an error rule. */
  ruleMatched(attempt: number, rule: string | undefined): void;
  /** The body of the last attempt broke after `atByte` bytes of the whole body. */
  bodyBroke(atByte: number): void;

  /** For attempts at a fallback upstream. */
  elsewhere(upstream: string, route: string): Journal;
  /** For attempts at a target of the upstream. */
  at(target: string): Journal;
  /** For work that continues after the call was answered: it is counted, but not recorded. */
  inBackground(): Journal;
}
