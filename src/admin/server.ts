import type { AdminDeps } from './deps.ts';
import { answerDurable, decideDurablePath } from './durable.ts';
import { checkAccess, checkHost } from './access.ts';
import {
  type HttpAddress,
  type HttpServer,
  pathOf,
  type RequestAndResponse,
  serveHttp,
} from './http-server.ts';
import { Live, LIVE_PATH } from './live.ts';
import { isPage, pageFile } from './page.ts';
import type { AdminResponse } from './response.ts';
import { findRoute, OPEN_PATHS, ROUTES } from './routes.ts';

export interface AdminOptions extends HttpAddress {
  /** Undefined is allowed only on a loopback address. */
  readonly token: string | undefined;
  readonly deps: AdminDeps;
}

/** Starts the admin server: metrics, health, state, the monitor page and the operations for operators. */
export function startAdmin({ host, port, token, deps }: AdminOptions): Promise<HttpServer> {
  const context = { token, deps, live: new Live(deps) };
  return serveHttp({ host, port, logger: deps.logger }, (exchange) => answer(exchange, context));
}

interface Context {
  readonly token: string | undefined;
  readonly deps: AdminDeps;
  readonly live: Live;
}

async function answer(
  { req, res }: RequestAndResponse,
  { token, deps, live }: Context,
): Promise<AdminResponse | undefined> {
  const path = pathOf(req);
  if (decideDurablePath(path, deps.durable)) {
    await answerDurable({ req, res }, token, deps.durable);
    return undefined;
  }
  if (path === LIVE_PATH && req.method === 'GET') {
    checkAccess(req, token);
    live.open(res);
    return undefined;
  }
  if (isPage(path)) {
    // A browser cannot send a token when it loads a page. The page contains only public files and asks for the token
    // itself.
    if (token === undefined) checkHost(req.headers.host);
    return pageFile(req.method ?? '', path);
  }
  // Access is checked first, so that strangers do not learn which paths exist.
  if (!OPEN_PATHS.has(path)) checkAccess(req, token);
  const { route, name } = findRoute(ROUTES, req.method ?? '', path);
  return route.handle({ req, deps, name });
}
