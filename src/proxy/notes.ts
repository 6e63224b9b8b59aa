import type { ErrorCode } from './errors.ts';
import type { ResumeDenial, RetryDenial } from './gave-up.ts';

/**
 * What the cache did for a call. `stale`: served while another reply is fetched; `revalidated`: the upstream confirmed it;
 * `stale_if_error`: served in place of an error; `bypass`: the cache was not asked, or does not handle this request.
 */
export type CacheResult = 'hit' | 'miss' | 'stale' | 'revalidated' | 'stale_if_error' | 'bypass';

/**
 * What deduplication did for a call with an idempotency key. `first`: it was sent; `replayed`: it got the reply of an equal
 * request; `other_payload`, `in_use`: refused; `body_not_buffered`: too large to compare, so it was sent.
 */
export type DedupeResult = 'first' | 'replayed' | 'other_payload' | 'in_use' | 'body_not_buffered';

/** What an error rule says of a reply. `throttled` and `wait`: no more than that, so the status decides. */
export type ErrorRuleMeaning = 'retry' | 'not_processed' | 'in_progress' | 'permanent' | 'throttled' | 'wait';

/**
 * How a second attempt beside another ended. `won`: it answered first; `lost`: the other attempt did; `failed`: it failed, alone or like the other.
 * `refused…`: it was not sent; `refused` alone: a policy refused it on its way (no permit, no quota).
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

/** How a fallback ended. All but the first two are reasons why it was not asked. */
export type FallbackResult = 'answered' | 'failed' | 'not_idempotent' | 'body_not_replayable' | 'deadline';

/** What a policy in shadow mode can refuse. */
export type ShadowRefusal = 'breaker_open';

/** What policies may note about a call. Each note has its row in `NOTES`. */
export interface Notes {
  /** Milliseconds in the queue of the concurrency limit. */
  queued: number;
  /** Milliseconds in the queue of the quota. */
  quota_wait: number;
  /** A refusal of the proxy itself, whether or not it ends the call. */
  rejected: ErrorCode;
  shadow_rejected: ShadowRefusal;
  /** How many retries of its own the client reports for this request. */
  client_retries: number;
  /** `attempts=5`: what the client asked for, within the limits of the route. */
  override: string;
  body_not_buffered: 'cap' | 'memory';
  error_rule: ErrorRuleMeaning;
  retry_denied: RetryDenial;
  resumed: 'resumed';
  resume_denied: ResumeDenial;
  hedge: HedgeResult;
  /** A second attempt beside one that was stuck. */
  stuck: HedgeResult;
  /** The upstream that answered in place of the call's own. */
  fallback_to: string;
  fallback: FallbackResult;
  cache: CacheResult;
  dedupe: DedupeResult;
}

export type NoteName = keyof Notes;

/** A counter of calls, by the noted value if it has a `label`. Its other labels are `upstream` and `route`. */
export interface NoteCounter {
  readonly name: string;
  readonly help: string;
  readonly label?: string;
}

/** A histogram of noted milliseconds, in seconds. Its labels are `upstream` and `route`. */
export interface NoteHistogram {
  readonly name: string;
  readonly help: string;
}

/** What becomes of one note: the only place where it is recorded, logged, counted and documented. */
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
  /** False: what happens in the background is not counted either. */
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
  rejected: {
    fold: 'latest',
    field: 'rejected',
    logged: false,
    ownUpstream: true,
    counter: {
      name: 'breakwater_rejected_total',
      help: 'Refusals by the proxy itself; the upstream was not contacted. A refused retry counts too.',
      label: 'reason',
    },
  },
  shadow_rejected: {
    fold: 'latest',
    counter: {
      name: 'breakwater_shadow_rejected_total',
      help: 'Attempts that a policy in shadow mode would have refused.',
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
  override: {
    fold: 'list',
    field: 'overrides',
    counter: {
      name: 'breakwater_overrides_total',
      help: 'Settings that clients changed for their own calls, by setting.',
      label: 'override',
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
      help: 'Replies that matched an error rule, by what the rule says they mean.',
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
      help: 'Second attempts beside one that was stuck: won, lost, failed, or why one was not sent.',
      label: 'result',
    },
  },
  fallback_to: { fold: 'latest', field: 'fallback_to' },
  fallback: {
    fold: 'latest',
    field: 'fallback',
    counter: {
      name: 'breakwater_fallbacks_total',
      help: 'Calls that failed on a route with a fallback: answered by it, failed there too, or why it was not asked.',
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
