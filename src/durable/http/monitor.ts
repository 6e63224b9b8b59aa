import type { Priority } from '../../proxy/client.ts';
import { withoutQuery } from '../../telemetry/call-log.ts';
import type { AttemptRow, Job } from '../job.ts';
import type { DurableRoute } from '../route.ts';
import { typicalPollDelayMs } from '../until/delay.ts';
import { type PollState, polling, pollStateOf } from '../until/state.ts';

export interface MonitorParts {
  readonly prefix: string;
  /** Undefined if the configuration no longer has it. */
  readonly route: DurableRoute | undefined;
  /** The latest attempt that was made. Undefined without one. */
  readonly last: AttemptRow | undefined;
  /** The callback of this request. Undefined until it exists. */
  readonly callback?: Job | undefined;
}

export const isDone = ({ status }: Pick<Job, 'status'>): boolean =>
  status === 'succeeded' || status === 'failed' || status === 'cancelled';

/** Maximum number of planned attempts that are shown. */
const MAX_PLANNED = 5;

const placeOf = ({ route, tenant }: Job) => ({ route, tenant: tenant || undefined });

/** The JSON of a durable request. */
export function monitorJson(job: Job, { prefix, route, last, callback }: MonitorParts) {
  const self = `${prefix}/requests/${job.id}`;
  const done = isDone(job);
  return {
    id: job.id,
    request_id: job.requestId ?? undefined,
    status: job.status,
    done,
    ...placeOf(job),
    client: job.client,
    priority: priorityOf(job),
    labels: job.labels,
    key: job.kind === 'request' ? (job.orderKey ?? undefined) : undefined,
    request: {
      method: job.method,
      path: withoutQuery(job.target),
      bytes: job.bytes,
      sha256: job.sha256,
    },
    created_at: iso(job.createdAt),
    started_at: iso(job.startedAt),
    finished_at: iso(job.finishedAt),
    deadline: iso(job.deadlineAt),
    purge_at: iso(job.purgeAt),
    attempts: { made: job.attempt, max: route?.options.attempts, last: last && lastJson(last) },
    polls: pollsJson(pollStateOf(job.runnerState)),
    next: nextJson(job),
    plan: planned(job, route),
    response: job.response && { ...job.response, href: `${self}/response` },
    error: job.error && { type: 'about:blank', ...job.error },
    callback: job.callbackUrl === null ? undefined : callbackJson(job.callbackUrl, prefix, callback),
    ...madeBy(job),
    erased: job.erased || undefined,
    links: {
      self,
      response: `${self}/response`,
      attempts: `${self}/attempts`,
      cancel: `${self}/cancel`,
      retry: `${self}/retry`,
    },
  };
}

/** Without a wish of its client, a durable request waits for interactive calls. */
const priorityOf = ({ priority = 'low' }: Job): Priority => priority;

/** Kind and parent of a request that no client submitted. */
function madeBy({ kind, parent }: Job) {
  return kind === 'request' ? {} : { kind, parent: parent ?? undefined };
}

function callbackJson(url: string, prefix: string, callback: Job | undefined) {
  return {
    url: withoutQuery(url),
    status: callback?.status,
    attempts: callback?.attempt,
    href: callback && `${prefix}/requests/${callback.id}`,
  };
}

function nextJson(job: Job) {
  if (isDone(job) || job.status === 'running') return undefined;
  return { at: iso(job.dueAt), reason: job.reason };
}

/** Expected start times of the next attempts, if each fails at once and its wait is the median. */
function plan(job: Job, route: DurableRoute | undefined): string[] {
  if (route === undefined || isDone(job)) return [];
  const left = Math.min(MAX_PLANNED, route.options.attempts - job.counted);
  const moments: string[] = [];
  let at = job.status === 'running' ? undefined : job.dueAt;
  for (let n = job.counted + 1; moments.length < left; n++) {
    if (at !== undefined && at < job.deadlineAt) moments.push(new Date(at).toISOString());
    if (at === undefined || at >= job.deadlineAt) break;
    at += route.waitRange(n).medianMs;
  }
  return moments;
}

const planned = (job: Job, route: DurableRoute | undefined): string[] =>
  plannedPolls(job, route) ?? plan(job, route);

/**
 * Expected times of the next polls, if nothing changes; the last one is at the deadline. Undefined if the request
 * does not poll.
 */
function plannedPolls(job: Job, route: DurableRoute | undefined): string[] | undefined {
  const polls = polling(job.runnerState);
  const delay = route?.options.poll?.delay;
  if (polls === undefined || delay === undefined || isDone(job) || job.counted > 0) return undefined;
  if (job.status === 'running') return [];
  const moments: string[] = [];
  let at = Math.min(job.dueAt, job.deadlineAt);
  for (let n = polls.count + 1; moments.length < MAX_PLANNED; n++) {
    moments.push(new Date(at).toISOString());
    if (at >= job.deadlineAt) break;
    at = Math.min(job.deadlineAt, at + typicalPollDelayMs(n, delay));
  }
  return moments;
}

/** Counts of polls. `seen`: latest successive replies with the same state. */
function pollsJson(state: PollState | undefined) {
  if (state === undefined) return undefined;
  const { count, seen, last, targetName } = state;
  return { count, seen, last: count === 0 ? undefined : iso(last), target: targetName };
}

function lastJson({ n, at, ms, status, error, waitMs, reason }: AttemptRow) {
  return {
    n,
    at: iso(at),
    ms: Math.round(ms),
    status,
    error,
    retry_after_ms: reason === 'retry_after' && waitMs !== undefined ? Math.round(waitMs) : undefined,
  };
}

/** The JSON of an attempt. */
export function attemptJson(row: AttemptRow) {
  return {
    n: row.n,
    at: iso(row.at),
    ms: Math.round(row.ms),
    status: row.status,
    error: row.error,
    detail: row.detail,
    wait_ms: row.waitMs === undefined ? undefined : Math.round(row.waitMs),
    reason: row.reason,
    reclaimed: row.reclaimed,
    reply: row.replyHead === undefined ? undefined : Buffer.from(row.replyHead).toString('utf8'),
  };
}

function iso(ms: number): string;
function iso(ms: number | undefined): string | undefined;
function iso(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
