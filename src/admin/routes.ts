import type { IncomingMessage } from 'node:http';
import { type About, type AdminDeps, type Answer, type BreakerForce, FORCES, TARGET_PLACES } from './deps.ts';
import { checkIntent } from './access.ts';
import { parametersOf } from './query.ts';
import { requestJson } from './request-json.ts';
import { AdminProblem, type AdminResponse, compactJson, json, text } from './response.ts';
import { callsJson } from './calls.ts';
import { stateJson } from './state.ts';
import { trafficJson } from './traffic.ts';

interface AdminRequest {
  readonly req: IncomingMessage;
  readonly deps: AdminDeps;
  /** The decoded variable part of the path. */
  readonly name: string;
}

type Handler = (request: AdminRequest) => AdminResponse | Promise<AdminResponse>;

interface AdminRoute {
  readonly path: RegExp;
  readonly method: 'GET' | 'POST';
  readonly handle: Handler;
}

/** Paths that need no token, for orchestrators. They reveal only yes or no. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** Paths of the listener of `metrics`. None of them changes anything. */
export const METRICS_ROUTES: readonly AdminRoute[] = [
  { method: 'GET', path: /^\/healthz$/, handle: () => text(200, 'ok\n') },
  { method: 'GET', path: /^\/readyz$/, handle: ready },
  { method: 'GET', path: /^\/metrics$/, handle: metrics },
];

export const ROUTES: readonly AdminRoute[] = [
  ...METRICS_ROUTES,
  {
    method: 'GET',
    path: /^\/api\/state$/,
    handle: ({ deps }) => json(200, stateJson(deps)),
  },
  {
    method: 'GET',
    path: /^\/api\/calls$/,
    handle: ({ req, deps }) => json(200, callsJson(deps.calls, queryOf(req))),
  },
  {
    method: 'GET',
    path: /^\/api\/traffic$/,
    handle: ({ req, deps }) => compactJson(200, trafficJson(deps, queryOf(req))),
  },
  { method: 'GET', path: /^\/api\/config$/, handle: ({ deps }) => json(200, deps.config()) },
  { method: 'GET', path: /^\/api\/config\/values$/, handle: values },
  { method: 'POST', path: /^\/api\/simulate$/, handle: simulate },
  { method: 'POST', path: /^\/api\/reload$/, handle: reload },
  { method: 'POST', path: /^\/api\/upstreams\/([^/]+)\/breaker$/, handle: forceBreaker },
  { method: 'POST', path: /^\/api\/upstreams\/([^/]+)\/quota$/, handle: resetQuota },
  { method: 'POST', path: /^\/api\/upstreams\/([^/]+)\/target$/, handle: setTarget },
];

/** Finds the route of a request. Throws 404 for an unknown path, 405 for a method that the path does not allow. */
export function findRoute(
  routes: readonly AdminRoute[],
  method: string,
  path: string,
): { readonly route: AdminRoute; readonly name: string } {
  for (const route of routes) {
    const match = route.path.exec(path);
    if (match === null) continue;
    const allowed = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
    if (allowed.includes(method)) return { route, name: decoded(match[1] ?? '') };
    throw new AdminProblem(405, `${path} allows ${allowed.join(' and ')} only`, {
      headers: { allow: allowed.join(', ') },
    });
  }
  throw new AdminProblem(404, 'there is no such path');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new AdminProblem(404, 'there is no such path');
  }
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  const mark = url.indexOf('?');
  return new URLSearchParams(mark < 0 ? '' : url.slice(mark));
}

/** With `?verbose`, in more lines for people. They name no part of the configuration, because everybody may read them. */
function ready({ req, deps }: AdminRequest): AdminResponse {
  const readiness = deps.readiness();
  const verbose = queryOf(req).has('verbose');
  return text(
    SERVING.has(readiness) ? 200 : 503,
    `${readiness}\n${verbose ? verboseText(deps.about()) : ''}`,
  );
}

