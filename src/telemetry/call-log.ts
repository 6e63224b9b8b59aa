import { parseTraceparent } from '../http/trace-context.ts';
import type { QuotaWait } from '../proxy/journal.ts';
import { NOTE_ROWS, type Noted } from '../proxy/notes.ts';
import type { Logger } from '../runtime/logger.ts';
import type { AttemptEntry, QuotaTime } from './attempt-entry.ts';
import type { CallOutcome } from './call-outcome.ts';
import { type CallRecord, notable, type Observer } from './call-record.ts';
import { logState } from './log-state.ts';
import { shownDuration } from './shown-duration.ts';

/** The fields of a log line that come from notes of policies. */
type NoteFields = Readonly<Omit<Noted, 'rejected'>>;

/** One call in the structured form of the log and of the recent calls. */
export interface CallLine extends NoteFields {
  readonly id: string;
  /** From the client's `traceparent`. */
  readonly trace_id: string | undefined;
  readonly client: string | undefined;
  /** By its token. */
  readonly client_name: string | undefined;
  readonly method: string;
  /** Without the query, which may contain secrets; `?…` stands for it. With `log.path: route`, the pattern of the route. */
  readonly path: string;
  readonly upstream: string | undefined;
  readonly route: string | undefined;
  readonly outcome: CallOutcome | undefined;
  /** Undefined if the client left before a head. */
  readonly status: number | undefined;
  readonly origin: 'upstream' | 'proxy' | 'fallback' | 'cache';
  readonly error: string | undefined;
  readonly ms: number;
  readonly head_ms: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly attempts: readonly AttemptLine[];
}

export interface AttemptLine {
  readonly hedged_after_ms?: number;
  readonly upstream?: string;
  readonly target?: string;
  readonly n: number;
  readonly at_ms: number;
  readonly ms: number | undefined;
  readonly status?: number;
  readonly grpc?: string;
  readonly error?: string;
  readonly detail?: string;
  readonly wait_ms?: number;
  readonly quota_ms?: number;
  /** Cause of the wait: window, learned or cooldown. */
  readonly quota_wait?: string;
  readonly reason?: string;
  readonly broke_at?: number;
}

/** The log fields of a finished call. JSON leaves out undefined ones. Times are whole milliseconds. */
export function callLine(record: CallRecord): CallLine {
  const { info } = record;
  return {
    id: info.id,
    trace_id: parseTraceparent(info.traceparent ?? '')?.traceId,
    client: info.client,
    client_name: info.clientName,
    method: info.method,
    path: withoutQuery(info.target),
    upstream: info.upstream || undefined,
    route: info.route || undefined,
    outcome: record.outcome,
    status: record.status || undefined,
    origin: record.origin,
    error: record.error,
    ms: Math.round(record.ms),
    head_ms: Math.round(record.headMs),
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    ...noteFields(record.notes),
    attempts: record.entries.map(attemptLine),
  };
}

const LOGGED = [
  ...new Set(
    Object.values(NOTE_ROWS).flatMap(({ field, logged }) => (logged === false ? [] : (field ?? []))),
  ),
] as readonly (keyof NoteFields)[];

/** The notes, in the order of `NOTES`. Numbers are whole, and 0 is left out. */
function noteFields(notes: Noted): NoteFields {
  const fields: Record<string, unknown> = {};
  for (const field of LOGGED) {
    const value = notes[field];
    const shown = typeof value === 'number' ? Math.round(value) : value;
    if (shown !== undefined && shown !== 0) fields[field] = shown;
  }
  return fields;
}

function attemptLine(entry: AttemptEntry): AttemptLine {
  return {
    n: entry.n,
    ...placeLine(entry),
    at_ms: Math.round(entry.atMs),
    ms: entry.ms === undefined ? undefined : Math.round(entry.ms),
    ...(entry.status !== undefined && { status: entry.status }),
    ...(entry.grpc !== undefined && { grpc: entry.grpc }),
    ...(entry.error !== undefined && { error: entry.error }),
    ...(entry.detail && { detail: entry.detail }),
    ...quotaLine(entry.quota),
    ...(entry.reason !== undefined && { wait_ms: Math.round(entry.waitMs), reason: entry.reason }),
    ...(entry.hedgedAfterMs !== undefined && { hedged_after_ms: Math.round(entry.hedgedAfterMs) }),
    ...(entry.brokeAt !== undefined && { broke_at: entry.brokeAt }),
  };
}

function placeLine({ upstream, target }: AttemptEntry): Pick<AttemptLine, 'upstream' | 'target'> {
  return { ...(upstream !== undefined && { upstream }), ...(target !== undefined && { target }) };
}

function quotaLine(wait: QuotaTime | undefined): Pick<AttemptLine, 'quota_ms' | 'quota_wait'> {
  return wait === undefined ? {} : { quota_ms: Math.round(wait.ms), quota_wait: wait.cause };
}

/** One sentence about a finished call: `GET demo/flaky 200 rescued on attempt 2: 503 → waited 412 ms → 200`. */
export function callMessage(record: CallRecord): string {
  const { info } = record;
  const status = record.status === 0 ? '' : ` ${record.status}`;
  const steps = record.entries.flatMap((entry) => [
    ...(entry.reason === undefined ? [] : [`waited ${shownDuration(entry.waitMs)}`]),
    ...waitedForQuota(entry.quota),
    attemptText(entry),
  ]);
  steps.push(...waitedForQuota(record.quotaWait));
  if (record.pending !== undefined)
    steps.push(`a wait of ${shownDuration(record.pending.delayMs)}, not finished`);
  const story = steps.length === 0 ? '' : `: ${steps.join(' → ')}`;
  const { client_retries: retries = 0, shadow_rejected: shadow } = record.notes;
  const refusal = shadow === undefined ? '' : ` (shadow: ${shadow})`;
  const again = retries === 0 ? '' : ` (the client's retry ${retries})`;
  return `${info.method} ${info.upstream}${withoutQuery(info.target)}${status} ${outcomeText(record)}${streamText(record)}${again}${refusal}${story}`;
}

