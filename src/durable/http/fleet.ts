import type { Reply } from '../../http/reply.ts';
import type { Job, JobKind, JobStatus } from '../job.ts';
import type { Filter } from '../store/store.ts';
import { json, problem } from './answer.ts';
import type { ApiCall, ApiDeps } from './deps.ts';
import { monitorJson } from './monitor.ts';

/* Operations on many requests. All of them need the admin token. */

const STATUSES: ReadonlySet<string> = new Set([
  'queued',
  'running',
  'waiting',
  'succeeded',
  'failed',
  'cancelled',
]);

const PARAMETERS: ReadonlySet<string> = new Set([
  'status',
  'route',
  'label',
  'key',
  'since',
  'until',
  'min_attempts',
  'kind',
  'parent',
  'request_id',
  'sort',
  'cursor',
  'limit',
]);

const MAX_LISTED = 500;
const DEFAULT_LISTED = 50;
const MAX_BULK = 10_000;

/** `GET /requests`. */
export async function listRequests(call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const filter = filterOf(call.query, DEFAULT_LISTED, MAX_LISTED);
  if (typeof filter === 'string') return problem(400, filter);
  const jobs = await deps.store.list(filter);
  const routes = deps.routes();
  const last = jobs.at(-1);
  const next = jobs.length === filter.limit && last !== undefined ? cursorOf(last, filter) : undefined;
  return json(200, {
    requests: jobs.map((job) =>
      monitorJson(job, { prefix: deps.prefix(), route: routes.get(job.route), last: undefined }),
    ),
    cursor: next,
  });
}

/** Names the last request of a page. If the soonest are first, one that moves between two pages may be missed, or listed twice. */
const cursorOf = ({ seq, wakeAt = 0 }: Job, { soonestFirst }: Filter): string =>
  soonestFirst === true ? `${wakeAt}-${seq}` : String(seq);

/** `POST /requests/retry?…`, `POST /requests/cancel?…`. */
export async function changeMany(
  what: 'retry' | 'cancel',
  { query }: ApiCall,
  deps: ApiDeps,
): Promise<Reply> {
  if (!query.has('limit')) return problem(400, 'limit is missing: the maximum number of requests to change');
  const filter = filterOf(query, MAX_BULK, MAX_BULK);
  if (typeof filter === 'string') return problem(400, filter);
  const now = Math.floor(deps.clock.wallTime());
  const { deadlineMs, retentionMs } = longest(filter.route, deps);
  const result =
    what === 'retry'
      ? await deps.store.retryAll(filter, { now, deadlineAt: now + deadlineMs })
      : await deps.cancellation.cancelAll(filter, retentionMs);
  deps.changed();
  return json(200, result);
}

/** The longest deadline and retention of the matching routes, at least one day. Milliseconds. */
function longest(name: string | undefined, { routes }: ApiDeps): { deadlineMs: number; retentionMs: number } {
  const all = [...routes().values()].filter((route) => name === undefined || route.name === name);
  return {
    deadlineMs: Math.max(DAY_MS, ...all.map(({ options }) => options.deadlineMs)),
    retentionMs: Math.max(DAY_MS, ...all.map(({ options }) => options.retentionMs)),
  };
}

const DAY_MS = 86_400_000;

/** `POST /routes/{name}/pause`, `…/resume`. */
export async function pauseRoute(name: string, what: 'pause' | 'resume', deps: ApiDeps): Promise<Reply> {
  if (!deps.routes().has(name)) return problem(404, `there is no durable route "${name}"`);
  const now = Math.floor(deps.clock.wallTime());
  if (what === 'pause') await deps.store.pause(name, now);
  else await deps.store.resume(name, now);
  deps.changed();
  return json(200, { route: name, paused: what === 'pause' });
}

