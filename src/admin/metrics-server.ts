import { isLoopback } from '../http/private-address.ts';
import { checkHost, checkReader } from './access.ts';
import type { AdminDeps } from './deps.ts';
import {
  type HttpAddress,
  type HttpServer,
  pathOf,
  type RequestAndResponse,
  serveHttp,
} from './http-server.ts';
import type { AdminResponse } from './response.ts';
import { findRoute, METRICS_ROUTES, OPEN_PATHS } from './routes.ts';

export interface MetricsOptions extends HttpAddress {
  /** Undefined: each client that reaches the port may read the metrics. */
  readonly token: string | undefined;
}

/** Scrapers and probes have a few each. Strangers who reach the port cannot use up the file descriptors of calls. */
const MOST_CONNECTIONS = 100;

/** Starts the server of `metrics`: /metrics, /healthz and /readyz, and nothing else. It can change nothing. */
export function startMetrics({ token, ...address }: MetricsOptions, deps: AdminDeps): Promise<HttpServer> {
  const options = { ...address, maxConnections: MOST_CONNECTIONS, logger: deps.logger };
  return serveHttp(options, async ({ req }: RequestAndResponse): Promise<AdminResponse> => {
    const path = pathOf(req);
    if (!OPEN_PATHS.has(path)) {
      checkReader(req, token);
      // In a network the name may be anything. On loopback a foreign name comes from a web page by DNS rebinding.
      if (token === undefined && isLoopback(address.host)) checkHost(req.headers.host);
    }
    const { route, name } = findRoute(METRICS_ROUTES, req.method ?? '', path);
    return route.handle({ req, deps, name });
  });
}
