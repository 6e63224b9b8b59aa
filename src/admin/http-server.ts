import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../runtime/logger.ts';
import { createServer } from '../runtime/node-http.ts';
import { AdminProblem, type AdminResponse } from './response.ts';

export interface HttpAddress {
  readonly host: string;
  /** 0 chooses a free port. */
  readonly port: number;
}

export interface HttpOptions extends HttpAddress {
  /** Further connections are closed at once. Undefined: no limit. */
  readonly maxConnections?: number;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
}

export interface HttpServer {
  /** Without a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

export interface RequestAndResponse {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** Undefined: the response was already sent. An AdminProblem is sent as it is; any other error is a bug. */
type Answer = (exchange: RequestAndResponse) => Promise<AdminResponse | undefined>;

/** Maximum time for a client to send its request. It closes connections that never finish one. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Starts a server for operators. Rejects with the system's error if the address is not available. */
export async function serveHttp(
  { host, port, maxConnections, logger }: HttpOptions,
  answer: Answer,
): Promise<HttpServer> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (req, res) => {
      answered(answer({ req, res }), req, logger)
        .then((response) => response && send(req, res, response))
        .catch((error: unknown) => {
          // Without a handler, the rejection would end the process.
          logger.error({ error, path: pathOf(req) }, 'admin response failed: a bug');
          res.destroy();
        });
    },
  );
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  server.on('error', (error) => logger.warn({ error }, 'the admin server could not accept a connection'));
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

/** Never rejects. */
async function answered(
  answer: ReturnType<Answer>,
  req: IncomingMessage,
  logger: HttpOptions['logger'],
): Promise<AdminResponse | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AdminProblem) return error.response;
    logger.error({ error, path: pathOf(req) }, 'admin request failed: a bug');
    return new AdminProblem(500, 'internal error, which is a bug; the log has the details').response;
  }
}

export function pathOf(req: IncomingMessage): string {
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
