import type { ReplyClassification } from '../http/reply.ts';
import type { Priority } from './client.ts';
import type { ErrorCode } from './errors.ts';
import type { ResumeDenial, RetryDenial } from './gave-up.ts';

/**
 * The result of the cache for a call. `stale`: a stale reply was served while another is fetched. `revalidated`: the upstream
 * confirmed it. `stale_if_error`: it was served instead of an error. `bypass`: the cache does not handle this request.
 */
export type CacheResult = 'hit' | 'miss' | 'stale' | 'revalidated' | 'stale_if_error' | 'bypass';

/**
 * The result of deduplication for a call with an idempotency key. `first`: it was sent. `replayed`: it got the reply of an equal
 * request. `other_payload`, `in_use`: it was refused. `body_not_buffered`: it was sent, because it is too large to compare.
 */
export type DedupeResult = 'first' | 'replayed' | 'other_payload' | 'in_use' | 'body_not_buffered';

/** The meaning that an error rule gives to a reply. With `throttled` and `wait` the status still decides about retries. */
export type ErrorRuleMeaning = Exclude<ReplyClassification['kind'], undefined> | 'throttled' | 'wait';

/** The meaning for the metrics. */
export const errorRuleMeaning = ({ kind, throttled }: ReplyClassification): ErrorRuleMeaning =>
  kind ?? (throttled ? 'throttled' : 'wait');

/**
 * The result of an event stream. `complete`: it ended with an event that says so. `incomplete`: it ended without one. `stalled`: its
 * events stopped. `broken`: the upstream broke it off.
 */
export type StreamResult = 'complete' | 'incomplete' | 'error_event' | 'stalled' | 'broken' | 'client_gone';

/**
 * The result of a parallel second attempt. `won`: it answered first. `lost`: the first attempt did. `failed`: it failed, alone or
 * like the other. `refused…`: it was not sent. `refused`: an inner policy refused it (no permit, no quota).
 */
export type HedgeResult =
  | 'won'
  | 'lost'
  | 'failed'
  | 'client_gone'
  | 'refused'
  | 'refused_body'
  | 'refused_breaker'
  | 'refused_draining'
  | 'refused_quota'
  | 'refused_max_extra'
  | 'refused_budget';

/** The result of a fallback. All but the first two are reasons why it was not used. */
export type FallbackResult = 'answered' | 'failed' | 'not_idempotent' | 'body_not_replayable' | 'deadline';

/**
 * Whether a reply stated its cost (`quota.cost.reply`). `missing`: it did not, or not all of it. `too_large`: it was not read.
 * `incomplete`: it ended before, or its reader left.
 */
export type CostReading = 'read' | 'missing' | 'too_large' | 'incomplete';

/** The refusal, or the wait, that a policy in shadow mode only notes. */
export type ShadowRefusal = 'breaker_open' | 'concurrency_limit' | 'egress_denied' | 'quota';

