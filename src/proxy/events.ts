import type { GrpcStatus } from '../http/grpc.ts';
import type { ErrorCode, ReportedRefusal } from './error-table.ts';
import type { Sent } from './errors.ts';
import type { ResumeDenial, RetryDenial } from './gave-up.ts';

/**
 * How a call fared with the cache. `stale`: given while another is fetched; `revalidated`: the upstream said that it is still
 * good; `stale_if_error`: given in place of an error; `bypass`: not a call that the cache is for, or not looked up.
 */
export type CacheResult = 'hit' | 'miss' | 'stale' | 'revalidated' | 'stale_if_error' | 'bypass';

/**
 * What became of a call with an idempotency key on a route that answers equal ones once. `first`: it was sent; `replayed`: it got
 * the reply of an equal one; `other_payload`, `in_use`: refused; `body_not_kept`: too large to compare, so it was sent.
 */
export type DedupeResult = 'first' | 'replayed' | 'other_payload' | 'in_use' | 'body_not_kept';

/** Why an attempt was followed by another: the failure's code, or the status that was answered. */
export type RetryReason = ErrorCode | `status_${number}` | `grpc_${GrpcStatus}`;

/** What a rule made of a reply; `throttled` and `wait`: no more than that, its status decides. */
export type ReplyMeaning = 'retry' | 'not_processed' | 'in_progress' | 'permanent' | 'throttled' | 'wait';

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

/** What is done about a body that broke. `resumed`: the rest of it flows. */
export type ResumeStep =
  | {
      readonly kind: 'scheduled';
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: RetryReason;
    }
  | { readonly kind: 'decided'; readonly result: 'resumed' | ResumeDenial };

/** Why an attempt waited: for a configured window, for what replies said is left, or because all callers were told to wait. */
export type QuotaWait = 'window' | 'learned' | 'gate';

/**
 * Why nobody may pass: the upstream said for how long (`retry_after`), or did not (`throttled`), or no waiting will help
 * (`permanent`).
 */
export type GateCause = 'retry_after' | 'throttled' | 'permanent';

/**
 * What became of a hedge: it answered first, the other attempt did, it failed (alone or like the other), the client left; or why
 * it was not sent, where `refused` is a refusal on its way (no permit, no turn).
 */
export type HedgeResult =
  | 'won'
  | 'lost'
  | 'failed'
  | 'client_gone'
  | 'refused'
  | 'refused_body'
  | 'refused_breaker'
  | 'refused_quota'
  | 'refused_max_extra'
  | 'refused_budget';

/** What became of a fallback; all but the first two are reasons why there was none. */
export type FallbackResult = 'answered' | 'failed' | 'not_idempotent' | 'body_not_replayable' | 'deadline';

/** What policies report about one call. */
export type CallEvent = CallEventKind & {
  /** Where it happened, when that was not the upstream that the call was for. */
  readonly at?: { readonly upstream: string; readonly route: string } | undefined;
  /** It is told for the figures alone: what is done in the background, after a call has its reply. */
  readonly background?: boolean | undefined;
};

type CallEventKind =
  | { readonly type: 'attempt_started'; readonly attempt: number }
  | {
      readonly type: 'attempt_answered';
      readonly attempt: number;
      readonly status: number;
      /** With `status` being the one that it stands for. */
      readonly grpc?: GrpcStatus | undefined;
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
  /** A rule of the API says more about a reply than its status. */
  | {
      readonly type: 'reply_judged';
      readonly attempt: number;
      readonly means: ReplyMeaning;
      readonly rule: string | undefined;
    }
  | { readonly type: 'retry_denied'; readonly reason: RetryDenial }
  /** A body broke, and `atByte` bytes of it are with the client. */
  | { readonly type: 'resume'; readonly atByte: number; readonly step: ResumeStep }
  /** A local refusal; the upstream was not touched. A shadow breaker reports one and lets the call pass. */
  | {
      readonly type: 'rejected';
      readonly reason: ReportedRefusal;
      readonly shadow: boolean;
    }
  /** The client asked for something else than its route says; `value` is what of it is allowed. */
  | { readonly type: 'overridden'; readonly override: string; readonly value: string }
  /** `attempt` is sent beside one that has taken `afterMs`. */
  | { readonly type: 'hedge_started'; readonly attempt: number; readonly afterMs: number }
  | { readonly type: 'hedge'; readonly result: HedgeResult }
  /** `to` names the other upstream; undefined: a reply from the configuration. */
  | { readonly type: 'fallback'; readonly result: FallbackResult; readonly to: string | undefined }
  | { readonly type: 'queued'; readonly waitMs: number }
  | { readonly type: 'cache'; readonly result: CacheResult }
  | { readonly type: 'dedupe'; readonly result: DedupeResult }
  | { readonly type: 'quota_waited'; readonly waitMs: number; readonly cause: QuotaWait }
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
  | { readonly type: 'breaker_stale_result'; readonly scope: string }
  /** The gate of a quota closed that was open. */
  | {
      readonly type: 'quota_gate_closed';
      readonly scope: string;
      readonly cause: GateCause;
      readonly closedMs: number;
      /** A short hash; '' for calls without one. */
      readonly credential: string;
      /** Whose calls wait, as `GET /reports/*`; '' for all of the credential. */
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
