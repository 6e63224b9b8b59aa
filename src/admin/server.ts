import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from '../runtime/node-http.ts';
import type { AdminDeps } from './deps.ts';
import { answerDurable, decideDurablePath } from './durable.ts';
import { checkAccess, checkHost } from './access.ts';
import { Live, LIVE_PATH } from './live.ts';
import { isPage, pageFile } from './page.ts';
import { AdminProblem, type AdminResponse } from './response.ts';
import { findRoute, OPEN_PATHS } from './routes.ts';

export interface AdminOptions {
  readonly host: string;
  /** 0 chooses a free port. */
  readonly port: number;
  /** Undefined is allowed only on a loopback address. */
  readonly token: string | undefined;
  readonly deps: AdminDeps;
}

export interface AdminServer {
  /** Without a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** Maximum time for a client to send its request. It closes connections that never finish one. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Starts the admin server: metrics, health, state, the monitor page and the operations for operators. */
export async function startAdmin({ host, port, token, deps }: AdminOptions): Promise<AdminServer> {
  const live = new Live(deps);
  const context = { token, deps, live };
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (req, res) => {
      answer({ req, res }, context)
        .then((response) => response && send(req, res, response))
        .catch((error: unknown) => {
          // Without a handler, the rejection would end the process.
          deps.logger.error({ error, path: pathOf(req) }, 'admin response failed: a bug');
          res.destroy();
        });
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  server.on('error', (error) =>
    deps.logger.warn({ error }, 'the admin server could not accept a connection'),
  );
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address : { address: host, port };
  const name = bound.address.includes(':') ? `[${bound.address}]` : bound.address;
  return {
    url: `http://${name}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface RequestAndResponse {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

interface Context {
  readonly token: string | undefined;
  readonly deps: AdminDeps;
  readonly live: Live;
}

/** Never rejects. Undefined: the response was already sent. */
async function answer(
  { req, res }: RequestAndResponse,
  { token, deps, live }: Context,
): Promise<AdminResponse | undefined> {
  try {
    if (decideDurablePath(pathOf(req), deps.durable)) {
      await answerDurable({ req, res }, token, deps.durable);
      return undefined;
    }
    if (pathOf(req) === LIVE_PATH && req.method === 'GET') {
      checkAccess(req, token);
      live.open(res);
      return undefined;
    }
    return await handle(req, token, deps);
  } catch (error) {
    if (error instanceof AdminProblem) return error.response;
    deps.logger.error({ error, path: pathOf(req) }, 'admin request failed: a bug');
    return new AdminProblem(500, 'internal error, which is a bug; the log has the details').response;
  }
}

async function handle(
  req: IncomingMessage,
  token: string | undefined,
  deps: AdminDeps,
): Promise<AdminResponse> {
  const path = pathOf(req);
  if (isPage(path)) {
    // A browser cannot send a token when it loads a page. The page contains only public files and asks for the token
    // itself.
    if (token === undefined) checkHost(req.headers.host);
    return pageFile(req.method ?? '', path);
  }
  // Access is checked first, so that strangers do not learn which paths exist.
  if (!OPEN_PATHS.has(path)) checkAccess(req, token);
  const { route, name } = findRoute(req.method ?? '', path);
  return route.handle({ req, deps, name });
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? '').split('?', 1)[0] ?? '';
}

async function send(
  req: IncomingMessage,
  res: ServerResponse,
  { status, contentType, body, headers }: AdminResponse,
): Promise<void> {
  if (res.destroyed) return;
  // If the response fails after its head, the connection is cut, so that the response does not look complete.
  if (res.headersSent) return void res.destroy();
  // An unread body would be parsed as the next request.
  if (!req.complete) res.shouldKeepAlive = false;
  res.writeHead(status, {
    'content-type': contentType,
    ...(typeof body === 'string' ? { 'content-length': Buffer.byteLength(body) } : {}),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  if (typeof body === 'string') res.end(body);
  else await sendPieces(res, req.method === 'HEAD' ? [] : body);
}

/** At the client's pace. A client that leaves ends it. */
async function sendPieces(
  res: ServerResponse,
  pieces: AsyncIterable<string> | Iterable<string>,
): Promise<void> {
  for await (const piece of pieces) {
    if (!res.write(piece)) await drained(res);
    if (res.destroyed) return;
  }
  res.end();
}

/** Resolves when `res` takes more, or is closed. */
function drained(res: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  res.once('drain', resolve);
  res.once('close', resolve);
  return promise.finally(() => res.off('drain', resolve).off('close', resolve));
}
