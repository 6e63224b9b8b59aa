import type { Reply } from '../http/reply.ts';
import type { CallIdentity } from '../proxy/call.ts';
import type { ErrorCode, ProxyError } from '../proxy/errors.ts';
import type { RetryReason, StateEvent } from '../proxy/events.ts';
import type { Journal, QuotaWait } from '../proxy/journal.ts';
import { NOTE_ROWS, type Noted, type NoteName, type NoteRow, type Notes } from '../proxy/notes.ts';
import { appended } from '../runtime/appended.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AttemptEntry, QuotaTime } from './attempt-entry.ts';
import type { Attributes, CallTrace } from './tracing/call-trace.ts';
import { type CallOutcome, type CallResult, outcomeOf } from './call-outcome.ts';

/** The identity of a call, known at its start. */
export interface CallInfo extends Place, CallIdentity {
  readonly method: string;
  /** Path and query below the mount, as the client sent them. With `log.path: route`, the pattern of the route. */
  readonly target: string;
  /** The client's address. */
  readonly client?: string | undefined;
  /** Undefined if the call is not traced. */
  readonly trace?: CallTrace | undefined;
}

/** The place of an event. Both are '' if no route matched. */
export interface Place {
  readonly upstream: string;
  readonly route: string;
  /** Undefined if the upstream has no targets, and for what is about no single one. */
  readonly targetName?: string | undefined;
}

/** Listens to what happens in the proxy: metrics, log, recent calls. It must neither throw nor wait. */
export interface Observer {
  /** `entry` is the new last entry of its record. Background attempts are left out. */
  attemptStarted(entry: AttemptEntry, place: Place): void;
  /** `result`: the status, or the code of the error; `ms`: from the start to the head or the error. */
  attemptEnded(result: number | ErrorCode, ms: number, place: Place): void;
  /** Called after the record has stored the note. */
  noted<N extends NoteName>(name: N, value: Notes[N], place: Place): void;
  /** Called once per call: the last byte is sent, the client has left, or the call was refused. */
  callEnded(record: CallRecord): void;
  /** Called once per attempt of a durable request, which is no call. */
  durableAttemptEnded?(record: CallRecord): void;
  /** A change outside any call. */
  stateChanged(upstream: string, event: StateEvent): void;
}

/** A retry that was scheduled. */
interface Pending {
  readonly attempt: number;
  readonly delayMs: number;
  readonly reason: RetryReason;
}

/** Which attempts a journal is about. */
interface View {
  /** An upstream other than the one of the call. */
  readonly elsewhere: Place | undefined;
  /** Where they went: `elsewhere`, a target there, or a target of the call's own upstream; undefined: the place of the call. */
  readonly at: Place | undefined;
  readonly background: boolean;
}

const OWN: View = { elsewhere: undefined, at: undefined, background: false };

/** Shared by all calls without attempts. */
const NO_ENTRIES: readonly AttemptEntry[] = [];

/** Shared by all calls without notes, which are most. */
const NOTHING: Noted = Object.freeze({});

/** The history of one call. It folds events into the values for headers, metrics and log, and reports them to the observer. */
export class CallRecord implements Journal {
  readonly info: CallInfo;
  /** On the scale of `clock.now()`. */
  readonly startedAt: number;
  entries: readonly AttemptEntry[] = NO_ENTRIES;
  /** Notes of policies, by the field of `NOTES`. */
  notes: Noted = NOTHING;
  /** A wait for the quota that no attempt has followed yet. */
  quotaWait: QuotaTime | undefined = undefined;
  /** A retry that is scheduled and has not started. A client that leaves in backoff was waiting for it. */
  pending: Pending | undefined = undefined;
  /** Duration to the end of the body, in ms; 0 until then. */
  ms = 0;
  status = 0;
  /** Bytes of the request body that have arrived, or that a tunnel carried to the upstream. */
  bytesIn = 0;
  /** Bytes of the response body that were given to the connection, or that a tunnel carried to the client. */
  bytesOut = 0;
  origin: CallResult['origin'] = 'proxy';
  error: CallResult['error'] = undefined;
  /** Undefined until the end. */
  outcome: CallOutcome | undefined = undefined;

  readonly #clock: Clock;
  readonly #observer: Observer;
  /** The last hedge: its number, and how long the other attempt had taken. */
  #hedge = 0;
  #hedgedAfterMs = 0;

  constructor(info: CallInfo, clock: Clock, observer: Observer) {
    this.info = info;
    this.#clock = clock;
    this.#observer = observer;
    this.startedAt = clock.now();
  }

  /** Number of attempts that were sent to the upstream. */
  get attempts(): number {
    return this.entries.length;
  }

