import { headerOf } from '../../http/headers.ts';
import { preferencesOf } from '../../http/preferences.ts';
import type { Reply } from '../../http/reply.ts';
import { sameProgress } from '../change-notifier.ts';
import type { Job } from '../job.ts';
import { empty, etagOf, json, matchesEtag, problem, replay } from './answer.ts';
import type { ApiCall, ApiDeps } from './deps.ts';
import { attemptJson, isDone, monitorJson } from './monitor.ts';

/** Maximum duration of a long poll. A client that wants to wait longer asks again. */
const LONGEST_WAIT_MS = 600_000;

/** `GET /requests/{id}`: with `Prefer: wait`, waits until the request has finished or differs from If-None-Match. */
export async function getRequest(job: Job, call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const known = headerOf(call.headers, 'if-none-match');
  let found = await shown(job, deps);
  const same = (now: Job) => !isDone(now) && (known === undefined || sameProgress(now, job));
  const news = known !== undefined && !matchesEtag(known, found.etag);
  const now = news ? job : await untilChanged(job, call, deps, same);
  if (now !== job) found = await shown(now, deps);
  const { etag, body } = found;
  const headers = ['etag', etag, ...retryAfter(now, deps)];
  if (preferencesOf(call.headers)?.waitSeconds !== undefined) headers.push('preference-applied', 'wait');
  return matchesEtag(known, etag) ? empty(304, headers) : json(200, body, headers);
}

/** `GET /requests/{id}/response`. */
export async function getResponse(job: Job, call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const now = await untilChanged(job, call, deps, (found) => !isDone(found));
  if (!isDone(now)) return accepted(now, deps);
  return resultOf(now, deps);
}

/** 202 with the monitor, for an unfinished request. */
export async function accepted(job: Job, deps: ApiDeps, more: readonly string[] = []): Promise<Reply> {
  const { body } = await shown(job, deps);
  const location = `${deps.prefix()}/requests/${job.id}`;
  return json(202, body, ['location', location, ...retryAfter(job, deps), ...more]);
}

/** The stored reply of a finished request, or the problem that explains its absence. */
export async function resultOf(job: Job, deps: ApiDeps, more: readonly string[] = []): Promise<Reply> {
  if (job.erased) return gone();
  const stored = await deps.store.response(job.id);
  return stored === undefined ? withoutReply(job, more) : replay(stored, more);
}

function withoutReply({ id, attempt, error, status }: Job, headers: readonly string[]): Reply {
  if (status === 'cancelled')
    return problem(409, 'the request was cancelled', { code: 'cancelled', headers });
  const detail = error?.title ?? 'the request failed without a reply';
  return problem(error?.code === 'deadline' ? 504 : 502, detail, {
    code: error?.code ?? 'failed',
    headers,
    members: { attempts: attempt, request: id },
  });
}

export function gone(): Reply {
  return problem(410, 'this request has been erased', { code: 'gone' });
}

/** `GET /requests/{id}/attempts`. */
export async function getAttempts(job: Job, _call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const rows = await deps.store.attempts(job.id);
  return json(200, { request: job.id, attempts: rows.map(attemptJson) });
}

/** `POST /requests/{id}/cancel`. */
export async function cancelRequest(job: Job, _call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const changed = await deps.cancellation.cancel(job);
  if (changed === undefined) return doneAlready((await deps.store.get(job.id)) ?? job);
  deps.changed(job.id);
  return json(200, (await shown(changed, deps)).body);
}

/** `POST /requests/{id}/retry`. */
export async function retryRequest(job: Job, call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const force = call.query.get('force') === 'true';
  const now = Math.floor(deps.clock.wallTime());
  const deadlineMs = deps.routes().get(job.route)?.options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  const changed = await deps.store.retry(job.id, { now, deadlineAt: now + deadlineMs, force });
  if (changed.kind === 'unknown') return problem(404, 'there is no such request');
  if (changed.kind === 'refused') return notAgain(changed.job);
  deps.changed(job.id);
  return json(202, (await shown(changed.job, deps)).body, retryAfter(changed.job, deps));
}

const DEFAULT_DEADLINE_MS = 86_400_000;

function notAgain(job: Job): Reply {
  if (job.erased) return gone();
  const detail =
    job.status === 'succeeded'
      ? 'the request succeeded; ?force=true sends it again'
      : `the request is ${job.status}`;
  return problem(409, detail, { code: job.status });
}

/** `DELETE /requests/{id}`. */
export async function deleteRequest(job: Job, _call: ApiCall, deps: ApiDeps): Promise<Reply> {
  if (!(await deps.cancellation.erase(job))) return problem(409, 'the request is running in another process');
  deps.changed(job.id);
  return empty(204);
}

function doneAlready(job: Job): Reply {
  const detail = isDone(job)
    ? `the request is already ${job.status}`
    : 'the request is running in another process';
  return problem(409, detail, { code: job.status });
}

async function shown(job: Job, deps: ApiDeps) {
  const rows = job.attempt === 0 ? [] : await deps.store.attempts(job.id);
  const [callback] =
    job.callbackUrl === null || !isDone(job)
      ? []
      : await deps.store.list({ kind: 'callback', parent: job.id, limit: 1 });
  const parts = { prefix: deps.prefix(), route: deps.routes().get(job.route), last: rows.at(-1), callback };
  const body = monitorJson(job, parts);
  return { body, etag: etagOf(body) };
}

/** Retry-After of an unfinished request: seconds until the next step, between 1 and 60. */
function retryAfter(job: Job, { clock }: ApiDeps): string[] {
  if (isDone(job)) return [];
  const seconds = Math.ceil((job.dueAt - clock.wallTime()) / 1_000);
  return ['retry-after', String(Math.min(60, Math.max(1, seconds)))];
}

/** Waits while `same` holds, up to the time in `Prefer: wait`. Returns the request as it is then. */
async function untilChanged(
  job: Job,
  { headers, signal }: ApiCall,
  deps: ApiDeps,
  same: (found: Job) => boolean,
): Promise<Job> {
  const seconds = preferencesOf(headers)?.waitSeconds ?? 0;
  return waitWhile(job, { ms: seconds * 1_000, signal, same }, deps);
}

export interface Wait {
  readonly ms: number;
  readonly signal: ApiCall['signal'];
  readonly same: (found: Job) => boolean;
}

/** Reads the request after each change, until `same` is false or `ms` have passed. */
export async function waitWhile(job: Job, { ms, signal, same }: Wait, deps: ApiDeps): Promise<Job> {
  const { clock, store, notifier } = deps;
  if (ms <= 0 || !same(job)) return job;
  const until = clock.now() + Math.min(ms, LONGEST_WAIT_MS);
  const subscription = notifier.subscribe(job.id);
  let found = job;
  try {
    for (;;) {
      found = (await store.get(job.id)) ?? found;
      const left = until - clock.now();
      if (!same(found) || left <= 0 || deps.closing()) return found;
      subscription.observed(found);
      await subscription.nextChange(left, { clock, signal });
    }
  } finally {
    subscription.close();
  }
}
