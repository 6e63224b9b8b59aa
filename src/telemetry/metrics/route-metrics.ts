import { isReported } from '../../proxy/errors.ts';
import type { CallEvent } from '../../proxy/events.ts';
import type { CallOutcome } from '../call-outcome.ts';
import type { CallRecord } from '../call-record.ts';
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

/** Status and outcome together are the number that finds a series of a method: no string is built to look it up. */
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

/** The series of one route, bound once so that an ordinary call costs a few additions. */
export class RouteMetrics {
  readonly #requestFamily: Family<CounterCell>;
  readonly #base: { readonly upstream: string; readonly route: string };
  readonly #requests = new Map<string, Map<number, CounterCell>>();
  readonly #requestDuration: HistogramCell;
  readonly #attempts: CounterBy;
  readonly #attemptDuration: HistogramCell;
  readonly #retries: CounterBy;
  readonly #clientRetries: CounterCell;
  readonly #cache: CounterBy;
  readonly #dedupe: CounterBy;
  readonly #denied: CounterBy;
  readonly #judged: CounterBy;
  readonly #rescued: CounterCell;
  readonly #backoff: HistogramCell;
  readonly #queueWait: HistogramCell;
  readonly #quotaWait: HistogramCell;
  readonly #rejected: CounterBy;
  readonly #shadowRejected: CounterBy;
  readonly #resumes: CounterBy;
  readonly #bodiesNotKept: CounterBy;
  readonly #overrides: CounterBy;
  readonly #fallbacks: CounterBy;
  readonly #hedges: CounterBy;

  constructor({ counters, histograms }: Families, upstream: string, route: string) {
    const base = { upstream, route };
    this.#base = base;
    this.#requestFamily = counters.requests;
    this.#requestDuration = histograms.requestDuration.add(base);
    this.#attempts = new CounterBy(counters.attempts, base, 'result');
    this.#attemptDuration = histograms.attemptDuration.add(base);
    this.#retries = new CounterBy(counters.retries, base, 'reason');
    this.#clientRetries = counters.clientRetries.add(base);
    this.#cache = new CounterBy(counters.cacheRequests, base, 'result');
    this.#dedupe = new CounterBy(counters.deduped, base, 'result');
    this.#denied = new CounterBy(counters.retriesDenied, base, 'reason');
    this.#judged = new CounterBy(counters.repliesJudged, base, 'means');
    this.#rescued = counters.rescued.add(base);
    this.#backoff = histograms.backoff.add(base);
    this.#queueWait = histograms.queueWait.add(base);
    this.#quotaWait = histograms.quotaWait.add(base);
    this.#rejected = new CounterBy(counters.rejected, base, 'reason');
    this.#shadowRejected = new CounterBy(counters.shadowRejected, base, 'reason');
    this.#resumes = new CounterBy(counters.resumes, base, 'result');
    this.#overrides = new CounterBy(counters.overrides, base, 'override');
    this.#hedges = new CounterBy(counters.hedges, base, 'result');
    this.#fallbacks = new CounterBy(counters.fallbacks, base, 'result');
    this.#bodiesNotKept = new CounterBy(counters.bodiesNotKept, base, 'reason');
  }

  event(record: CallRecord, event: CallEvent): void {
    (this.#on[event.type] as (event: CallEvent, record: CallRecord) => void)(event, record);
  }

  readonly #on: {
    readonly [T in CallEvent['type']]: (event: Extract<CallEvent, { type: T }>, record: CallRecord) => void;
  } = {
    attempt_started: ({ background }, record) => {
      if (background !== true) this.#attemptStarted(record);
    },
    attempt_answered: ({ status, ms }) => {
      this.#attempts.inc(resultOf(status));
      this.#attemptDuration.observe(ms / 1000);
    },
    attempt_failed: ({ code, ms }) => {
      this.#attempts.inc(code);
      this.#attemptDuration.observe(ms / 1000);
    },
    reply_judged: ({ means }) => this.#judged.inc(means),
    retry_scheduled: () => undefined, // it counts when it takes place
    retry_denied: ({ reason }) => this.#denied.inc(reason),
    rejected: ({ reason, shadow }) => (shadow ? this.#shadowRejected : this.#rejected).inc(reason),
    overridden: ({ override }) => this.#overrides.inc(override),
    hedge_started: () => undefined, // it counts when its end is known
    hedge: ({ result }) => this.#hedges.inc(result),
    fallback: ({ result }) => this.#fallbacks.inc(result),
    cache: ({ result }) => this.#cache.inc(result),
    dedupe: ({ result }) => this.#dedupe.inc(result),
    queued: ({ waitMs }) => this.#queueWait.observe(waitMs / 1000),
    quota_waited: ({ waitMs }) => this.#quotaWait.observe(waitMs / 1000),
    body_not_kept: ({ reason }) => this.#bodiesNotKept.inc(reason),
    resume: ({ step }) => {
      if (step.kind === 'decided') this.#resumes.inc(step.result);
    },
  };

  ended(record: CallRecord): void {
    this.#requestCell(record).value++;
    this.#requestDuration.observe(record.ms / 1000);
    if (record.clientRetries > 0) this.#clientRetries.value++;
    if (record.outcome === 'rescued') this.#rescued.value++;
    const { rejected } = record;
    if (record.outcome === 'rejected' && rejected !== undefined && !isReported(rejected)) {
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
