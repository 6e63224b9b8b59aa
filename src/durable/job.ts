import type { RawHeaders } from '../http/headers.ts';
import type { Priority } from '../proxy/client.ts';

/**
 * Status of a request. `queued`: accepted, no attempt yet. `running`: an attempt is in progress. `waiting`: a further
 * attempt follows, always with a reason. The others are final.
 */
export type JobStatus = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled';

/**
 * Cause of a deferral. `attempt`: a failed attempt, which counts. `refusal`: this proxy refused the attempt
 * (breaker, quota, concurrency). `person`: an operator must change something. `time`: its time has not come, or other
 * requests go first.
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
  /** The credential that the proxy adds is not to be had. */
  auth: 'person',
  /** No target of the upstream may get the request. */
  target: 'person',
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

/** A `callback` reports the end of a `request`. A `scheduled` request was created by a schedule. */
export type JobKind = 'request' | 'callback' | 'scheduled';

/** All times are wall-clock milliseconds since 1970. */
export interface NewJob {
  /** `req_` and 128 random bits in hex. */
  readonly id: string;
  readonly kind: JobKind;
  /** `upstream/route`, as in the configuration. */
  readonly route: string;
  /** The tenant to whose host it is sent; '' if the upstream has no tenants. */
  readonly tenant: string;
  readonly method: string;
  /** Path and query as the upstream receives them. */
  readonly target: string;
  /** As the upstream receives them, without the fields that the route injects. */
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
  /** SHA-256 of the body, hex. */
  readonly sha256: string;
  /** A hash of the caller's credentials and accounts (`Credentials.callerOf`); '' for a caller without any. */
  readonly caller: string;
  /** Name of the client that submitted it, by its token. Undefined if clients need none, and for a run of a schedule. */
  readonly client?: string | undefined;
  /** The priority that its client asked for. Undefined: low. */
  readonly priority?: Priority | undefined;
  /** The client's Idempotency-Key, or null. Unique for each caller and route. */
  readonly idempotencyKey: string | null;
  /** SHA-256 of method, target and body. The same key with another fingerprint is a conflict. */
  readonly fingerprint: string;
  /** The idempotency key that all attempts send to the upstream. Null if the route trusts none. */
  readonly upstreamKey: string | null;
  /** Requests with the same key, caller and route run one at a time, in order of acceptance. Null: no order. */
  readonly orderKey: string | null;
  readonly labels: readonly string[];
  readonly createdAt: number;
  /** No attempt begins before this. */
  readonly dueAt: number;
  readonly deadlineAt: number;
  /** URL of the callback. Null: no callback. */
  readonly callbackUrl: string | null;
  /** For a callback, the id of its request; for a scheduled request, the name of its schedule; otherwise null. */
  readonly parent: string | null;
  /** The id of the call that submitted it, or whose end its callback reports. Null for a run of a schedule. */
  readonly requestId: string | null;
  /** The `traceparent` of that call. Null if it was in no trace. */
  readonly traceparent: string | null;
  /** JSON that only the runner reads: `RunnerState`, or the slot of a schedule. The column is named `memo`. */
  readonly runnerState: string;
}

/** A stored request, without its headers and bodies. */
export interface Job extends Omit<NewJob, 'body' | 'headers'> {
  /** Order of acceptance. */
  readonly seq: number;
  /** The order of lists that have the soonest first; undefined after its end. */
  readonly wakeAt: number | undefined;
  readonly bytes: number;
  readonly status: JobStatus;
  /** Undefined unless queued or waiting. */
  readonly reason: WaitReason | undefined;
  /** Id of the claim by which a process runs it. Undefined unless running. */
  readonly owner: string | undefined;
  /** Number of the latest attempt, which fences its result. A deferral gives its number back. */
  readonly attempt: number;
  /** Attempts that count against the route's limit since the last `retry`. */
  readonly counted: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** When the request is deleted. Undefined until it has ended. */
  readonly purgeAt: number | undefined;
  readonly error: { readonly code: JobErrorCode; readonly title: string } | undefined;
  readonly response:
    | { readonly status: number; readonly bytes: number; readonly truncated: boolean }
    | undefined;
  /** The bodies were erased on request or after the retention. */
  readonly erased: boolean;
}

/** The reply of the upstream, byte for byte. */
export interface StoredResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
  readonly truncated: boolean;
}

/** The facts that an attempt and the report of its result need. A claim reads no other columns. */
export type ActiveJob = Omit<
  Job,
  | 'wakeAt'
  | 'bytes'
  | 'sha256'
  | 'idempotencyKey'
  | 'fingerprint'
  | 'finishedAt'
  | 'purgeAt'
  | 'error'
  | 'erased'
>;

/** A request that this process has claimed to run. */
export interface ClaimedJob extends ActiveJob {
  readonly owner: string;
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
  /** The outcome of the attempt before is unknown: its process died or lost its lease. */
  readonly reclaimed: boolean;
}

/** One attempt as the API shows it. */
export interface AttemptRow {
  readonly n: number;
  readonly at: number;
  readonly ms: number;
  readonly status: number | undefined;
  /** Code of the ProxyError. Undefined with a reply. */
  readonly error: string | undefined;
  readonly detail: string | undefined;
  /** The wait after it in milliseconds. */
  readonly waitMs: number | undefined;
  readonly reason: WaitReason | JobErrorCode | undefined;
  /** Its outcome is unknown: its process died or lost its lease. */
  readonly reclaimed: boolean;
  /** The first 2 KiB of a reply that is not stored as the result. */
  readonly replyHead: Uint8Array | undefined;
}

/** A request directly after its acceptance. */
export function jobOf({ body, headers: _headers, ...job }: NewJob): Job {
  return {
    ...job,
    seq: 0,
    wakeAt: job.dueAt,
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
