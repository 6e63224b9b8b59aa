import type { RawHeaders } from '../http/headers.ts';

/**
 * Where a request stands. `queued`: accepted, not begun; `waiting`: begun, and the next step lies ahead (always with a
 * reason); `running`: an attempt is under way. The other three are final.
 */
export type JobStatus = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled';

/**
 * What put a request off. `attempt`: a failed attempt, which counts. `refusal`: this proxy refused the attempt (breaker, quota,
 * concurrency). `person`: waiting alone does not help. `time`: its time has not come, or other requests go first.
 */
type WaitCause = 'attempt' | 'refusal' | 'person' | 'time';

const WAIT_CAUSES = {
  backoff: 'attempt',
  retry_after: 'attempt',
  breaker_open: 'refusal',
  quota: 'refusal',
  budget: 'time',
  concurrency: 'refusal',
  /** The upstream's name leads to a forbidden address. */
  address: 'person',
  /** The stored credentials cannot be read. */
  credentials: 'person',
  paused: 'time',
  not_before: 'time',
  key: 'time',
  polling: 'time',
} as const satisfies Record<string, WaitCause>;

/** Why a request that is not running waits. */
export type WaitReason = keyof typeof WAIT_CAUSES;

export const WAIT_REASONS = Object.keys(WAIT_CAUSES) as readonly WaitReason[];

export const waitCause = (reason: WaitReason): WaitCause => WAIT_CAUSES[reason];

/** Why a request ended without success. */
export const JOB_ERROR_CODES = [
  'exhausted',
  'deadline',
  'not_retryable',
  'condition_failed',
  'unknown_outcome',
  'unwritable',
  'cancelled',
] as const;
export type JobErrorCode = (typeof JOB_ERROR_CODES)[number];

/** A `callback` delivers the end of a `request`; a `scheduled` one was made by a schedule. */
export type JobKind = 'request' | 'callback' | 'scheduled';

/** All moments here are wall-clock milliseconds since 1970. */
export interface NewJob {
  /** `req_` and 128 random bits. */
  readonly id: string;
  readonly kind: JobKind;
  /** `upstream/route`, as in the configuration. */
  readonly route: string;
  readonly method: string;
  /** Path and query as the upstream will see them. */
  readonly target: string;
  /** As the upstream will see them, without what is injected at dispatch. */
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
  /** SHA-256 of the body, hex. */
  readonly sha256: string;
  /** Who sent it: a hash of the caller's credentials and accounts (`Credentials.callerOf`); '' for a caller without any. */
  readonly caller: string;
  /** The client's Idempotency-Key; null without. Unique per (caller, route). */
  readonly idempotencyKey: string | null;
  /** SHA-256 of method, target and body: the same key with another fingerprint is a conflict. */
  readonly fingerprint: string;
  /** The one key that all attempts carry to the upstream; null where the route trusts none. */
  readonly upstreamKey: string | null;
  /** Requests of one key, caller and route run one at a time, in the order of their acceptance; null: no order. */
  readonly orderKey: string | null;
  readonly labels: readonly string[];
  readonly createdAt: number;
  /** Not before. */
  readonly dueAt: number;
  readonly deadlineAt: number;
  /** Where the end is told; null: nowhere. */
  readonly callbackUrl: string | null;
  /** The request whose end this callback tells, or the schedule that made it; null otherwise. */
  readonly parent: string | null;
  /** What only the runner understands (poll-until state, schedule slot), kept as JSON. */
  readonly runnerState: string;
}

/** A request as it is in the store, without its bodies. */
export interface Job extends Omit<NewJob, 'body' | 'headers'> {
  /** Order of acceptance. */
  readonly seq: number;
  readonly bytes: number;
  readonly status: JobStatus;
  /** Undefined unless queued or waiting. */
  readonly reason: WaitReason | undefined;
  /** The process that runs it; undefined unless running. */
  readonly owner: string | undefined;
  /** The number of the latest attempt: the fence for its result. Deferrals do not raise it for good. */
  readonly attempt: number;
  /** How many attempts count against the route's limit since the last `retry`. */
  readonly counted: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** When it is forgotten; undefined until it has ended. */
  readonly purgeAt: number | undefined;
  readonly error: { readonly code: JobErrorCode; readonly title: string } | undefined;
  readonly response:
    | { readonly status: number; readonly bytes: number; readonly truncated: boolean }
    | undefined;
  /** Bodies were erased on request or after retention. */
  readonly erased: boolean;
}

/** What the upstream answered, byte for byte. */
export interface StoredResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
  readonly truncated: boolean;
}

/** A request that this process has just been given to run. */
export interface ClaimedJob extends Job {
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
  /** An earlier attempt began and nobody knows how it ended: its process died, or its lease ran out. */
  readonly reclaimed: boolean;
}

/** One attempt, as it is shown. */
export interface AttemptRow {
  readonly n: number;
  readonly at: number;
  readonly ms: number;
  readonly status: number | undefined;
  /** A ProxyError's code where there was no reply. */
  readonly error: string | undefined;
  readonly detail: string | undefined;
  /** What was decided after it. */
  readonly waitMs: number | undefined;
  readonly reason: WaitReason | JobErrorCode | undefined;
  /** Its process died, or its lease ran out: nobody knows how it ended. */
  readonly reclaimed: boolean;
  /** The first 2 KiB of a reply that was not kept as the result. */
  readonly replyHead: Uint8Array | undefined;
}

/** A request as it stands right after its acceptance. */
export function jobOf({ body, headers: _headers, ...job }: NewJob): Job {
  return {
    ...job,
    seq: 0,
    bytes: body.length,
    status: 'queued',
    reason: job.dueAt > job.createdAt ? 'not_before' : undefined,
    owner: undefined,
    attempt: 0,
    counted: 0,
    startedAt: undefined,
    finishedAt: undefined,
    purgeAt: undefined,
    error: undefined,
    response: undefined,
    erased: false,
  };
}