  /** Time to the head that was used, or the whole time without one. `log.slow` compares it, so a long stream is not slow. */
  get headMs(): number {
    let headMs = this.ms;
    for (const { atMs, brokeAt, error, ms } of this.entries) {
      const broke = brokeAt !== undefined;
      // An attempt that lost to another was not used.
      if (ms !== undefined && (broke || error !== 'hedge_lost')) headMs = atMs + ms;
      if (broke) break;
    }
    return headMs;
  }

  /** Ends the record and reports it to the observer. Only the first call has an effect. */
  finish(result: CallResult): void {
    if (this.outcome !== undefined) return;
    this.#settle(result);
    // A policy has noted its own refusals. All others are known only by how the call ended.
    if (this.outcome === 'rejected' && this.notes.rejected !== result.error)
      this.note('rejected', result.error as ErrorCode);
    this.#observer.callEnded(this);
  }

  /** Ends the record of an attempt of a durable request. */
  finishDurable(result: CallResult): void {
    this.#settle(result);
    this.#observer.durableAttemptEnded?.(this);
  }

  #settle(result: CallResult): void {
    this.ms = this.#clock.now() - this.startedAt;
    this.status = result.status;
    this.origin = result.origin;
    this.error = result.error;
    this.outcome = outcomeOf(this, result);
  }

  #tracedNote(name: NoteName, value: string | number): void {
    // Of `quota_wait`, `waitedForQuota` knows the cause, too.
    if (this.info.trace === undefined || name === 'quota_wait') return;
    if (name === 'queued') this.#traced('concurrency_wait', { wait_ms: value });
    else this.#traced(name, { value });
  }

  #traced(name: string, attributes: Attributes): void {
    this.info.trace?.event(name, this.#clock.now() - this.startedAt, attributes);
  }

  note<N extends NoteName>(name: N, value: Notes[N], { elsewhere, at, background }: View = OWN): void {
    const row = NOTE_ROWS[name];
    if (background && row.background === false) return;
    const own = elsewhere === undefined || row.ownUpstream !== true;
    if (own && !background && row.field !== undefined) this.#fold(row.field as keyof Noted, row.fold, value);
    if (!background) this.#tracedNote(name, value);
    this.#observer.noted(name, value, at ?? this.info);
  }

  #fold(field: keyof Noted, fold: NoteRow['fold'], value: string | number): void {
    const notes: Record<string, unknown> = this.notes === NOTHING ? {} : this.notes;
    this.notes = notes;
    if (fold === 'latest') notes[field] = value;
    else if (fold === 'list') ((notes[field] ??= []) as unknown[]).push(value);
    else
      notes[field] = ((notes[field] as number | undefined) ?? 0) + (fold === 'count' ? 1 : (value as number));
  }

  attemptStarted(attempt: number, { elsewhere, at, background }: View = OWN): string | undefined {
    if (background) return undefined;
    const entry = this.#newEntry(attempt, elsewhere, at);
    this.entries = appended(this.entries, entry);
    this.pending = undefined;
    this.quotaWait = undefined;
    this.#observer.attemptStarted(entry, at ?? this.info);
    return this.info.trace?.attempt();
  }

  #newEntry(attempt: number, elsewhere: Place | undefined, at: Place | undefined): AttemptEntry {
    const { pending } = this;
    return {
      n: attempt,
      upstream: elsewhere?.upstream,
      target: at?.targetName,
      atMs: this.#clock.now() - this.startedAt,
      ms: undefined,
      status: undefined,
      grpc: undefined,
      error: undefined,
      detail: undefined,
      waitMs: pending?.delayMs ?? 0,
      quota: this.quotaWait,
      reason: pending?.reason,
      hedgedAfterMs: this.#hedge === attempt ? this.#hedgedAfterMs : undefined,
      brokeAt: undefined,
    };
  }

  attemptAnswered(
    attempt: number,
    { status, grpc }: Pick<Reply, 'status' | 'grpc'>,
    ms: number,
    view: View = OWN,
  ): void {
    const entry = this.#entryOf(attempt, view);
    if (entry !== undefined) {
      entry.ms = ms;
      entry.status = status;
      entry.grpc = grpc;
    }
    this.#observer.attemptEnded(status, ms, view.at ?? this.info);
  }

  attemptFailed(attempt: number, error: ProxyError, ms: number, view: View = OWN): void {
    const entry = this.#entryOf(attempt, view);
    if (entry !== undefined) {
      entry.ms = ms;
      entry.error = error.code;
      entry.detail = error.message;
    }
    this.#observer.attemptEnded(error.code, ms, view.at ?? this.info);
  }

  retryScheduled(attempt: number, delayMs: number, reason: RetryReason, { background }: View = OWN): void {
    if (background) return;
    this.pending = { attempt, delayMs, reason };
    if (this.info.trace !== undefined) this.#traced('backoff', { attempt, wait_ms: delayMs, reason });
  }

  hedgeStarted(attempt: number, afterMs: number, { background }: View = OWN): void {
    if (background) return;
    if (this.info.trace !== undefined) this.#traced('hedge_started', { attempt, after_ms: afterMs });
    this.#hedge = attempt;
    this.#hedgedAfterMs = afterMs;
  }

  waitedForQuota(ms: number, cause: QuotaWait, view: View = OWN): void {
    if (!view.background) {
      this.quotaWait = { ms: (this.quotaWait?.ms ?? 0) + ms, cause };
      if (this.info.trace !== undefined) this.#traced('quota_wait', { wait_ms: ms, reason: cause });
    }
    this.note('quota_wait', ms, view);
  }

  ruleMatched(attempt: number, rule: string | undefined, view: View = OWN): void {
    const entry = this.#entryOf(attempt, view);
    if (entry !== undefined) entry.detail = rule;
  }

  bodyBroke(atByte: number, { background }: View = OWN): void {
    // The body of the last attempt broke, if it had one.
    const entry = this.entries.at(-1);
    if (!background && (entry?.status === 200 || entry?.status === 206)) entry.brokeAt ??= atByte;
  }

  elsewhere(upstream: string, route: string): Journal {
    return new JournalView(this, atUpstream(OWN, { upstream, route }));
  }

  at(target: string): Journal {
    return new JournalView(this, atTarget(OWN, this.info, target));
  }

  inBackground(): Journal {
    return new JournalView(this, { ...OWN, background: true });
  }

  #entryOf(attempt: number, { elsewhere, background }: View): AttemptEntry | undefined {
    if (background) return undefined;
    for (let index = this.entries.length - 1; index >= 0; index--) {
      const entry = this.entries[index];
      if (entry?.n === attempt && entry.upstream === elsewhere?.upstream) return entry;
    }
    return undefined;
  }
}

