import type { ErrorCode, Sent } from './errors.ts';

/** Why a failed attempt was not followed by another. */
export type RetryDenial =
  | 'attempts'
  | 'not_idempotent'
  | 'body_not_replayable'
  | 'veto'
  | 'retry_after_too_long'
  | 'deadline'
  | 'breaker'
  | 'concurrency'
  | 'draining'
  | 'budget'
  | 'client_gone';

/** Why an attempt was followed by another: the failure's code, or the status that was answered. */
export type RetryReason = ErrorCode | `status_${number}`;

export type BreakerState = 'closed' | 'open' | 'half_open';
export type BreakerCause =
  | 'failure_rate'
  | 'slow_rate'
  | 'connect_failures'
  | 'consecutive_failures'
  | 'wait_over'
  | 'probe_failed'
  | 'probe_hung'
  | 'probes_succeeded'
  | 'forced';

/** What policies report about one call. */
export type CallEvent =
  | { readonly type: 'attempt_started'; readonly attempt: number }
  | {
      readonly type: 'attempt_answered';
      readonly attempt: number;
      readonly status: number;
      readonly ms: number;
    }
  | {
      readonly type: 'attempt_failed';
      readonly attempt: number;
      readonly code: ErrorCode;
      readonly sent: Sent;
      readonly detail: string;
      readonly ms: number;
    }
  | {
      readonly type: 'retry_scheduled';
      /** The attempt that the wait leads to. */
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: RetryReason;
      /** The upstream asked for the wait (Retry-After and its kin). */
      readonly asked: boolean;
    }
  | { readonly type: 'retry_denied'; readonly reason: RetryDenial }
  /** A local refusal; the upstream was not touched. A shadow breaker reports one and lets the call pass. */
  | {
      readonly type: 'rejected';
      readonly reason: 'breaker_open' | 'concurrency_limit';
      readonly shadow: boolean;
    }
  | { readonly type: 'queued'; readonly waitMs: number }
  /** The request body outgrew the per-call cap or the process-wide budget: the call can no longer be replayed. */
  | { readonly type: 'body_not_kept'; readonly reason: 'cap' | 'memory' };

/** What a policy's state reports about an upstream, outside any call. */
export type StateEvent =
  | {
      readonly type: 'breaker_changed';
      readonly scope: string;
      readonly from: BreakerState;
      readonly to: BreakerState;
      readonly cause: BreakerCause;
    }
  | { readonly type: 'breaker_stale_result'; readonly scope: string };
