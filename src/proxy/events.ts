import type { GrpcStatus } from '../http/grpc.ts';
import type { ErrorCode } from './error-table.ts';

/** Why an attempt was retried: the code of its error, or the status of its reply. */
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
  | 'forced'
  /** A reload has replaced or removed the breaker. */
  | 'reload';

/**
 * The cause of a quota cooldown. `retry_after`: the upstream named its length. `throttled`: it did not. `permanent`: waiting does
 * not restore the quota.
 */
export type CooldownCause = 'retry_after' | 'throttled' | 'permanent';

/**
 * Why the store that replicas share is not used. `slow`: it took longer than a call may wait. `lost`: the connection ended.
 * `failed`: it answered with an error.
 */
export type SharedAway = 'starting' | 'unreachable' | 'lost' | 'slow' | 'failed';

/**
 * A change of a policy's state, outside any call. `tenant`: whose state it is; no metric has it as a label. `target`: the only target
 * that the state is about; its metric has it as a label.
 */
export type StateEvent = StateChange & {
  readonly tenant?: string | undefined;
  readonly target?: string | undefined;
};

interface QuotaCooldown {
  readonly scope: string;
  readonly cause: CooldownCause;
  readonly remainingMs: number;
  /** A short hash; '' for calls without one. */
  readonly credential: string;
  /** The scope whose calls wait, such as `GET /reports/*`; '' for all calls of the credential. */
  readonly limited: string;
  /** Calls do not wait, because the quota is in shadow mode. */
  readonly shadow?: true;
}

type StateChange =
  | {
      readonly type: 'breaker_changed';
      readonly scope: string;
      readonly from: BreakerState;
      readonly to: BreakerState;
      readonly cause: BreakerCause;
    }
  | { readonly type: 'breaker_stale_result'; readonly scope: string }
  /** A quota cooldown started. */
  | (QuotaCooldown & { readonly type: 'quota_cooldown_started' })
  /** A quota cooldown started because another replica has reported it. */
  | (QuotaCooldown & { readonly type: 'quota_cooldown_heard' })
  /** A quota cooldown of an earlier process still lasts. */
  | (QuotaCooldown & { readonly type: 'quota_cooldown_remembered' })
  /** Facts of an earlier process about the quota of a credential count again. */
  | { readonly type: 'quota_remembered'; readonly scope: string; readonly credential: string }
  /** The probe of a cooldown that replicas share: this replica sent it, or another one does. */
  | { readonly type: 'quota_probe'; readonly scope: string; readonly by: 'this' | 'another' }
  /** A message for operators: what became of one delivery, or of an event that got no message of its own. */
  | {
      readonly type: 'operator_event';
      readonly scope: '';
      readonly outcome: 'delivered' | 'failed' | 'refused' | 'merged' | 'dropped';
    }
  /** The store that replicas share is used, or not; then each replica uses its share. */
  | {
      readonly type: 'shared_store';
      readonly scope: '';
      readonly to: 'used' | 'away';
      readonly cause: SharedAway | 'answered';
    }
  /** The issuer of a credential was asked for a new one. `detail`: why it failed. */
  | {
      readonly type: 'credential_renewal';
      readonly scope: string;
      readonly result: 'renewed' | 'failed';
      readonly detail?: string | undefined;
    }
  /** The least recently used tenant gave its place to a new one. */
  | { readonly type: 'tenant_left'; readonly scope: string }
  /** A target of the upstream gets no calls any more, or gets them again. */
  | {
      readonly type: 'target_changed';
      readonly scope: string;
      readonly target: string;
      readonly to: 'out' | 'in';
      readonly cause: TargetCause;
    }
  | DurableEvent;

/** `refused`: its credential was refused, by this status. `accepted`: a probe was accepted. `operator`: a person did it. */
export type TargetCause = `status_${number}` | 'accepted' | 'operator';

export type SlotResult = 'started' | 'overlap' | 'paused';

export type CallbackOutcome = 'delivered' | 'gone' | 'failed' | 'cancelled';

/** An event of durable requests. `scope` is their route, `upstream/route`. */
export type DurableEvent =
  /** `ms`: from acceptance to the end. */
  | {
      readonly type: 'durable_ended';
      readonly scope: string;
      readonly status: 'succeeded' | 'failed' | 'cancelled';
      readonly ms: number;
    }
  /** A callback was delivered or given up. `gone`: its receiver wants no more callbacks. */
  | { readonly type: 'callback_ended'; readonly scope: string; readonly outcome: CallbackOutcome }
  /** A slot of the schedule `scope` is due. */
  | { readonly type: 'schedule_slot'; readonly scope: string; readonly result: SlotResult }
  /** A request was due, and nothing was sent. */
  | { readonly type: 'durable_deferred'; readonly scope: string; readonly reason: string }
  /** A good answer to a poll, which may not be final. `unchanged`: equal to the one before. */
  | {
      readonly type: 'durable_polled';
      readonly scope: string;
      readonly result: 'changed' | 'unchanged' | 'success' | 'failure';
    }
  /** Another process had run the request and has ended. */
  | { readonly type: 'durable_reclaimed'; readonly scope: string }
  | { readonly type: 'store_committed'; readonly scope: ''; readonly ms: number }
  /** The store began to fail, or works again. `problem`: the kind of failure. */
  | {
      readonly type: 'store_health';
      readonly scope: '';
      readonly to: 'failed' | 'working';
      readonly problem: string;
    };

/** From a second to the week that a request may wait for an outage to end. */
const LONG_BUCKETS: readonly number[] = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 604_800];

/** From an fsync on a good disk to one that is about to fail. */
const COMMIT_BUCKETS: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

