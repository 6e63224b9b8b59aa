import type { Reply } from '../../http/reply.ts';
import type { Job } from '../job.ts';
import { slotOf } from '../schedules/run.ts';
import { type ActiveSchedule, pausedName } from '../schedules/scheduler.ts';
import { json, problem } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { accepted, resultOf } from './requests.ts';

/** Maximum number of next runs that are shown. */
const SHOWN_RUNS = 3;

/** `GET /schedules`. */
export async function listSchedules(deps: ApiDeps): Promise<Reply> {
  const paused = new Set(await deps.store.paused());
  const schedules = await Promise.all(
    [...deps.schedules.all.values()].map((schedule) => scheduleJson(schedule, paused, deps)),
  );
  return json(200, { schedules });
}

async function scheduleJson({ options, slots }: ActiveSchedule, paused: ReadonlySet<string>, deps: ApiDeps) {
  const { name, cron, timezone, route, method, overlap, catchup } = options;
  const [last] = await deps.store.list({ kind: 'scheduled', parent: name, limit: 1 });
  const good = await lastGood(name, deps);
  return {
    name,
    cron,
    timezone,
    route,
    method,
    overlap,
    catchup,
    paused: paused.has(pausedName(name)),
    next: upcoming(slots, deps.clock.wallTime()),
    last: last && runJson(last, deps),
    last_success: good && runJson(good, deps),
  };
}

function upcoming(slots: ActiveSchedule['slots'], now: number): string[] {
  const runs: string[] = [];
  for (let at = slots.next(now); at !== undefined && runs.length < SHOWN_RUNS; at = slots.next(at))
    runs.push(new Date(at).toISOString());
  return runs;
}

function runJson(job: Job, { prefix }: ApiDeps) {
  const slotAt = slotOf(job);
  return {
    id: job.id,
    status: job.status,
    slot: slotAt === undefined ? undefined : new Date(slotAt).toISOString(),
    created_at: new Date(job.createdAt).toISOString(),
    finished_at: job.finishedAt === undefined ? undefined : new Date(job.finishedAt).toISOString(),
    href: `${prefix()}/requests/${job.id}`,
  };
}

async function lastGood(name: string, { store }: ApiDeps): Promise<Job | undefined> {
  const found = await store.list({ kind: 'scheduled', parent: name, status: ['succeeded'], limit: 1 });
  return found[0];
}

/** `POST /schedules/{name}/run`, `…/pause`, `…/resume`. */
export async function changeSchedule(name: string, what: string, deps: ApiDeps): Promise<Reply> {
  const schedule = deps.schedules.all.get(name);
  if (schedule === undefined) return problem(404, `there is no schedule "${name}"`);
  if (what === 'run') return runNow(schedule, deps);
  const now = Math.floor(deps.clock.wallTime());
  if (what === 'pause') await deps.store.pause(pausedName(name), now);
  else await deps.store.resume(pausedName(name), now);
  return json(200, { schedule: name, paused: what === 'pause' });
}

async function runNow(schedule: ActiveSchedule, deps: ApiDeps): Promise<Reply> {
  const id = await deps.schedules.run(schedule);
  const job = id === undefined ? undefined : await deps.store.get(id);
  if (job !== undefined) return accepted(job, deps);
  return problem(409, 'the previous run is still in progress, and overlap: skip allows one run at a time');
}

/** `GET /schedules/{name}/response`: the response of the last successful run. */
export async function lastResult(name: string, deps: ApiDeps): Promise<Reply> {
  if (!deps.schedules.all.has(name)) return problem(404, `there is no schedule "${name}"`);
  const job = await lastGood(name, deps);
  if (job === undefined || job.erased)
    return problem(404, 'no run has succeeded yet, or its result was deleted');
  return resultOf(job, deps, ['last-modified', new Date(job.finishedAt ?? job.createdAt).toUTCString()]);
}
