import type { Logger } from '../runtime/logger.ts';
import type { StateEvent } from './events.ts';
import type { Observer } from './observer.ts';
import { type AttemptEntry, type CallOutcome, type CallRecord, notable } from './record.ts';

/** The structured form of one call, as logged and as shown among the recent calls. */
export interface CallLine {
  readonly id: string;
  readonly method: string;
  /** Without the query, which may hold secrets; `?…` stands for one. */
  readonly path: string;
  readonly upstream: string | undefined;
  readonly route: string | undefined;
  readonly outcome: CallOutcome | undefined;
  /** Undefined when the client left before a head. */
  readonly status: number | undefined;
  readonly origin: 'upstream' | 'proxy';
  readonly error: string | undefined;
  readonly gave_up: string | undefined;
  readonly ms: number;
  readonly head_ms: number;
  readonly queued_ms: number | undefined;
  readonly body_not_kept: string | undefined;
  readonly attempts: readonly AttemptLine[];
}

export interface AttemptLine {
  readonly n: number;
  readonly at_ms: number;
  readonly ms: number | undefined;
  readonly status?: number;
  readonly error?: string;
  readonly detail?: string;
  readonly wait_ms?: number;
  readonly reason?: string;
}

/** The fields of a finished call's log line; undefined ones vanish in JSON. Times are whole milliseconds. */
export function callLine(record: CallRecord): CallLine {
  const { info } = record;
  return {
    id: info.id,
    method: info.method,
    path: withoutQuery(info.target),
    upstream: info.upstream || undefined,
    route: info.route || undefined,
    outcome: record.outcome,
    status: record.status || undefined,
    origin: record.origin,
    error: record.error,
    gave_up: record.gaveUp,
    ms: Math.round(record.ms),
    head_ms: Math.round(record.headMs),
    queued_ms: Math.round(record.queuedMs) || undefined,
    body_not_kept: record.bodyNotKept,
    attempts: record.entries.map(attemptLine),
  };
}

function attemptLine(entry: AttemptEntry): AttemptLine {
  return {
    n: entry.n,
    at_ms: Math.round(entry.atMs),
    ms: entry.ms === undefined ? undefined : Math.round(entry.ms),
    ...(entry.status !== undefined && { status: entry.status }),
    ...(entry.error !== undefined && { error: entry.error }),
    ...(entry.detail && { detail: entry.detail }),
    ...(entry.reason !== undefined && { wait_ms: Math.round(entry.waitMs), reason: entry.reason }),
  };
}

/** A finished call told in one sentence: `GET demo/flaky 200 rescued on attempt 2: 503 → waited 412 ms → 200`. */
export function callMessage(record: CallRecord): string {
  const { info } = record;
  const status = record.status === 0 ? '' : ` ${record.status}`;
  const steps = record.entries.flatMap((entry) =>
    entry.reason === undefined ? [told(entry)] : [`waited ${duration(entry.waitMs)}`, told(entry)],
  );
  if (record.pending !== undefined) steps.push(`a wait of ${duration(record.pending.delayMs)}, not finished`);
  const story = steps.length === 0 ? '' : `: ${steps.join(' → ')}`;
  return `${info.method} ${info.upstream}${withoutQuery(info.target)}${status} ${verdict(record)}${story}`;
}

function told(entry: AttemptEntry): string {
  return String(entry.status ?? entry.error ?? 'no answer');
}

const VERDICTS: Readonly<Record<CallOutcome, (record: CallRecord) => string>> = {
  ok: ({ ms }) => `in ${duration(ms)}`,
  rescued: ({ entries, attempts }) => `rescued on attempt ${entries.at(-1)?.n ?? attempts}`,
  upstream_error: (record) => `passed on${tries(record)}${gaveUp(record)}`,
  failed: (record) => `failed${tries(record)}${gaveUp(record)}, ${record.error ?? 'no reply'}`,
  rejected: (record) => `rejected${tries(record)}, ${record.error ?? 'no reason'}`,
  client_gone: ({ ms }) => `client gone after ${duration(ms)}`,
  bug: (record) => `bug${tries(record)}`,
};

function verdict(record: CallRecord): string {
  return VERDICTS[record.outcome ?? 'ok'](record);
}

function tries({ attempts }: CallRecord): string {
  return attempts > 1 ? ` after ${attempts} attempts` : '';
}

function gaveUp(record: CallRecord): string {
  return record.gaveUp === undefined ? '' : `, gave up: ${record.gaveUp}`;
}

function withoutQuery(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : `${target.slice(0, query)}?…`;
}

function duration(ms: number): string {
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export interface LogCallsOptions {
  readonly requests: 'all' | 'notable' | 'none';
  readonly slowMs: number;
}

/** One line a second tells all there is to tell about a route whose calls are all refused for the same reason. */
const REFUSALS_EVERY_MS = 1_000;

/**
 * Writes one line per call that is asked for, and one for each change of a breaker. Of `notable` refusals that touched
 * no upstream, one a second is written per route and reason, with the number of those left out before it: an open
 * breaker must not bring the log down as well.
 */
export function logCalls(
  logger: Logger,
  { requests, slowMs }: LogCallsOptions,
): Pick<Observer, 'callEnded' | 'stateChanged'> {
  const refusals = new Map<string, { since: number; suppressed: number }>();

  /** How many like it were left out since the last that was written, or undefined to leave this one out too. */
  function suppressed({ attempts, error, info, outcome, startedAt, ms }: CallRecord): number | undefined {
    if (requests === 'all' || outcome !== 'rejected' || attempts > 0) return 0;
    const key = `${info.upstream} ${info.route} ${error}`;
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
    case 'client_gone':
    case undefined:
      return 'info';
  }
}

const BREAKER_WORDS = { open: 'opened', half_open: 'half-open, probing', closed: 'closed' } as const;

function logState(logger: Logger, upstream: string, event: StateEvent): void {
  if (event.type !== 'breaker_changed') return;
  const { scope, from, to, cause } = event;
  const where = scope === upstream ? upstream : `${upstream} (${scope})`;
  const level = to === 'open' ? 'warn' : 'info';
  logger[level](
    { upstream, scope, from, to, cause },
    `breaker of ${where} ${BREAKER_WORDS[to]}: ${cause.replaceAll('_', ' ')}`,
  );
}