type StateEventOf<T extends StateEvent['type']> = Extract<StateEvent, { type: T }>;

/** The metric of a kind of state event: a counter, or a histogram of its `ms` if it has `buckets` (in seconds). */
export interface StateMetric<E extends StateEvent = StateEvent> {
  readonly name: string;
  readonly help: string;
  /** Properties of the event, or the names in its scope. */
  readonly labels: readonly (
    | Exclude<keyof E & string, 'type' | 'ms' | 'tenant'>
    | 'upstream'
    | 'route'
    | 'schedule'
  )[];
  readonly buckets?: readonly number[];
}

/** THE table of the metrics of state events. The compiler asks for the row of a new event. */
export const STATE_METRICS: { readonly [T in StateEvent['type']]: StateMetric<StateEventOf<T>> } = {
  breaker_changed: {
    name: 'breakwater_breaker_transitions_total',
    help: 'State changes of the breaker, by cause.',
    labels: ['upstream', 'scope', 'from', 'to', 'cause'],
  },
  breaker_stale_result: {
    name: 'breakwater_breaker_stale_results_total',
    help: 'Results that the breaker ignored, because their attempts began in an earlier state.',
    labels: ['upstream', 'scope'],
  },
  quota_cooldown_started: {
    name: 'breakwater_quota_cooldowns_total',
    help: 'Times that all calls of a credential were held back because the upstream asked for a wait. permanent: waiting will not help.',
    labels: ['upstream', 'scope', 'cause'],
  },
  quota_cooldown_heard: {
    name: 'breakwater_shared_cooldowns_total',
    help: 'Cooldowns that started because another replica has reported them, by cause.',
    labels: ['upstream', 'scope', 'cause'],
  },
  quota_cooldown_remembered: {
    name: 'breakwater_quota_cooldowns_remembered_total',
    help: 'Cooldowns of an earlier process that still lasted at the first call of the credential, by cause.',
    labels: ['upstream', 'scope', 'cause'],
  },
  quota_remembered: {
    name: 'breakwater_quota_remembered_total',
    help: 'Credentials whose used units, stated limits or cooldowns were taken over from an earlier process.',
    labels: ['upstream', 'scope'],
  },
  quota_probe: {
    name: 'breakwater_shared_probes_total',
    help: 'Requests of this replica to probe a cooldown that replicas share: this (it probes), another (another replica does).',
    labels: ['upstream', 'scope', 'by'],
  },
  operator_event: {
    name: 'breakwater_operator_events_total',
    help: 'Deliveries of events to the webhook: delivered, failed (tried again) or refused. merged, dropped: events without a message of their own.',
    labels: ['outcome'],
  },
  shared_store: {
    name: 'breakwater_shared_store_changes_total',
    help: 'Times that the shared store was used again (answered), or was not used any more, by cause.',
    labels: ['to', 'cause'],
  },
  store_health: {
    name: 'breakwater_store_health_changes_total',
    help: 'Times that the store of durable requests began to fail (failed), or worked again (working).',
    labels: ['to'],
  },
  credential_renewal: {
    name: 'breakwater_credential_renewals_total',
    help: 'New credentials (access tokens), by result. One that another replica has requested counts as renewed.',
    labels: ['upstream', 'scope', 'result'],
  },
  tenant_left: {
    name: 'breakwater_tenants_left_total',
    help: 'Tenants that gave their place to another one (tenant.max). Their policy state and idle connections ended.',
    labels: ['upstream'],
  },
  target_changed: {
    name: 'breakwater_target_changes_total',
    help: 'Times that a target was taken out or put in again, by cause: the status that refused its credential, an accepted probe, or an operator.',
    labels: ['upstream', 'target', 'to', 'cause'],
  },
  durable_deferred: {
    name: 'breakwater_durable_deferrals_total',
    help: 'Times that a durable request was due and was not sent, by reason.',
    labels: ['upstream', 'route', 'reason'],
  },
  durable_polled: {
    name: 'breakwater_durable_polls_total',
    help: 'Replies to polls of durable requests, by their content. unchanged: the same as the previous reply.',
    labels: ['upstream', 'route', 'result'],
  },
  durable_reclaimed: {
    name: 'breakwater_durable_reclaimed_total',
    help: 'Durable requests that were taken over from a process that had ended.',
    labels: ['upstream', 'route'],
  },
  callback_ended: {
    name: 'breakwater_callbacks_total',
    help: 'Callbacks that ended: delivered, gone (410), failed or cancelled.',
    labels: ['outcome'],
  },
  schedule_slot: {
    name: 'breakwater_schedule_slots_total',
    help: 'Runs of schedules that came due: started, or skipped (overlap: the previous run had not finished; paused).',
    labels: ['schedule', 'result'],
  },
  durable_ended: {
    name: 'breakwater_durable_time_to_done_seconds',
    help: 'Time from the acceptance of a durable request to its end, by final status.',
    labels: ['upstream', 'route', 'status'],
    buckets: LONG_BUCKETS,
  },
  store_committed: {
    name: 'breakwater_store_commit_seconds',
    help: 'Duration of commits to the store of durable requests. Many requests share one commit.',
    labels: [],
    buckets: COMMIT_BUCKETS,
  },
};

/** A retry and its time, for a call and for a durable request. */
export interface RetryStep {
  readonly kind: 'retry';
  readonly delayMs: number;
  /** The jittered backoff alone, from which decorrelated jitter grows. */
  readonly backoffMs: number;
  /** The upstream asked for a longer wait than the backoff. */
  readonly asked: boolean;
  /** The attempt goes to another target, so there is no backoff. */
  readonly elsewhere?: true;
  /** Its cost for the budget, in tokens. */
  readonly cost: number;
  readonly reason: RetryReason;
}