/** `GET /routes`: lists the durable routes with their counts by status and the oldest due time. */
export async function listRoutes(deps: ApiDeps): Promise<Reply> {
  const [counts, paused] = await Promise.all([deps.store.counts(), deps.store.paused()]);
  const routes = [...deps.routes().keys()].map((name) => {
    const own = counts.filter(({ route }) => route === name);
    const due = own.flatMap(({ oldestDueAt }) => oldestDueAt ?? []);
    return {
      name,
      paused: paused.includes(name),
      requests: Object.fromEntries(own.map(({ status, count }) => [status, count])),
      oldest_due_at: due.length === 0 ? undefined : new Date(Math.min(...due)).toISOString(),
    };
  });
  return json(200, { routes });
}

/** Returns the filter, or what is wrong with the query. */
function filterOf(query: URLSearchParams, builtIn: number, most: number): Filter | string {
  const unknown = [...query.keys()].find((name) => !PARAMETERS.has(name));
  if (unknown !== undefined) return `unknown parameter "${unknown}"`;
  // PostgreSQL does not support NUL in text.
  if ([...query.values()].some((value) => value.includes('\0')))
    return 'a parameter contains a NUL character';
  const status = query.getAll('status').flatMap((value) => value.split(','));
  const wrong = status.find((one) => !STATUSES.has(one));
  if (wrong !== undefined) return `status "${wrong}" is not one of ${[...STATUSES].join(', ')}`;
  const page = pageOf(query);
  if (typeof page === 'string') return page;
  const numbers = {
    minAttempts: whole(query, 'min_attempts', 1_000_000),
    limit: whole(query, 'limit', most),
    since: moment(query, 'since'),
    until: moment(query, 'until'),
  };
  const problem = Object.values(numbers).find((value) => typeof value === 'string');
  if (problem !== undefined) return problem as string;
  return {
    status: status.length === 0 ? undefined : (status as JobStatus[]),
    ...textsOf(query),
    ...page,
    ...(numbers as { minAttempts?: number; since?: number; until?: number }),
    limit: (numbers.limit as number | undefined) ?? builtIn,
  };
}

/** The order of the list, and where the page begins; or the problem of the query. */
function pageOf(query: URLSearchParams): Pick<Filter, 'soonestFirst' | 'before' | 'after'> | string {
  const sort = query.get('sort') ?? 'newest';
  if (sort !== 'newest' && sort !== 'next') return `sort "${sort}" is not one of newest, next`;
  const soonestFirst = sort === 'next' || undefined;
  const cursor = query.get('cursor');
  if (cursor === null) return { soonestFirst };
  const begin = soonestFirst ? afterOf(cursor) : beforeOf(cursor);
  return begin === undefined
    ? 'cursor must be that of the previous page of the same list'
    : { soonestFirst, ...begin };
}

function beforeOf(cursor: string): Pick<Filter, 'before'> | undefined {
  const before = wholeNumber(cursor);
  return before === undefined ? undefined : { before };
}

function afterOf(cursor: string): Pick<Filter, 'after'> | undefined {
  const [wakeAt, seq, more] = cursor.split('-');
  const after = { wakeAt: wholeNumber(wakeAt ?? ''), seq: wholeNumber(seq ?? '') };
  if (after.wakeAt === undefined || after.seq === undefined || more !== undefined) return undefined;
  return { after: { wakeAt: after.wakeAt, seq: after.seq } };
}

/** Undefined for any other text. */
function wholeNumber(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

function textsOf(query: URLSearchParams) {
  const text = (name: string) => query.get(name) ?? undefined;
  return {
    route: text('route'),
    label: text('label'),
    orderKey: text('key'),
    kind: text('kind') as JobKind | undefined,
    parent: text('parent'),
    requestId: text('request_id'),
  };
}

function whole(query: URLSearchParams, name: string, most: number): number | string | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = wholeNumber(text) ?? Number.NaN;
  return value <= most && (value > 0 || name !== 'limit')
    ? value
    : `${name} must be a whole number of at most ${most}`;
}

function moment(query: URLSearchParams, name: string): number | string | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? `${name} must be a time such as 2026-12-01T08:00:00Z` : at;
}
