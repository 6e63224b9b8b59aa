import type {
  AttemptRow,
  ClaimedJob,
  Job,
  JobErrorCode,
  JobKind,
  JobStatus,
  NewJob,
  StoredResponse,
  WaitReason,
} from '../job.ts';

export type Submitted =
  | { readonly kind: 'accepted'; readonly id: string }
  /** The same key and fingerprint: the request that is there already. */
  | { readonly kind: 'repeat'; readonly id: string }
  /** The same key, another fingerprint. */
  | { readonly kind: 'conflict'; readonly id: string };

export interface Claim {
  /** This process, anew at each start. */
  readonly owner: string;
  readonly now: number;
  /**
   * Now, by the clock of leases, which no setting of the wall clock moves; undefined: the database's own, which all who
   * share it go by.
   */
  readonly leaseNow: number | undefined;
  /** After so long without a result another may claim it. */
  readonly leaseMs: number;
  /** Ids of what this process runs: it is alive, so whatever their leases say, none of them is abandoned. */
  readonly running?: readonly string[] | undefined;
  /** False: nothing is taken over now, however old its lease. */
  readonly reclaims?: boolean | undefined;
  readonly limit: number;
  /** Routes that have no place free now: none of theirs, so that a full route does not keep others waiting. */
  readonly except?: readonly string[] | undefined;
}

/** What follows an attempt, or a claim that did not become one. */
export type Next =
  | {
      readonly kind: 'wait';
      readonly dueAt: number;
      readonly reason: WaitReason;
      /** Whether the attempt counts against the route's limit. */
      readonly counts: boolean;
      /** What came was a good answer: the counting begins anew. */
      readonly resetsCount?: boolean | undefined;
    }
  | {
      readonly kind: 'end';
      readonly status: Extract<JobStatus, 'succeeded' | 'failed' | 'cancelled'>;
      readonly error?: { readonly code: JobErrorCode; readonly title: string } | undefined;
      readonly purgeAt: number;
    };

/** The result of a claim. Taken only from the owner of that very attempt: whoever was given up for dead comes too late. */
export interface Settlement {
  readonly id: string;
  readonly owner: string;
  readonly attempt: number;
  readonly now: number;
  /** Undefined for a deferral: nothing was sent, and the attempt's number is used again. */
  readonly entry: AttemptRow | undefined;
  /** Kept as the result so far; the last one stands. */
  readonly response?: StoredResponse | undefined;
  readonly runnerState?: string | undefined;
  readonly next: Next;
  /** Further requests that come into being with this end: its callback. */
  readonly callbacks?: readonly NewJob[] | undefined;
}

export interface Filter {
  readonly status?: readonly JobStatus[] | undefined;
  readonly route?: string | undefined;
  readonly label?: string | undefined;
  readonly orderKey?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly minAttempts?: number | undefined;
  readonly kind?: JobKind | undefined;
  readonly parent?: string | undefined;
  /** `seq` of the last one seen; newest first. */
  readonly before?: number | undefined;
  /** Only what has not ended, soonest first, rather than all, newest first. What is due and kept back by a pause comes last. */
  readonly soonestFirst?: boolean | undefined;
  readonly limit: number;
}

/** By what those who wait for a request know that it has come to something new. */
export type JobProgress = Pick<Job, 'id' | 'status' | 'attempt' | 'dueAt' | 'reason'>;

/** Whether something could be done to a request, and if not, how it stands. */
export type Changed =
  | { readonly kind: 'changed'; readonly job: Job }
  | { readonly kind: 'refused'; readonly job: Job }
  | { readonly kind: 'unknown' };

/**
 * Everything that is known about durable requests, on disk before any promise resolves. Every method rejects with a
 * StoreError when the database would not. The statements are the same in both dialects.
 */
export interface Store {
  submit(job: NewJob): Promise<Submitted>;
  /** Due requests, oldest due first, marked as running. Includes those whose lease has run out. */
  claim(claim: Claim): Promise<readonly ClaimedJob[]>;
  /** False when the attempt is not the caller's any more; then nothing was changed. */
  settle(settlement: Settlement): Promise<boolean>;
  /** The clock says `now` and was set back: what waits by the clock of before waits no longer than was chosen; how many. */
  setBack(now: number): Promise<number>;
  /** The moment of the next due request; undefined when nothing waits. */
  nextDueAt(): Promise<number | undefined>;

  get(id: string): Promise<Job | undefined>;
  /** How these stand; those that are unknown are left out. */
  progress(ids: readonly string[]): Promise<readonly JobProgress[]>;
  response(id: string): Promise<StoredResponse | undefined>;
  request(id: string): Promise<Pick<ClaimedJob, 'headers' | 'body'> | undefined>;
  attempts(id: string): Promise<readonly AttemptRow[]>;
  list(filter: Filter): Promise<readonly Job[]>;
  /** Requests by route and status, and the oldest due moment of each route. */
  counts(): Promise<
    readonly { route: string; status: JobStatus; count: number; oldestDueAt: number | undefined }[]
  >;
  /** Requests that have not ended; what the backlog's limit is about. */
  backlog(): Promise<number>;

  /** Waiting or queued: cancelled at once, and `callbacks` comes into being. Running: refused (its owner aborts it first). */
  cancel(id: string, now: number, purgeAt: number, callbacks?: readonly NewJob[]): Promise<Changed>;
  /** Waiting: due now. Failed, cancelled, or with `force` succeeded: again, under the same id and upstream key, with fresh counts. */
  retry(
    id: string,
    change: { readonly now: number; readonly deadlineAt: number; readonly force: boolean },
  ): Promise<Changed>;
  /** Cancels what is not running, and erases the bodies. */
  erase(id: string, now: number, purgeAt: number): Promise<Changed>;
  /** The same for all that match, at most `filter.limit`; how many matched and how many changed. */
  retryAll(
    filter: Filter,
    change: { readonly now: number; readonly deadlineAt: number },
  ): Promise<{ matched: number; changed: number }>;
  cancelAll(
    filter: Filter,
    now: number,
    purgeAt: number,
    callbacks?: (job: Job) => readonly NewJob[],
  ): Promise<{ matched: number; changed: number }>;

  /** Moves what is due before `until` on this route to moments spread evenly over `[until, until + spreadMs)`; how many. */
  moveDue(move: {
    readonly route: string;
    readonly until: number;
    readonly now: number;
    readonly spreadMs: number;
    readonly reason: WaitReason;
  }): Promise<number>;
  pause(route: string, now: number): Promise<void>;
  resume(route: string, now: number): Promise<void>;
  paused(): Promise<readonly string[]>;

  /** True for exactly one caller per (schedule, slot), across all processes; the job, if any, is submitted in the same transaction. */
  submitSlot(schedule: string, slotAt: number, job: NewJob | undefined): Promise<boolean>;
  /** The latest slot up to `now`, and the latest of all: a later one was made while a clock was ahead. */
  lastSlot(schedule: string, now: number): Promise<{ due: number | undefined; ahead: number | undefined }>;

  /** Forgets what has outlived its retention, in small batches; how many. */
  sweep(now: number, limit: number): Promise<number>;
  /** Embedded store: a consistent copy at `file`. */
  backup(file: string): Promise<void>;
  /** 32 random bytes, hex, made with the store and the same for all who share it: keys the hashes of callers. */
  secret(): Promise<string>;
  /** Wall-clock milliseconds by the clock of whoever keeps the store. */
  wallTime(): Promise<number>;
  /** Bytes on disk; undefined where it is not ours to know. */
  bytes(): Promise<number | undefined>;
  close(): Promise<void>;
}