/** The journal of attempts at another upstream, or in the background. */
class JournalView implements Journal {
  readonly #record: CallRecord;
  readonly #view: View;

  constructor(record: CallRecord, view: View) {
    this.#record = record;
    this.#view = view;
  }

  note<N extends NoteName>(name: N, value: Notes[N]): void {
    this.#record.note(name, value, this.#view);
  }

  attemptStarted(attempt: number): string | undefined {
    return this.#record.attemptStarted(attempt, this.#view);
  }

  attemptAnswered(attempt: number, reply: Pick<Reply, 'status' | 'grpc'>, ms: number): void {
    this.#record.attemptAnswered(attempt, reply, ms, this.#view);
  }

  attemptFailed(attempt: number, error: ProxyError, ms: number): void {
    this.#record.attemptFailed(attempt, error, ms, this.#view);
  }

  retryScheduled(attempt: number, delayMs: number, reason: RetryReason): void {
    this.#record.retryScheduled(attempt, delayMs, reason, this.#view);
  }

  hedgeStarted(attempt: number, afterMs: number): void {
    this.#record.hedgeStarted(attempt, afterMs, this.#view);
  }

  waitedForQuota(ms: number, cause: QuotaWait): void {
    this.#record.waitedForQuota(ms, cause, this.#view);
  }

  ruleMatched(attempt: number, rule: string | undefined): void {
    this.#record.ruleMatched(attempt, rule, this.#view);
  }

  bodyBroke(atByte: number): void {
    this.#record.bodyBroke(atByte, this.#view);
  }

  elsewhere(upstream: string, route: string): Journal {
    return new JournalView(this.#record, atUpstream(this.#view, { upstream, route }));
  }

  at(target: string): Journal {
    return new JournalView(this.#record, atTarget(this.#view, this.#record.info, target));
  }

  inBackground(): Journal {
    return new JournalView(this.#record, { ...this.#view, background: true });
  }
}

const atUpstream = (view: View, elsewhere: Place): View => ({ ...view, elsewhere, at: elsewhere });

function atTarget(view: View, own: Place, target: string): View {
  const { upstream, route } = view.elsewhere ?? own;
  return { ...view, at: { upstream, route, targetName: target } };
}

/**
 * Whether a call is worth a log line: retried by the proxy or the client, refused (in shadow mode too), failed, slow to its head, or left by the
 * client after an attempt. A call without an attempt is not slow: a long poll waited as the client asked.
 */
export function notable(record: CallRecord, slowMs: number): boolean {
  if (record.outcome === 'client_gone') return record.attempts > 0;
  return (
    record.outcome !== 'ok' ||
    (record.notes.client_retries ?? 0) > 0 ||
    record.notes.shadow_rejected !== undefined ||
    (record.attempts > 0 && record.headMs >= slowMs)
  );
}