const WAITED_FOR: Readonly<Record<QuotaWait, string>> = {
  window: 'for the quota',
  learned: 'for the reset of the quota',
  cooldown: 'because the upstream asked its callers to',
};

function waitedForQuota(wait: QuotaTime | undefined): string[] {
  return wait === undefined || wait.ms < 0.5
    ? []
    : [`waited ${shownDuration(wait.ms)} ${WAITED_FOR[wait.cause]}`];
}

function attemptText(entry: AttemptEntry): string {
  const places = [entry.upstream, entry.target].filter((place) => place !== undefined);
  const where = places.map((place) => `${place} `).join('');
  const came = `${where}${entry.grpc ?? entry.status ?? entry.error ?? 'no answer'}`;
  const answer =
    entry.status === undefined || entry.detail === undefined ? came : `${came} (${entry.detail})`;
  if (entry.hedgedAfterMs !== undefined)
    return `hedged after ${shownDuration(entry.hedgedAfterMs)}: ${answer}`;
  return entry.brokeAt === undefined ? answer : `${answer}, broke at byte ${entry.brokeAt}`;
}

const OUTCOME_TEXTS: Readonly<Record<CallOutcome, (record: CallRecord) => string>> = {
  ok: ({ ms }) => `in ${shownDuration(ms)}`,
  rescued: ({ entries, attempts }) => `rescued on attempt ${entries.at(-1)?.n ?? attempts}`,
  fallback: ({ notes, ms }) => `answered by ${notes.fallback_to ?? 'the fallback'} in ${shownDuration(ms)}`,
  upstream_error: (record) => `passed on${tries(record)}${gaveUp(record)}`,
  failed: (record) => `failed${tries(record)}${gaveUp(record)}, ${record.error ?? 'no reply'}`,
  rejected: (record) => `rejected${tries(record)}, ${record.error ?? 'no reason'}`,
  client_gone: ({ ms }) => `client gone after ${shownDuration(ms)}`,
  bug: (record) => `bug${tries(record)}`,
};

function outcomeText(record: CallRecord): string {
  return OUTCOME_TEXTS[record.outcome ?? 'ok'](record);
}

/** How the last event stream ended, if not well. */
function streamText({ notes: { events = 0, stream } }: CallRecord): string {
  if (stream === undefined || stream === 'complete' || stream === 'client_gone') return '';
  return `, stream ${stream} after ${events} ${events === 1 ? 'event' : 'events'}`;
}

function tries({ attempts }: CallRecord): string {
  return attempts > 1 ? ` after ${attempts} attempts` : '';
}

function gaveUp(record: CallRecord): string {
  return record.notes.gave_up === undefined ? '' : `, gave up: ${record.notes.gave_up}`;
}

/** A query can contain secrets, so `?…` stands for it. */
export function withoutQuery(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : `${target.slice(0, query)}?…`;
}

export interface LogCallsOptions {
  readonly requests: 'all' | 'notable' | 'none';
  readonly slowMs: number;
}

/** If all calls of a route are refused for one reason, one line per second is enough. */
const REFUSALS_EVERY_MS = 1_000;

/**
 * Writes one line per call that `log.requests` selects, and one per change of a breaker. Refusals without an attempt, and those in shadow mode, are limited
 * to one line per second for each route and reason. It says how many were left out. So an open breaker does not flood the log.
 */
export function logCalls(
  logger: Logger,
  { requests, slowMs }: LogCallsOptions,
): Pick<Observer, 'callEnded' | 'stateChanged'> {
  const refusals = new Map<string, { since: number; suppressed: number }>();

  /** The number of equal lines left out since the last one; undefined: leave this one out too. */
  function suppressed(record: CallRecord): number | undefined {
    const { info, startedAt, ms } = record;
    const reason = requests === 'all' ? undefined : repeatedReason(record);
    if (reason === undefined) return 0;
    const key = `${info.upstream} ${info.route} ${reason}`;
    const now = startedAt + ms;
    const last = refusals.get(key);
    if (last !== undefined && now - last.since < REFUSALS_EVERY_MS) {
      last.suppressed++;
      return undefined;
    }
    refusals.set(key, { since: now, suppressed: 0 });
    return last?.suppressed ?? 0;
  }

  return {
    callEnded: (record) => {
      if (requests === 'none' || (requests === 'notable' && !notable(record, slowMs))) return;
      const leftOut = suppressed(record);
      if (leftOut === undefined) return;
      const more = leftOut === 0 ? '' : ` (and ${leftOut} more like it)`;
      logger[levelOf(record)](
        { ...callLine(record), suppressed: leftOut || undefined },
        `${callMessage(record)}${more}`,
      );
    },
    stateChanged: (upstream, event) => logState(logger, upstream, event),
  };
}

/** The reason of a refusal without an attempt, or of one in shadow mode; undefined: the line is always written. */
function repeatedReason({ attempts, error, notes, outcome }: CallRecord): string | undefined {
  if (outcome === 'rejected' && attempts === 0) return error;
  return outcome === 'ok' && attempts === 1 ? notes.shadow_rejected : undefined;
}

function levelOf(record: CallRecord): 'info' | 'warn' | 'error' {
  switch (record.outcome) {
    case 'bug':
      return 'error';
    case 'upstream_error':
    case 'failed':
    case 'rejected':
      return 'warn';
    case 'ok':
    case 'rescued':
    case 'fallback':
    case 'client_gone':
    case undefined:
      return 'info';
  }
}
