import { isFailing } from '../http/status.ts';
import type { CallbackOutcome } from '../proxy/events.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Observer } from '../telemetry/call-record.ts';
import type { RunnerState } from './decision.ts';
import type { Dispatch } from './dispatch.ts';
import type { Health } from './health.ts';
import { type ActiveJob, type AttemptRow, type ClaimedJob, type WaitReason, waitCause } from './job.ts';
import type { DurableRoute } from './route.ts';
import type { RunningJob } from './runner.ts';
import { parsedState } from './settlement.ts';
import type { AttemptFeedback } from './slow-start.ts';
import { StoreError } from './store/db.ts';
import type { Settlement, Store } from './store/store.ts';
import { polling, pollStateOf } from './until/state.ts';

export interface ExecuteDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly health: Health;
  readonly observer: Observer;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly dispatch: Dispatch;
  readonly route: (name: string) => DurableRoute | undefined;
  /** Called after each change of a request. */
  readonly changed: (id: string) => void;
  readonly logged: () => boolean;
  readonly stopped: () => boolean;
}

/** Interval at which a result is offered again to a store that fails. */
const SETTLE_AGAIN_MS = 1_000;

/** Larger results keep the place of their attempt until they are stored. */
const SMALL_RESULT_BYTES = 64 * 1024;

/**
 * Makes one attempt of a claimed request, stores its result and reports it. The returned value adjusts the slow start.
 * Calls `succeeded` before a small result is stored.
 */
export async function execute(
  running: RunningJob,
  deps: ExecuteDeps,
  succeeded: () => void,
): Promise<AttemptFeedback> {
  const { job } = running;
  const route = deps.route(job.route);
  if (job.reclaimed) report(job, deps, { type: 'durable_reclaimed', scope: scopeOf(job) });
  deps.changed(job.id);
  const settlement = await deps.dispatch.run(running, route);
  if (settlement === undefined) return 'none';
  if (isSmallSuccess(settlement)) succeeded();
  const settled = await settleInSomeForm(job, settlement, deps);
  if (settled === undefined) return 'none';
  deps.changed(job.id);
  await reportResult(job, settled, deps);
  if (job.kind === 'callback' && job.parent !== null) deps.changed(job.parent);
  return feedbackOf(settled);
}

function isSmallSuccess(settlement: Settlement): boolean {
  return (
    feedbackOf(settlement) === 'success' && (settlement.response?.body.byteLength ?? 0) <= SMALL_RESULT_BYTES
  );
}

function feedbackOf({ entry, next }: Settlement): AttemptFeedback {
  if (entry === undefined)
    return next.kind === 'wait' && waitCause(next.reason) === 'refusal' ? 'refused' : 'none';
  return entry.status === undefined || isFailing(entry.status) ? 'none' : 'success';
}

/** The result is form 0, the end as `unwritable` form 1, and the same without a callback form 2. */
const LAST_FORM = 2;

/**
 * Stores a result. If the store cannot write it, the request ends as `unwritable`: otherwise it would be sent again
 * after each lease. The last form contains nothing from the upstream. Undefined: the lease was lost.
 */
async function settleInSomeForm(
  job: ClaimedJob,
  settlement: Settlement,
  deps: ExecuteDeps,
): Promise<Settlement | undefined> {
  let offered = settlement;
  for (let form = 0; ; form++) {
    try {
      return (await settleWithRetry(offered, deps)) ? offered : undefined;
    } catch (error) {
      if (!isUnwritable(error) || form === LAST_FORM) throw error;
      const what = form === 0 ? 'result' : 'callback';
      deps.logger.warn(
        { id: job.id, request_id: job.requestId ?? undefined, error },
        `the durable store cannot save the ${what} of a durable request`,
      );
      const unwritable = deps.dispatch.unwritable(job, settlement, deps.route(job.route));
      offered = form === 0 ? unwritable : { ...unwritable, callbacks: [] };
    }
  }
}

function isUnwritable(error: unknown): boolean {
  return error instanceof StoreError && error.problem === 'unwritable';
}

/** Retries until the store accepts the result, because the attempt was already made. False: the lease was lost. */
async function settleWithRetry(settlement: Settlement, deps: ExecuteDeps): Promise<boolean> {
  const { clock, health, store, stopped } = deps;
  for (let offers = 1; ; offers++) {
    try {
      const held = await health.finishing(store.settle(settlement));
      return held || (offers > 1 && (await isStoredEnd(settlement, deps)));
    } catch (error) {
      if (!(error instanceof StoreError) || isUnwritable(error) || stopped()) throw error;
      await clock.sleep(SETTLE_AGAIN_MS, new Abort());
    }
  }
}

/**
 * Whether an offer that failed was stored nevertheless: its connection broke before the answer. Then the request has
 * ended here, and its end must be reported. Later owners end it at a later time.
 */
async function isStoredEnd({ id, next, now }: Settlement, { health, store }: ExecuteDeps): Promise<boolean> {
  if (next.kind !== 'end') return false;
  const job = await health.reading(store.get(id));
  return job?.status === next.status && job.finishedAt === Math.round(now);
}

