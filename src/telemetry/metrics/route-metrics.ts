import { KNOWN_METHODS } from '../../http/methods.ts';
import type { ErrorCode } from '../../proxy/errors.ts';
import { NOTE_ROWS, type NoteName } from '../../proxy/notes.ts';
import type { AttemptEntry } from '../attempt-entry.ts';
import type { CallOutcome } from '../call-outcome.ts';
import type { CallRecord } from '../call-record.ts';
import type { CallTrace } from '../tracing/call-trace.ts';
import { CounterBy, type CounterCell, type Exemplar, type Family, type HistogramCell } from './cells.ts';
import type { Families } from './families.ts';
import { NoteMetrics } from './note-metrics.ts';

/** Status and outcome form one number that finds the series of a method. No string is built for the lookup. */
const OUTCOME_INDEX: Readonly<Record<CallOutcome, number>> = {
  ok: 0,
  rescued: 1,
  upstream_error: 2,
  failed: 3,
  rejected: 4,
  client_gone: 5,
  bug: 6,
  fallback: 7,
};
const OUTCOMES = 8;

/** The series of the attempts of a route, at one target if its upstream has targets. */
interface AttemptMetrics {
  readonly results: CounterBy;
  readonly duration: HistogramCell;
}

/** The series of one route, bound once, so that a call costs a few additions. */
export class RouteMetrics {
  readonly #requestFamily: Family<CounterCell>;
  readonly #base: { readonly upstream: string; readonly route: string };
  /** By method, and by the name of the client if it has one. */
  readonly #requests = new Map<string, Map<number, CounterCell>>();
  readonly #requestDuration: HistogramCell;
  readonly #families: Families;
  /** By target; undefined: the upstream has none. */
  readonly #attempts = new Map<string | undefined, AttemptMetrics>();
  readonly #retries: CounterBy;
  readonly #rescued: CounterCell;
  readonly #backoff: HistogramCell;
  readonly #notes: ReadonlyMap<NoteName, NoteMetrics>;

  constructor(families: Families, upstream: string, route: string) {
    const base = { upstream, route };
    const { counters, histograms } = families;
    this.#base = base;
    this.#families = families;
    this.#requestFamily = counters.requests;
    this.#requestDuration = histograms.requestDuration.series(base);
    this.#retries = new CounterBy(counters.retries, base, 'reason');
    this.#rescued = counters.rescued.series(base);
    this.#backoff = histograms.backoff.series(base);
    this.#notes = new Map(
      Object.entries(NOTE_ROWS).map(([name, row]) => [
        name as NoteName,
        new NoteMetrics(row, families, base),
      ]),
    );
  }

  noted(name: NoteName, value: string | number): void {
    this.#notes.get(name)?.count(value);
  }

  attemptStarted({ reason, waitMs }: AttemptEntry): void {
    if (reason === undefined) return;
    this.#retries.inc(reason);
    this.#backoff.observe(waitMs / 1000);
  }

  attemptEnded(result: number | ErrorCode, ms: number, target: string | undefined): void {
    const { results, duration } = this.#attemptsAt(target);
    results.inc(typeof result === 'number' ? resultOf(result) : result);
    duration.observe(ms / 1000);
  }

  #attemptsAt(target: string | undefined): AttemptMetrics {
    let metrics = this.#attempts.get(target);
    if (metrics === undefined) {
      const { counters, histograms } = this.#families;
      const labels = target === undefined ? this.#base : { ...this.#base, target };
      metrics = {
        results: new CounterBy(counters.attempts, labels, 'result'),
        duration: histograms.attemptDuration.series(labels),
      };
      this.#attempts.set(target, metrics);
    }
    return metrics;
  }

  /** Call after series were removed. */
  forgetSeries(): void {
    this.#requests.clear();
    this.#attempts.clear();
  }

  ended(record: CallRecord): void {
    this.#requestCell(record).value++;
    this.#requestDuration.observe(record.ms / 1000);
    if (record.info.trace !== undefined)
      this.#requestDuration.remember(exemplarOf(record, record.info.trace));
    if (record.outcome === 'rescued') this.#rescued.value++;
  }

  #requestCell({ info, status, outcome = 'bug' }: CallRecord): CounterCell {
    const { clientName: client } = info;
    const method = KNOWN_METHODS.has(info.method) ? info.method : 'OTHER';
    const sender = client === undefined ? method : `${method} ${client}`;
    let cells = this.#requests.get(sender);
    if (cells === undefined) this.#requests.set(sender, (cells = new Map()));
    const key = status * OUTCOMES + OUTCOME_INDEX[outcome];
    let cell = cells.get(key);
    if (cell === undefined) {
      const labels = { ...this.#base, method, status: statusLabel(status), outcome };
      cell = this.#requestFamily.series(client === undefined ? labels : { ...labels, client });
      cells.set(key, cell);
    }
    return cell;
  }
}

function exemplarOf({ ms }: CallRecord, { traceId, start }: CallTrace): Exemplar {
  return { traceId, value: ms / 1000, at: (start.startedAt + ms) / 1000 };
}

function resultOf(status: number): string {
  if (status < 400) return 'ok';
  if (status >= 500) return '5xx';
  return status === 429 ? '429' : '4xx';
}

function statusLabel(status: number): string {
  if (status === 0) return 'none';
  return status >= 100 && status <= 599 ? String(status) : 'other';
}