/** The notes that policies may make about a call. Each note has a row in `NOTES`. */
export interface Notes {
  /** Milliseconds in the queue of the concurrency limit. */
  queued: number;
  /** Milliseconds in the queue of the quota. */
  quota_wait: number;
  /** The cost of an attempt as it was estimated before, and as its reply stated it. */
  estimated_cost: number;
  cost: number;
  cost_reading: CostReading;
  /** A refusal of this proxy, even if it does not end the call. */
  rejected: ErrorCode;
  shadow_rejected: ShadowRefusal;
  /** The number of its own retries that the client reports for this request. */
  client_retries: number;
  /** A priority other than `normal`. */
  priority: Priority;
  /** An override of the client within the limits of the route, such as `attempts=5`. */
  override: string;
  body_not_buffered: 'cap' | 'memory';
  error_rule: ErrorRuleMeaning;
  retry_denied: RetryDenial;
  resumed: 'resumed';
  resume_denied: ResumeDenial;
  hedge: HedgeResult;
  /** A fault that this proxy injected into an attempt. */
  fault: 'delay' | 'reset' | 'stall' | 'status';
  /** A second attempt in parallel with a stuck one. */
  stuck: HedgeResult;
  /** The upstream that answered instead of the call's own. */
  fallback_to: string;
  /** An upstream that was asked and did not answer either, with its status or the code of its error. */
  fallback_failed: string;
  /** The tenant whose host the call is for. */
  tenant: string;
  /** The target of the latest attempt at the call's own upstream, or of the one that answered. */
  target: string;
  /** An attempt went to another target, because of what the previous one said about its own. */
  moved: 'credential' | 'limit' | 'host';
  /** URLs in the head of the reply became paths of the mount. */
  links: 'rewritten';
  /** The call was sent once more with a renewed credential, after a refusal. */
  auth: 'renewed';
  fallback: FallbackResult;
  cache: CacheResult;
  dedupe: DedupeResult;
  /** Why other replicas did not know of the key of this call. */
  dedupe_unshared: 'store_away';
  /** Milliseconds from the start of the attempt to the first event of its stream. */
  first_event: number;
  /** The meaningful events of the last stream. */
  events: number;
  /** Milliseconds; the longest gap between two meaningful events of the last stream. */
  longest_gap: number;
  stream: StreamResult;
  /** The error event after the first event: the name of its rule, or its status. */
  stream_error: string;
}

export type NoteName = keyof Notes;

/** A counter of calls, by the noted value if it has a `label`. Its other labels are `upstream` and `route`. */
export interface NoteCounter {
  readonly name: string;
  readonly help: string;
  readonly label?: string;
  /** The noted numbers are added up. Default: each note counts as 1. */
  readonly adds?: true;
}

/** A histogram of noted milliseconds, in seconds. Its labels are `upstream` and `route`. */
export interface NoteHistogram {
  readonly name: string;
  readonly help: string;
}

/** How one note is recorded, logged, counted and documented. This is the only place that says so. */
interface NoteSpec<V> {
  /** How the notes of one call become one value: the latest, their sum, their number, or a list in order. */
  readonly fold: V extends number ? 'latest' | 'sum' : 'latest' | 'count' | 'list';
  /** The property of `CallRecord.notes`, and the field of the log line; undefined: it is only counted. */
  readonly field?: string;
  /** False: the field is not in the log line. */
  readonly logged?: false;
  /** The response header that carries the field. */
  readonly header?: string;
  /** True: notes about a fallback's upstream are counted there, and not recorded for the call. */
  readonly ownUpstream?: true;
  /** False: background work is not counted. */
  readonly background?: false;
  readonly counter?: NoteCounter;
  readonly histogram?: NoteHistogram;
}

const RESUMES: NoteCounter = {
  name: 'breakwater_resumes_total',
  help: 'Downloads that broke: resumed, or why the rest was not fetched (attempts, budget, breaker, changed …).',
  label: 'result',
};