async function reportResult(job: ActiveJob, settlement: Settlement, deps: ExecuteDeps): Promise<void> {
  const { next, now, entry, runnerState = job.runnerState } = settlement;
  const scope = scopeOf(job);
  if (next.kind === 'wait') {
    if (entry === undefined && next.reason !== 'polling') reportDeferral(job, settlement, next.reason, deps);
    await deferBacklog(job, { next, entry, now }, deps);
    return;
  }
  const ms = now - job.createdAt;
  report(
    job,
    deps,
    job.kind === 'callback'
      ? { type: 'callback_ended', scope, outcome: callbackOutcome(settlement, next.status) }
      : { type: 'durable_ended', scope, status: next.status, ms },
  );
  if (!deps.logged()) return;
  // The first attempt is known without a query.
  const attempts = entry?.n === 1 ? [entry] : await deps.store.attempts(job.id).catch(() => []);
  logEnd(job, { next, ms, attempts, polls: pollStateOf(runnerState)?.count }, deps);
}

/** A request that waits for an operator is logged once for each try to send it. */
function reportDeferral(
  job: ActiveJob,
  { runnerState = '{}' }: Settlement,
  reason: WaitReason,
  deps: ExecuteDeps,
): void {
  report(job, deps, { type: 'durable_deferred', scope: scopeOf(job), reason });
  if (waitCause(reason) !== 'person') return;
  const { obstacle = reason } = parsedState({ runnerState }) as Partial<RunnerState>;
  const { method, route } = job;
  deps.logger.warn(
    { ...logged(job), reason },
    `durable ${method} ${route} waits and is not sent until this is fixed: ${obstacle}`,
  );
}

function callbackOutcome(
  { entry }: Settlement,
  status: 'succeeded' | 'failed' | 'cancelled',
): CallbackOutcome {
  if (status === 'succeeded') return 'delivered';
  return status === 'failed' && entry?.status === 410 ? 'gone' : status;
}

/** Time over which a backlog becomes due again after an open breaker deferred it. */
const RAMP = { minMs: 5_000, maxMs: 5 * 60_000, perRequestMs: 10 };

/**
 * Defers the whole backlog of a route, because its open breaker would refuse all of it. Due times are spread, so that
 * a recovering upstream gets a ramp.
 */
async function deferBacklog(
  job: ActiveJob,
  { next, entry, now }: Pick<Settlement, 'next' | 'entry' | 'now'>,
  { health, store }: ExecuteDeps,
): Promise<void> {
  if (next.kind !== 'wait' || next.reason !== 'breaker_open' || entry !== undefined) return;
  // The breaker of one tenant says nothing about the others.
  if (job.tenant !== '') return;
  if (goesElsewhere(job)) return;
  try {
    const backlog = await health.reading(store.backlog());
    const spreadMs = Math.min(RAMP.maxMs, Math.max(RAMP.minMs, backlog * RAMP.perRequestMs));
    const move = { route: job.route, until: next.dueAt, now, spreadMs, reason: next.reason };
    await health.reading(store.moveDue(move));
  } catch (error) {
    // Without the move, each request is refused and deferred by itself.
    if (!(error instanceof StoreError)) throw error;
  }
}

/** A poll may have met the breaker of another route. A request that only one target may get has met the breaker of that one. */
function goesElsewhere(job: ActiveJob): boolean {
  const poll = polling(job.runnerState);
  const { boundTo } = parsedState(job) as Partial<RunnerState>;
  return poll?.target !== undefined || Boolean(poll?.targetName ?? boundTo);
}

interface End {
  readonly next: Extract<Settlement['next'], { kind: 'end' }>;
  readonly ms: number;
  readonly attempts: readonly AttemptRow[];
  readonly polls: number | undefined;
}

/** The fields of a log line about a request. */
const logged = ({ id, requestId, method, route, tenant }: ActiveJob) => ({
  id,
  request_id: requestId ?? undefined,
  method,
  route,
  tenant: tenant || undefined,
});

/** Logs one line for each request that has ended, with its attempts. */
function logEnd(job: ActiveJob, { next, ms, attempts: rows, polls }: End, { logger }: ExecuteDeps): void {
  const attempts = rows.map(({ n, at, ms: took, status, error, waitMs, reason }) => ({
    n,
    at_ms: at - job.createdAt,
    ms: Math.round(took),
    status,
    error,
    wait_ms: waitMs === undefined ? undefined : Math.round(waitMs),
    reason,
  }));
  const story = rows.map(({ status, error }) => status ?? error).join(' → ');
  const why = next.error === undefined ? '' : `, ${next.error.code}`;
  const fields = {
    ...logged(job),
    parent: job.parent ?? undefined,
    labels: job.labels.length === 0 ? undefined : job.labels,
    outcome: next.status,
    code: next.error?.code,
    ms,
    polls,
    attempts,
  };
  const asked = polls === undefined ? '' : ` and ${polls} polls`;
  const message = `durable ${job.method} ${job.route} ${next.status}${why} after ${rows.length} attempt${rows.length === 1 ? '' : 's'}${asked}: ${story}`;
  logger[next.status === 'failed' ? 'warn' : 'info'](fields, message);
}

/** Callback hosts are not used as metric labels, because their number has no bound. */
function scopeOf({ kind, route }: ActiveJob): string {
  return kind === 'callback' ? '/callbacks' : route;
}

function report(
  job: ActiveJob,
  { observer }: ExecuteDeps,
  event: Parameters<Observer['stateChanged']>[1],
): void {
  const scope = scopeOf(job);
  observer.stateChanged(scope.slice(0, scope.indexOf('/')), event);
}