/** Replicas share a database. If its failure ended readiness, no replica would get the calls that need no store. */
const SERVING: ReadonlySet<string> = new Set(['ready', 'store_failed']);

function verboseText({ version, loadedAt, refusedReload }: About): string {
  const refused =
    refusedReload === undefined
      ? 'refused reload: none\n'
      : `refused reload: ${iso(refusedReload.at)}, problems: ${refusedReload.problems.length}; the configuration above stays in effect\n`;
  return `version: ${version}\nconfiguration loaded: ${iso(loadedAt)}\n${refused}`;
}

const iso = (wallTime: number): string => new Date(wallTime).toISOString();

function metrics({ req, deps }: AdminRequest): AdminResponse {
  const { contentType, pieces } = deps.metrics.scrape(req.headers.accept);
  return { status: 200, contentType, body: pieces };
}

function values({ req, deps }: AdminRequest): Promise<AdminResponse> {
  const parameter = parametersOf(queryOf(req), { single: ['upstream', 'route'] });
  const parameters = { upstream: parameter('upstream'), route: parameter('route') };
  return answerOf(deps.ask({ kind: 'values', parameters }));
}

async function simulate({ req, deps }: AdminRequest): Promise<AdminResponse> {
  checkIntent(req);
  return answerOf(deps.ask({ kind: 'simulate', parameters: await requestJson(req) }));
}

async function answerOf(asked: Promise<Answer>): Promise<AdminResponse> {
  const answer = await asked;
  if (answer.ok) return compactJson(200, answer.body);
  const { status, detail, errors } = answer;
  throw new AdminProblem(status, detail, errors === undefined ? {} : { members: { errors } });
}

async function reload({ req, deps }: AdminRequest): Promise<AdminResponse> {
  checkIntent(req);
  await requestJson(req);
  const result = await deps.reload();
  if (result.ok) return json(200, { reloaded: true });
  throw new AdminProblem(422, 'the configuration has errors; the running configuration stays in effect', {
    members: { errors: result.errors },
  });
}

async function forceBreaker({ req, deps, name }: AdminRequest): Promise<AdminResponse> {
  checkIntent(req);
  const force = (await requestJson(req))['force'];
  if (!isForce(force)) throw new AdminProblem(400, `"force" must be one of ${FORCES.join(', ')}`);
  if (!deps.forceBreaker(name, force)) throw new AdminProblem(404, `there is no upstream "${name}"`);
  deps.logger.warn({ upstream: name, force }, `breaker of ${name} set to ${force} by the admin API`);
  return json(200, { upstream: name, force });
}

async function resetQuota({ req, deps, name }: AdminRequest): Promise<AdminResponse> {
  checkIntent(req);
  if ((await requestJson(req))['reset'] !== true) throw new AdminProblem(400, '"reset" must be true');
  if (!deps.resetQuota(name)) throw new AdminProblem(404, `there is no upstream "${name}"`);
  deps.logger.warn(
    { upstream: name },
    `quota of ${name} reset by the admin API: learned limits and counted usage are cleared`,
  );
  return json(200, { upstream: name, reset: true });
}

async function setTarget({ req, deps, name }: AdminRequest): Promise<AdminResponse> {
  checkIntent(req);
  const { target, set } = await requestJson(req);
  if (typeof target !== 'string') throw new AdminProblem(400, '"target" must be the name of a target');
  const place = TARGET_PLACES.find((one) => one === set);
  if (place === undefined) throw new AdminProblem(400, `"set" must be one of ${TARGET_PLACES.join(', ')}`);
  if (!deps.setTarget(name, target, place))
    throw new AdminProblem(404, `there is no target "${target}" of an upstream "${name}"`);
  return json(200, { upstream: name, target, set: place });
}

function isForce(value: unknown): value is BreakerForce {
  return FORCES.some((force) => force === value);
}