const NOTES = {
  queued: {
    fold: 'sum',
    field: 'queued_ms',
    histogram: {
      name: 'breakwater_concurrency_wait_seconds',
      help: 'Waits for a permit of the concurrency limit.',
    },
  },
  quota_wait: {
    fold: 'sum',
    field: 'quota_ms',
    histogram: {
      name: 'breakwater_quota_wait_seconds',
      help: "Waits for the upstream's quota, of attempts that could not be sent at once.",
    },
  },
  estimated_cost: {
    fold: 'sum',
    field: 'estimated_cost',
    counter: {
      name: 'breakwater_quota_estimated_cost_total',
      help: 'Cost of attempts as estimated before they were sent, where replies state the real cost (quota.cost.reply).',
      adds: true,
    },
  },
  cost: {
    fold: 'sum',
    field: 'cost',
    counter: {
      name: 'breakwater_quota_cost_total',
      help: 'Cost of the same attempts as their replies stated it, such as tokens. The estimate counts if a reply stated none.',
      adds: true,
    },
  },
  cost_reading: {
    fold: 'latest',
    field: 'cost_reading',
    counter: {
      name: 'breakwater_quota_cost_readings_total',
      help: 'Replies that may state their cost: read, or why the estimate stays (missing, too_large, incomplete).',
      label: 'result',
    },
  },
  rejected: {
    fold: 'latest',
    field: 'rejected',
    logged: false,
    ownUpstream: true,
    counter: {
      name: 'breakwater_rejected_total',
      help: 'Refusals by the proxy itself. The upstream was not contacted, except for a slow upload that got no permit for its end. A refused retry counts too.',
      label: 'reason',
    },
  },
  shadow_rejected: {
    fold: 'latest',
    field: 'shadow_rejected',
    counter: {
      name: 'breakwater_shadow_rejected_total',
      help: 'Attempts that a policy in shadow mode would have refused, or held for their turn, by its problem code. For allow: calls.',
      label: 'reason',
    },
  },
  client_retries: {
    fold: 'latest',
    field: 'client_retries',
    counter: {
      name: 'breakwater_client_retries_total',
      help: 'Calls that their client reported as retries of its own. The retry budget is charged for them.',
    },
  },
  priority: {
    fold: 'latest',
    field: 'priority',
    counter: {
      name: 'breakwater_prioritized_requests_total',
      help: 'Calls whose priority is high or low.',
      label: 'priority',
    },
  },
  override: {
    fold: 'list',
    field: 'overrides',
    counter: {
      name: 'breakwater_overrides_total',
      help: 'Settings that clients changed for their own calls, by setting.',
      label: 'override',
    },
  },
  fault: {
    fold: 'list',
    field: 'faults',
    counter: {
      name: 'breakwater_faults_total',
      help: 'Attempts into which this proxy injected a fault (key faults, with FAULTS=on).',
      label: 'fault',
    },
  },
  body_not_buffered: {
    fold: 'latest',
    field: 'body_not_buffered',
    counter: {
      name: 'breakwater_request_bodies_not_buffered_total',
      help: 'Request bodies above the limit of one call (cap) or of all calls (memory). These calls could not be retried.',
      label: 'reason',
    },
  },
  error_rule: {
    fold: 'latest',
    counter: {
      name: 'breakwater_error_rule_matches_total',
      help: 'Replies that matched an error rule, by the meaning that the rule states.',
      label: 'means',
    },
  },
  retry_denied: {
    fold: 'latest',
    field: 'gave_up',
    header: 'breakwater-gave-up',
    ownUpstream: true,
    counter: {
      name: 'breakwater_retries_denied_total',
      help: 'Failed attempts that were not retried, by reason.',
      label: 'reason',
    },
  },
  resumed: { fold: 'count', field: 'resumed', counter: RESUMES },
  resume_denied: { fold: 'latest', field: 'gave_up', counter: RESUMES },
  hedge: {
    fold: 'latest',
    field: 'hedge',
    counter: {
      name: 'breakwater_hedges_total',
      help: 'Second attempts while the first was slow: won, lost, failed, or why one was not sent.',
      label: 'result',
    },
  },
  stuck: {
    fold: 'latest',
    field: 'stuck',
    counter: {
      name: 'breakwater_stuck_attempts_total',
      help: 'Second attempts in parallel with a stuck one: won, lost, failed, or why one was not sent.',
      label: 'result',
    },
  },
  fallback_to: {
    fold: 'latest',
    field: 'fallback_to',
    header: 'breakwater-fallback',
    counter: {
      name: 'breakwater_fallback_answers_total',
      help: 'Failed calls that another upstream answered, by the name of that upstream.',
      label: 'fallback',
    },
  },
  fallback_failed: { fold: 'list', field: 'fallback_failed' },
  tenant: { fold: 'latest', field: 'tenant' },
  target: { fold: 'latest', field: 'target', ownUpstream: true, header: 'breakwater-target' },
  moved: {
    fold: 'count',
    field: 'moved',
    counter: {
      name: 'breakwater_target_moves_total',
      help: 'Attempts that went to another target at once: the credential of the previous one was refused (credential) or had used up its quota (limit), or its host failed.',
      label: 'because',
    },
  },
  links: {
    fold: 'latest',
    field: 'links',
    counter: {
      name: 'breakwater_links_rewritten_total',
      help: 'Replies in whose headers URLs of the upstream became paths of the mount.',
    },
  },
  auth: {
    fold: 'latest',
    field: 'auth',
    counter: {
      name: 'breakwater_auth_repeats_total',
      help: 'Calls that were sent once more with a renewed credential, after the upstream had refused the one before.',
    },
  },
  fallback: {
    fold: 'latest',
    field: 'fallback',
    counter: {
      name: 'breakwater_fallbacks_total',
      help: 'Failed calls on routes with a fallback: answered by a fallback, failed there too, or why the fallback was not asked.',
      label: 'result',
    },
  },
  cache: {
    fold: 'latest',
    field: 'cache',
    background: false,
    counter: {
      name: 'breakwater_cache_requests_total',
      help: 'Calls on routes with a cache, by what the cache did for them.',
      label: 'result',
    },
  },
  dedupe: {
    fold: 'latest',
    field: 'dedupe',
    header: 'breakwater-dedupe',
    counter: {
      name: 'breakwater_dedupe_requests_total',
      help: 'Calls with an idempotency key on routes with deduplication, by what it did for them.',
      label: 'result',
    },
  },
  dedupe_unshared: {
    fold: 'latest',
    field: 'dedupe_unshared',
    counter: {
      name: 'breakwater_dedupe_unshared_total',
      help: 'Calls that were sent as the first with their idempotency key as far as this replica knew, because the shared store was away.',
      label: 'reason',
    },
  },
  first_event: {
    fold: 'latest',
    field: 'first_event_ms',
    histogram: {
      name: 'breakwater_stream_first_event_seconds',
      help: 'Time from the start of an attempt to the first meaningful event of its stream.',
    },
  },
  events: { fold: 'latest', field: 'events' },
  longest_gap: {
    fold: 'latest',
    field: 'longest_gap_ms',
    histogram: {
      name: 'breakwater_stream_longest_gap_seconds',
      help: 'The longest gap between two meaningful events of a stream.',
    },
  },
  stream: {
    fold: 'latest',
    field: 'stream',
    counter: {
      name: 'breakwater_streams_total',
      help: 'Event streams on routes with stream, by result. Failed attempts count too.',
      label: 'result',
    },
  },
  stream_error: { fold: 'latest', field: 'stream_error' },
} as const satisfies { readonly [N in NoteName]: NoteSpec<Notes[N]> };

type FieldOf<N extends NoteName> = (typeof NOTES)[N] extends { readonly field: infer F } ? F : never;

type FoldedOf<N extends NoteName> = (typeof NOTES)[N]['fold'] extends 'list'
  ? readonly Notes[N][]
  : (typeof NOTES)[N]['fold'] extends 'count'
    ? number
    : Notes[N];

type NotesIn<F> = { [N in NoteName]: F extends FieldOf<N> ? N : never }[NoteName];

/** The notes of one call, by field. A field is absent until something is noted. */
export type Noted = { [F in { [N in NoteName]: FieldOf<N> }[NoteName]]?: FoldedOf<NotesIn<F>> | undefined };

/** One row, as the code reads it that records, logs and counts all notes alike. */
export type NoteRow = NoteSpec<string> | NoteSpec<number>;

export const NOTE_ROWS: Readonly<Record<NoteName, NoteRow>> = NOTES;

/** The response headers that carry notes. */
export const NOTED_HEADERS = Object.values(NOTE_ROWS).flatMap(({ field, header }) =>
  field === undefined || header === undefined ? [] : [{ field: field as keyof Noted, header }],
);
