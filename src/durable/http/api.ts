import type { Reply } from '../../http/reply.ts';
import { isPrivate } from '../credentials.ts';
import type { Job } from '../job.ts';
import { StoreError } from '../store/db.ts';
import { json, problem } from './answer.ts';
import { backUp } from './backup.ts';
import type { ApiCall, ApiDeps } from './deps.ts';
import { changeMany, listRequests, listRoutes, pauseRoute } from './fleet.ts';
import { openapi } from './openapi.ts';
import {
  cancelRequest,
  deleteRequest,
  getAttempts,
  getRequest,
  getResponse,
  gone,
  retryRequest,
} from './requests.ts';
import { changeSchedule, lastResult, listSchedules } from './schedules.ts';

type OfOne = (job: Job, call: ApiCall, deps: ApiDeps) => Promise<Reply>;

/** Handlers by the path segment after the id. */
const OF_ONE: ReadonlyMap<string, Readonly<Record<string, OfOne>>> = new Map(
  Object.entries<Readonly<Record<string, OfOne>>>({
    '': { GET: getRequest, DELETE: deleteRequest },
    response: { GET: getResponse },
    attempts: { GET: getAttempts },
    cancel: { POST: cancelRequest },
    retry: { POST: retryRequest },
  }),
);

type OfMany = (call: ApiCall, deps: ApiDeps) => Promise<Reply>;

const OF_MANY: ReadonlyMap<string, Readonly<Record<string, OfMany>>> = new Map(
  Object.entries<Readonly<Record<string, OfMany>>>({
    '/requests': { GET: listRequests },
    '/requests/retry': { POST: (call, deps) => changeMany('retry', call, deps) },
    '/requests/cancel': { POST: (call, deps) => changeMany('cancel', call, deps) },
    '/schedules': { GET: (_call, deps) => listSchedules(deps) },
    '/backup': { POST: (_call, deps) => backUp(deps) },
    '/routes': { GET: (_call, deps) => listRoutes(deps) },
  }),
);

/** Answers a call of the HTTP API. Rejects only if the call is aborted, or because of a bug. */
export async function answerApi(call: ApiCall, deps: ApiDeps): Promise<Reply> {
  try {
    return await dispatch(call, deps);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const detail = `the durable store fails (${error.problem})`;
    return problem(503, detail, { code: 'store_unavailable', headers: ['retry-after', '5'] });
  }
}

async function dispatch(call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const { path } = call;
  if (path === '/openapi.json') return only(call, { GET: () => json(200, openapi(deps.prefix())) });
  const many = OF_MANY.get(path);
  if (many !== undefined) return adminOnly(call, () => only(call, many, deps));
  const route = /^\/routes\/(.+)\/(pause|resume)$/.exec(path);
  if (route !== null) {
    const change = () => pauseRoute(decoded(route[1] as string), route[2] as 'pause' | 'resume', deps);
    return adminOnly(call, () => only(call, { POST: change }));
  }
  const schedule = /^\/schedules\/([^/]+)\/(run|pause|resume|response)$/.exec(path);
  if (schedule !== null) return ofSchedule(decoded(schedule[1] as string), schedule[2] as string, call, deps);
  const one = /^\/requests\/([^/]+)(?:\/([a-z]+))?$/.exec(path);
  return one === null ? nothingHere() : ofOne(one[1] as string, one[2] ?? '', call, deps);
}

/** Reading the result needs no admin token: callers of the proxy could ask the upstream themselves. */
function ofSchedule(name: string, what: string, call: ApiCall, deps: ApiDeps): Promise<Reply> {
  if (what === 'response') return only(call, { GET: () => lastResult(name, deps) });
  return adminOnly(call, () => only(call, { POST: () => changeSchedule(name, what, deps) }));
}

/** Another caller gets the same 404 as for an unknown id, so that ids cannot be probed. */
async function ofOne(id: string, what: string, call: ApiCall, deps: ApiDeps): Promise<Reply> {
  const methods = OF_ONE.get(what);
  if (methods === undefined) return nothingHere();
  const handle = handlerOf(methods, call);
  if (handle === undefined) return notAllowed(methods);
  const job = await deps.store.get(id);
  if (job === undefined || !(await mayRead(job, call, deps))) return problem(404, 'there is no such request');
  if (job.erased && job.purgeAt !== undefined && job.purgeAt <= deps.clock.wallTime()) return gone();
  return handle(job, call, deps);
}

/** A callback belongs to the caller of its request, so the route of that request identifies the caller. */
async function mayRead(job: Job, { admin, callersFor }: ApiCall, { store }: ApiDeps): Promise<boolean> {
  if (admin || !isPrivate(job.caller)) return true;
  const parent = job.kind === 'callback' && job.parent !== null ? await store.get(job.parent) : undefined;
  return callersFor((parent ?? job).route).includes(job.caller);
}

async function adminOnly({ admin }: ApiCall, answer: () => Promise<Reply>): Promise<Reply> {
  if (admin) return answer();
  return problem(
    401,
    'the admin token is required as a bearer token; the admin listener serves this path too',
    {
      headers: ['www-authenticate', 'Bearer realm="breakwater admin"'],
    },
  );
}

async function only<D extends unknown[]>(
  call: ApiCall,
  methods: Readonly<Record<string, (call: ApiCall, ...rest: D) => Reply | Promise<Reply>>>,
  ...rest: D
): Promise<Reply> {
  const handle = handlerOf(methods, call);
  return handle === undefined ? notAllowed(methods) : handle(call, ...rest);
}

/** An inherited name such as `toString` is a valid method token, but has no handler. */
function handlerOf<H>(methods: Readonly<Record<string, H>>, { method }: ApiCall): H | undefined {
  const asked = method === 'HEAD' ? 'GET' : method;
  return Object.hasOwn(methods, asked) ? methods[asked] : undefined;
}

function notAllowed(methods: object): Reply {
  const allow = Object.keys(methods).join(', ');
  return problem(405, `this path allows ${allow} only`, { headers: ['allow', allow] });
}

function nothingHere(): Reply {
  return problem(404, 'there is no such path; see openapi.json');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
