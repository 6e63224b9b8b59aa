import type { CallEvent } from '../proxy/events.ts';
import type { CallOutcome, CallRecord } from '../proxy/record.ts';
import { CounterBy, type CounterCell, type Family, type HistogramCell } from './cells.ts';
import type { Families } from './families.ts';

/** Methods that get a label of their own (RFC 9110 §9, RFC 5789, and QUERY); a client may invent others without end. */
const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'QUERY',
]);

/** Refusals that are counted when they happen, because one that ends a retry does not end the call as a refusal. */
const COUNTED_AS_EVENT: ReadonlySet<string> = new Set(['breaker_open', 'concurrency_limit']);

/** Status and outcome together are the number that finds a series of a method: no string is built to look it up. */
const OUTCOME_INDEX: Readonly<Record<CallOutcome, number>> = {
  ok: 0,
  rescued: 1,
  upstream_error: 2,
  failed: 3,
  rejected: 4,
  client_gone: 5,
  bug: 6,
};
const OUTCOMES = 7;

/** The series of one route, bound once so that an ordinary call costs a few additions. */
export class RouteMetrics {
  readonly #requestFamily: Family<CounterCell>;
  readonly #base: { readonly upstream: string; readonly route: string };
  readonly #requests = new Map<string, Map<number, CounterCell>>();
  readonly #requestDuration: HistogramCell;
  readonly #attempts: CounterBy;
  readonly #attemptDuration: HistogramCell;
  readonly #retries: CounterBy;
  readonly #denied: CounterBy;
  readonly #rescued: CounterCell;
  readonly #backoff: HistogramCell;
  readonly #queueWait: HistogramCell;
  readonly #rejected: CounterBy;
  readonly #shadowRejected: CounterBy;
  readonly #bodiesNotKept: CounterBy;

  constructor({ counters, histograms }: Families, upstream: string, route: string) {
    const base = { upstream, route };
    this.#base = base;
    this.#requestFamily = counters.requests;
    this.#requestDuration = histograms.requestDuration.add(base);
    this.#attempts = new CounterBy(counters.attempts, base, 'result');
    this.#attemptDuration = histograms.attemptDuration.add(base);
    this.#retries = new CounterBy(counters.retries, base, 'reason');
    this.#denied = new CounterBy(counters.retriesDenied, base, 'reason');
    this.#rescued = counters.rescued.add(base);
    this.#backoff = histograms.backoff.add(base);
    this.#queueWait = histograms.queueWait.add(base);
    this.#rejected = new CounterBy(counters.rejected, base, 'reason');
    this.#shadowRejected = new CounterBy(counters.shadowRejected, base, 'reason');
    this.#bodiesNotKept = new CounterBy(counters.bodiesNotKept, base, 'reason');
  }

  event(record: CallRecord, event: CallEvent): void {
    switch (event.type) {
      case 'attempt_started':
        return this.#attemptStarted(record);
      case 'attempt_answered':
        this.#attempts.inc(resultOf(event.status));
        return this.#attemptDuration.observe(event.ms / 1000);
      case 'attempt_failed':
        this.#attempts.inc(event.code);
        return this.#attemptDuration.observe(event.ms / 1000);
      case 'retry_scheduled':
        return; // it counts when it takes place
      case 'retry_denied':
        return this.#denied.inc(event.reason);
      case 'rejected':
        return (event.shadow ? this.#shadowRejected : this.#rejected).inc(event.reason);
      case 'queued':
        return this.#queueWait.observe(event.waitMs / 1000);
      case 'body_not_kept':
        this.#bodiesNotKept.inc(event.reason);
    }
  }

  ended(record: CallRecord): void {
    this.#requestCell(record).value++;
    this.#requestDuration.observe(record.ms / 1000);
    if (record.outcome === 'rescued') this.#rescued.value++;
    const { rejected } = record;
    if (record.outcome === 'rejected' && rejected !== undefined && !COUNTED_AS_EVENT.has(rejected)) {
      this.#rejected.inc(rejected);
    }
  }

  #attemptStarted(record: CallRecord): void {
    const entry = record.entries.at(-1);
    if (entry?.reason === undefined) return;
    this.#retries.inc(entry.reason);
    this.#backoff.observe(entry.waitMs / 1000);
  }

  #requestCell({ info, status, outcome = 'bug' }: CallRecord): CounterCell {
    const method = METHODS.has(info.method) ? info.method : 'OTHER';
    let cells = this.#requests.get(method);
    if (cells === undefined) this.#requests.set(method, (cells = new Map()));
    const key = status * OUTCOMES + OUTCOME_INDEX[outcome];
    let cell = cells.get(key);
    if (cell === undefined) {
      cell = this.#requestFamily.add({ ...this.#base, method, status: statusLabel(status), outcome });
      cells.set(key, cell);
    }
    return cell;
  }
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
