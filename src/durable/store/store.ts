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
import type { StoredNote } from './notes.ts';

export type Submitted =
  | { readonly kind: 'accepted'; readonly id: string }
  /** Same key and fingerprint: the id of the existing request. */
  | { readonly kind: 'repeat'; readonly id: string }
  /** Same key, another fingerprint. */
  | { readonly kind: 'conflict'; readonly id: string };

export interface Claim {
  /** Id of this claim, chosen by the caller. Results must name it. A claim without an answer is looked up by it. */
  readonly owner: string;
  readonly now: number;
  /**
   * Milliseconds on the clock of leases, which does not follow changes of the wall clock. Undefined: the database's
   * clock, which all replicas share.
   */
  readonly leaseNow: number | undefined;
  /** Milliseconds after which another process may claim the request. */
  readonly leaseMs: number;
  /** Ids that this process runs. They are never reclaimed, even if their lease has run out. */
  readonly running?: readonly string[] | undefined;
  /** False: no lease is taken over, however old it is. */
  readonly reclaims?: boolean | undefined;
  readonly limit: number;
  /** Routes without free room. Their requests are not claimed, so that a full route does not block others. */
  readonly except?: readonly string[] | undefined;
}

/** Claims by the same process whose answer was lost. */
export interface LostClaims extends Pick<Claim, 'leaseNow' | 'leaseMs'> {
  readonly owners: readonly string[];
}

/** The decision after an attempt, or after a claim without an attempt. */
export type Next =
  | {
      readonly kind: 'wait';
      readonly dueAt: number;
      readonly reason: WaitReason;
      /** Whether the attempt counts against the route's limit. */
      readonly counts: boolean;
      /** The reply was successful: the count starts again at zero. */
      readonly resetsCount?: boolean | undefined;
    }
  | {
      readonly kind: 'end';
      readonly status: Extract<JobStatus, 'succeeded' | 'failed' | 'cancelled'>;
      readonly error?: { readonly code: JobErrorCode; readonly title: string } | undefined;
      readonly purgeAt: number;
    };

/**
 * The result of a claim. It is stored only if the owner still holds this attempt. After a lost lease it is refused.
 */
export interface Settlement {
  readonly id: string;
  readonly owner: string;
  readonly attempt: number;
  readonly now: number;
  /** Undefined for a deferral: nothing was sent, and the attempt's number is reused. */
  readonly entry: AttemptRow | undefined;
  /** Stored as the result so far. A later response replaces it. */
  readonly response?: StoredResponse | undefined;
  readonly runnerState?: string | undefined;
  readonly next: Next;
  /** False: the request has no order key, so its end wakes no other request. */
  readonly ordered?: boolean | undefined;
  /** Requests that are inserted with this end: its callback. */
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
  /** The id of the call that submitted it. */
  readonly requestId?: string | undefined;
  /** `seq` of the last request on the previous page. */
  readonly before?: number | undefined;
  /** Lists only unfinished requests, soonest first. Requests that a pause holds back come last. */
  readonly soonestFirst?: boolean | undefined;
  /** The last request on the previous page, if the soonest are first. */
  readonly after?: { readonly wakeAt: number; readonly seq: number } | undefined;
  readonly limit: number;
}

/** The fields by which a waiting client notices a change. */
export type JobProgress = Pick<Job, 'id' | 'status' | 'attempt' | 'dueAt' | 'reason'>;

/** Whether the request was changed; if not, its current state. */
export type Changed =
  | { readonly kind: 'changed'; readonly job: Job }
  | { readonly kind: 'refused'; readonly job: Job }
  | { readonly kind: 'unknown' };

/**
 * The durable requests. Changes are on disk before a promise resolves. Methods reject with a StoreError if the
 * database fails. The statements are the same in both dialects.
 */
export interface Store {
  submit(job: NewJob): Promise<Submitted>;
  /** Claims due requests, oldest due first, and marks them as running. Includes requests whose lease has run out. */
  claim(claim: Claim): Promise<readonly ClaimedJob[]>;
  /**
   * The requests of claims whose answer was lost, with new leases. None of them may have begun. The result is empty if
   * these claims were not committed.
   */
  claimed(lost: LostClaims): Promise<readonly ClaimedJob[]>;
  /** False if the caller no longer holds the attempt; nothing was changed then. */
  settle(settlement: Settlement): Promise<boolean>;
  /**
   * Restarts the waits that began on a clock that was set back since. `now` is the new time. Returns their number.
   */
  setBack(now: number): Promise<number>;
  /** Due time of the next request. Undefined if none waits. */
  nextDueAt(): Promise<number | undefined>;

  get(id: string): Promise<Job | undefined>;
  /** Progress of these requests. Unknown ids are left out. */
  progress(ids: readonly string[]): Promise<readonly JobProgress[]>;
  response(id: string): Promise<StoredResponse | undefined>;
  request(id: string): Promise<Pick<ClaimedJob, 'headers' | 'body'> | undefined>;
  attempts(id: string): Promise<readonly AttemptRow[]>;
  list(filter: Filter): Promise<readonly Job[]>;
  /** Number of requests by route and status, and the oldest due time of each. */
  counts(): Promise<
    readonly { route: string; status: JobStatus; count: number; oldestDueAt: number | undefined }[]
  >;
  /** Number of unfinished requests, which the backlog limit bounds. */
  backlog(): Promise<number>;

  /**
   * Cancels a queued or waiting request and inserts `callbacks`. Refuses a running one: its owner must abort it
   * first.
   */
  cancel(id: string, now: number, purgeAt: number, callbacks?: readonly NewJob[]): Promise<Changed>;
  /**
   * Waiting: due now. Failed or cancelled, or succeeded with `force`: starts again, with the same id and upstream key
   * and reset counts.
   */
  retry(
    id: string,
    change: { readonly now: number; readonly deadlineAt: number; readonly force: boolean },
  ): Promise<Changed>;
  /** Cancels a request that is not running, and erases its bodies. */
  erase(id: string, now: number, purgeAt: number): Promise<Changed>;
  /** Retries all requests that match, at most `filter.limit`. Returns how many matched and how many changed. */
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

  /** Spreads requests that are due before `until` evenly over `[until, until + spreadMs)`. Returns their number. */
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

  /** True for one caller for each schedule and slot, across processes. Inserts the job in the same transaction. */
  submitSlot(schedule: string, slotAt: number, job: NewJob | undefined): Promise<boolean>;
  /** The latest slot up to `now`, and the latest later one, which ran while a clock was ahead. */
  lastSlot(schedule: string, now: number): Promise<{ due: number | undefined; ahead: number | undefined }>;

  /** Deletes expired requests in small batches. Returns their number. */
  sweep(now: number, limit: number): Promise<number>;
  /** Makes a consistent copy of the embedded store at `file`. */
  backup(file: string): Promise<void>;
  /** 32 random bytes in hex, the same for all replicas. Key of the hashes of callers. */
  secret(): Promise<string>;
  /** Texts that outlive the process: at most `most`, each with its name. */
  notes(most: number): Promise<readonly { readonly name: string; readonly text: string }[]>;
  /** Writes and deletes notes, at once. */
  writeNotes(notes: readonly StoredNote[]): Promise<void>;
  /** Wall-clock milliseconds of the database. */
  wallTime(): Promise<number>;
  /** Bytes on disk. Undefined for PostgreSQL. */
  bytes(): Promise<number | undefined>;
  close(): Promise<void>;
}
