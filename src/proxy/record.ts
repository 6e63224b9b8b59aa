import type { Clock } from '../runtime/clock.ts';
import type { ErrorCode } from './errors.ts';
import type { CallEvent, RetryDenial, RetryReason } from './events.ts';
import type { Observer } from './observer.ts';

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

/** One attempt that really went to the upstream. */
export interface AttemptEntry {
  /** 1 for the first; a number is missing where an attempt was refused by ourselves. */
  readonly n: number;
  /** When it started, in ms since the call did. */
  readonly atMs: number;
  /** How long it took to the head or the failure; undefined while it runs, and if it never ended. */
  ms: number | undefined;
  /** What was answered; undefined when it brought no head. */
  status: number | undefined;
  error: ErrorCode | undefined;
  /** What the system or OpenSSL said of it, for the log. */
  detail: string | undefined;
  /** The backoff that led to it; 0 for the first. */
  readonly waitMs: number;
  /** Why it followed another; undefined for the first. */
  readonly reason: RetryReason | undefined;
}

/**
 * How a call ended, in one word. `rescued`: succeeded after at least one retry; `upstream_error`: a failing reply of the
 * upstream went through; `failed`: no reply to give, or one that broke off; `rejected`: we refused and the upstream saw
 * nothing; `bug`: our own fault.
 */
export type CallOutcome = 'ok' | 'rescued' | 'upstream_error' | 'failed' | 'rejected' | 'client_gone' | 'bug';

export interface Ending {
  /** The status that the client got; 0 when no head went out. */
  readonly status: number;
  /** Who made the reply. */
  readonly origin: 'upstream' | 'proxy';
  /** What went wrong, if anything, also after the head (`client_gone`, `response_incomplete`). */
  readonly error?: ErrorCode | 'bug' | undefined;
}

/** What we would not do, as opposed to what could not be done. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'bad_request',
  'too_many_fields',
  'request_timeout',
  'route_not_found',
  'idempotency_key_required',
  'breaker_open',
  'concurrency_limit',
  'draining',
  'proxy_loop',
  'address_prohibited',
]);

type Event<T extends CallEvent['type']> = Extract<CallEvent, { type: T }>;

/** What happened to one call: folds its events into what headers, metrics and the log need, and tells the observer. */
export class CallRecord {
  readonly info: CallInfo;
  /** On the scale of `clock.now()`. */
  readonly startedAt: number;
  readonly entries: readonly AttemptEntry[];
  /** Why the last failed attempt was not followed by another. */
  gaveUp: RetryDenial | undefined = undefined;
  /** The last refusal of our own (not a shadow one), whether or not it ended the call. */
  rejected: ErrorCode | undefined = undefined;
  /** Time in the concurrency limit's queue, all attempts together. */
  queuedMs = 0;
  bodyNotKept: Event<'body_not_kept'>['reason'] | undefined = undefined;
  /** A retry that was scheduled and has not started: what a client that leaves in backoff was waiting for. */
  pending: Event<'retry_scheduled'> | undefined = undefined;
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
    const last = this.#entries.at(-1);
    return last?.ms === undefined ? this.ms : last.atMs + last.ms;
  }

  /** Bound, so that it can be a call's `report`. */
  readonly report = (event: CallEvent): void => {
    this.#fold(event);
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

  #fold(event: CallEvent): void {
    switch (event.type) {
      case 'attempt_started':
        return this.#start(event.attempt);
      case 'attempt_answered':
      case 'attempt_failed':
        return this.#settle(event);
      case 'retry_scheduled':
        this.pending = event;
        return;
      case 'retry_denied':
        this.gaveUp = event.reason;
        return;
      case 'rejected':
        if (!event.shadow) this.rejected = event.reason;
        return;
      case 'queued':
        this.queuedMs += event.waitMs;
        return;
      case 'body_not_kept':
        this.bodyNotKept = event.reason;
    }
  }

  #start(n: number): void {
    this.#entries.push({
      n,
      atMs: this.#clock.now() - this.startedAt,
      ms: undefined,
      status: undefined,
      error: undefined,
      detail: undefined,
      waitMs: this.pending?.delayMs ?? 0,
      reason: this.pending?.reason,
    });
    this.pending = undefined;
  }

  #settle(event: Event<'attempt_answered'> | Event<'attempt_failed'>): void {
    let index = this.#entries.length - 1;
    while (index >= 0 && this.#entries[index]?.n !== event.attempt) index--;
    const entry = this.#entries[index];
    if (entry === undefined) return;
    entry.ms = event.ms;
    if (event.type === 'attempt_answered') entry.status = event.status;
    else [entry.error, entry.detail] = [event.code, event.detail];
  }
}

/** Retried (`ok` means at the first attempt), refused, failed, slow to its head, or left by the client after the upstream was bothered: worth a log line. */
export function notable(record: CallRecord, slowMs: number): boolean {
  if (record.outcome === 'client_gone') return record.attempts > 0;
  return record.outcome !== 'ok' || record.headMs >= slowMs;
}

function outcomeOf(record: CallRecord, { error, status }: Ending): CallOutcome {
  if (error === 'bug') return 'bug';
  if (error === 'client_gone') return 'client_gone';
  if (error !== undefined) return record.attempts === 0 && REFUSALS.has(error) ? 'rejected' : 'failed';
  if (record.gaveUp !== undefined || isFailing(status)) return 'upstream_error';
  return record.attempts > 1 ? 'rescued' : 'ok';
}

/** Statuses by which an API says that it could not, as opposed to "you asked wrongly". */
function isFailing(status: number): boolean {
  return status >= 500 || status === 429;
}
