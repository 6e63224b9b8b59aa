import type { GrpcStatus } from '../http/grpc.ts';
import type { ErrorCode } from './error-table.ts';

/** Why an attempt was followed by another: the failure's code, or the status that was answered. */
export type RetryReason = ErrorCode | `status_${number}` | `grpc_${GrpcStatus}`;

export type BreakerState = 'closed' | 'open' | 'half_open';
export type BreakerCause =
  | 'failure_rate'
  | 'slow_rate'
  | 'connect_failures'
  | 'consecutive_failures'
  | 'wait_over'
  | 'probe_failed'
  | 'probe_hung'
  | 'probe_answered'
  | 'probes_succeeded'
  | 'forced';

/**
 * Why nobody may pass: the upstream said for how long (`retry_after`), or did not (`throttled`), or no waiting will help
 * (`permanent`).
 */
export type CooldownCause = 'retry_after' | 'throttled' | 'permanent';

/** What a policy's state reports about an upstream, outside any call. */
export type StateEvent =
  | {
      readonly type: 'breaker_changed';
      readonly scope: string;
      readonly from: BreakerState;
      readonly to: BreakerState;
      readonly cause: BreakerCause;
    }
  | { readonly type: 'breaker_stale_result'; readonly scope: string }
  /** The gate of a quota closed that was open. */
  | {
      readonly type: 'quota_cooldown_started';
      readonly scope: string;
      readonly cause: CooldownCause;
      readonly remainingMs: number;
      /** A short hash; '' for calls without one. */
      readonly credential: string;
      /** The scope whose calls wait, such as `GET /reports/*`; '' for all calls of the credential. */
      readonly limited: string;
    }
  | DurableEvent;

export type SlotResult = 'started' | 'overlap' | 'paused';

export type CallbackOutcome = 'delivered' | 'gone' | 'failed' | 'cancelled';

/** What becomes of durable requests; `scope` is their route, `upstream/route`. */
export type DurableEvent =
  /** `ms`: from acceptance to the end. */
  | {
      readonly type: 'durable_ended';
      readonly scope: string;
      readonly status: 'succeeded' | 'failed' | 'cancelled';
      readonly ms: number;
    }
  /** The end of a request was told, or will not be; `gone`: its receiver wants to hear no more. */
  | { readonly type: 'callback_ended'; readonly scope: string; readonly outcome: CallbackOutcome }
  /** A slot of the schedule `scope` has come. */
  | { readonly type: 'schedule_slot'; readonly scope: string; readonly result: SlotResult }
  /** It was due and nothing was sent. */
  | { readonly type: 'durable_deferred'; readonly scope: string; readonly reason: string }
  /** A good answer that may not be the final one. `unchanged`: it said what the one before had said. */
  | {
      readonly type: 'durable_polled';
      readonly scope: string;
      readonly result: 'changed' | 'unchanged' | 'success' | 'failure';
    }
  /** The process that ran it is gone. */
  | { readonly type: 'durable_reclaimed'; readonly scope: string }
  | { readonly type: 'store_committed'; readonly scope: ''; readonly ms: number };

/** Another attempt, and when: what follows a failed one in a call as in a durable request. */
export interface RetryStep {
  readonly kind: 'retry';
  readonly delayMs: number;
  /** The jittered backoff alone, which decorrelated jitter grows from. */
  readonly backoffMs: number;
  /** Longer than our own backoff because the upstream asked for it. */
  readonly asked: boolean;
  /** What it costs the budget, in tokens. */
  readonly cost: number;
  readonly reason: RetryReason;
}
