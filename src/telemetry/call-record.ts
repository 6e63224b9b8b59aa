import type { ErrorCode } from '../proxy/errors.ts';
import type { CacheResult, CallEvent, DedupeResult, StateEvent } from '../proxy/events.ts';
import type { ResumeDenial } from '../proxy/gave-up.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AttemptEntry, QuotaTime } from './attempt-entry.ts';
import { type CallOutcome, type Ending, outcomeOf } from './call-outcome.ts';

/** What a call is, known before anything happens to it. */
export interface CallInfo {
  readonly id: string;
  /** '' when no route matched. */
  readonly upstream: string;
  /** '' when no route matched. */
  readonly route: string;
  readonly method: string;
  /** Path and query below the mount, as the client sent them. */
  readonly target: string;
}

/** Listens to what happens in the proxy: metrics, log, recent calls. It must neither throw nor wait. */
export interface Observer {
  /** After the record has taken the event in. */
  callEvent(record: CallRecord, event: CallEvent): void;
  /** Once per call, when the last byte is out, the client has gone or the call was refused. */
  callEnded(record: CallRecord): void;
  /** A change outside any call. */
  stateChanged(upstream: string, event: StateEvent): void;
}

type Event<T extends CallEvent['type']> = Extract<CallEvent, { type: T }>;

/** What happened to one call: folds its events into what headers, metrics and the log need, and tells the observer. */
export class CallRecord {
  readonly info: CallInfo;
  /** On the scale of `clock.now()`. */
  readonly startedAt: number;
  readonly entries: readonly AttemptEntry[];
  /** Why the last failed attempt was not followed by another. */
  gaveUp: ResumeDenial | undefined = undefined;
  /** How often a body that broke was continued. */
  resumed = 0;
  /** The last refusal of our own (not a shadow one), whether or not it ended the call. */
  rejected: ErrorCode | undefined = undefined;
  /** Time in the concurrency limit's queue, all attempts together. */
  queuedMs = 0;
  /** What became of the last hedge; undefined where none was thought of. */
  hedge: Event<'hedge'>['result'] | undefined = undefined;
  /** What became of the fallback; undefined where none was needed. */
  fallback: Event<'fallback'> | undefined = undefined;
  /** What the client asked for besides: `attempts=5`. */
  overrides: string[] | undefined = undefined;
  /** Time in the quota's queue, all attempts together. */
  quotaMs = 0;
  /** A wait there that no attempt has followed yet. */
  quotaWait: QuotaTime | undefined = undefined;
  bodyNotKept: Event<'body_not_kept'>['reason'] | undefined = undefined;
  /** What became of it where equal requests are answered once; undefined where they are not. */
  dedupe: DedupeResult | undefined = undefined;
  /** How it fared with the cache; undefined on a route without one. */
  cache: CacheResult | undefined = undefined;
  /** How many times the client says it has sent this before. */
  clientRetries = 0;
  /** A retry that was scheduled and has not started: what a client that leaves in backoff was waiting for. */
  pending: Pick<Event<'retry_scheduled'>, 'attempt' | 'delayMs' | 'reason'> | undefined = undefined;
  /** Whole duration, body included; 0 until the end. */
  ms = 0;
  status = 0;
  origin: Ending['origin'] = 'proxy';
  error: Ending['error'] = undefined;
  /** Undefined until the end. */
  outcome: CallOutcome | undefined = undefined;

  readonly #clock: Clock;
  readonly #observer: Observer;
  readonly #entries: AttemptEntry[] = [];
  #hedge: Event<'hedge_started'> | undefined = undefined;

  constructor(info: CallInfo, clock: Clock, observer: Observer) {
    this.info = info;
    this.#clock = clock;
    this.#observer = observer;
    this.entries = this.#entries;
    this.startedAt = clock.now();
  }

  /** How many attempts went to the upstream; what policies refused does not count. */
  get attempts(): number {
    return this.#entries.length;
  }

  /** Time to the head that was used, or the whole time where there is none: what "slow" means, so that a long stream is not. */
  get headMs(): number {
    const used = this.#entries.find(({ brokeAt }) => brokeAt !== undefined) ?? this.#entries.findLast(isUsed);
    return used?.ms === undefined ? this.ms : used.atMs + used.ms;
  }

  /** Bound, so that it can be a call's `report`. */
  readonly report = (event: CallEvent): void => {
    if (event.background !== true) this.#fold(event);
    this.#observer.callEvent(this, event);
  };

  /** Closes the record and tells the observer. Only the first ending counts. */
  finish(ending: Ending): void {
    if (this.outcome !== undefined) return;
    this.ms = this.#clock.now() - this.startedAt;
    this.status = ending.status;
    this.origin = ending.origin;
    this.error = ending.error;
    this.outcome = outcomeOf(this, ending);
    if (this.outcome === 'rejected') this.rejected = ending.error as ErrorCode;
    this.#observer.callEnded(this);
  }

  /** What each event changes. */
  static readonly #FOLD: {
    readonly [T in CallEvent['type']]: (record: CallRecord, event: Event<T>) => void;
  } = {
    attempt_started: (record, event) => record.#start(event),
    attempt_answered: (record, event) => record.#settle(event),
    attempt_failed: (record, event) => record.#settle(event),
    reply_judged: (record, event) => record.#settle(event),
    retry_scheduled: (record, event) => {
      record.pending = event;
    },
    // Why another upstream's attempts ended tells nothing of the one that the call was for.
    retry_denied: (record, { reason, at }) => {
      if (at === undefined) record.gaveUp = reason;
    },
    rejected: (record, { reason, shadow, at }) => {
      if (!shadow && at === undefined) record.rejected = reason;
    },
    hedge_started: (record, event) => void (record.#hedge = event),
    hedge: (record, { result }) => void (record.hedge = result),
    fallback: (record, event) => void (record.fallback = event),
    overridden: (record, { override, value }) => {
      (record.overrides ??= []).push(`${override}=${value}`);
    },
    queued: (record, { waitMs }) => {
      record.queuedMs += waitMs;
    },
    cache: (record, { result }) => void (record.cache = result),
    dedupe: (record, { result }) => {
      record.dedupe = result;
    },
    quota_waited: (record, { waitMs, cause }) => {
      record.quotaMs += waitMs;
      record.quotaWait = { ms: (record.quotaWait?.ms ?? 0) + waitMs, cause };
    },
    body_not_kept: (record, { reason }) => {
      record.bodyNotKept = reason;
    },
    resume: (record, event) => record.#resume(event),
  };

  #fold(event: CallEvent): void {
    (CallRecord.#FOLD[event.type] as (record: CallRecord, event: CallEvent) => void)(this, event);
  }

  #start({ attempt, at }: Event<'attempt_started'>): void {
    this.#entries.push({
      n: attempt,
      upstream: at?.upstream,
      atMs: this.#clock.now() - this.startedAt,
      ms: undefined,
      status: undefined,
      grpc: undefined,
      error: undefined,
      detail: undefined,
      waitMs: this.pending?.delayMs ?? 0,
      quota: this.quotaWait,
      reason: this.pending?.reason,
      hedgedAfterMs: this.#hedge?.attempt === attempt ? this.#hedge.afterMs : undefined,
      brokeAt: undefined,
    });
    this.pending = undefined;
    this.quotaWait = undefined;
  }

  #resume({ atByte, step }: Event<'resume'>): void {
    if (step.kind === 'decided' && step.result === 'resumed') {
      this.resumed++;
      return;
    }
    // It was the last attempt's body that broke, if that attempt brought any.
    const entry = this.#entries.at(-1);
    if (entry?.status === 200 || entry?.status === 206) entry.brokeAt ??= atByte;
    if (step.kind === 'scheduled') this.pending = step;
    else this.gaveUp = step.result as ResumeDenial;
  }

  #settle(event: Event<'attempt_answered' | 'attempt_failed' | 'reply_judged'>): void {
    let index = this.#entries.length - 1;
    while (index >= 0 && !isOf(this.#entries[index], event)) index--;
    const entry = this.#entries[index];
    if (entry === undefined) return;
    if (event.type === 'reply_judged') return void (entry.detail = event.rule);
    entry.ms = event.ms;
    if (event.type === 'attempt_answered') [entry.status, entry.grpc] = [event.status, event.grpc];
    else [entry.error, entry.detail] = [event.code, event.detail];
  }
}

/** Not one that was overtaken, or has not been told of yet. */
function isUsed({ error, ms }: AttemptEntry): boolean {
  return error !== 'hedge_lost' && ms !== undefined;
}

function isOf(
  entry: AttemptEntry | undefined,
  { attempt, at }: Event<'attempt_answered' | 'attempt_failed' | 'reply_judged'>,
): boolean {
  return entry?.n === attempt && entry.upstream === at?.upstream;
}

/** Retried (`ok` means at the first attempt), by us or by the client, refused, failed, slow to its head, or left by the client after the upstream was bothered: worth a log line. Without an attempt nobody was slow: a long poll waited as asked. */
export function notable(record: CallRecord, slowMs: number): boolean {
  if (record.outcome === 'client_gone') return record.attempts > 0;
  return (
    record.outcome !== 'ok' || record.clientRetries > 0 || (record.attempts > 0 && record.headMs >= slowMs)
  );
}
