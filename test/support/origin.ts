import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { Changes } from './changes.ts';

/** One request as the origin received it. `body` grows while it arrives. */
export interface RecordedRequest {
  readonly method: string;
  /** The target byte for byte. */
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** The body has arrived whole. */
  readonly complete: boolean;
  /** Whether the exchange has ended, completely or by a disconnect. */
  readonly closed: boolean;
  /** The number of its connection, from 1. */
  readonly connection: number;
}

export interface OriginExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Reads the body to its end and records it; until it is called nothing is read. */
  readonly body: () => Promise<Buffer>;
}

/** How the origin handles one request. */
export type Step = (exchange: OriginExchange) => void | Promise<void>;

/** Answers after the request body has arrived. */
export function status(code: number, headers: OutgoingHttpHeaders = {}, body: string | Buffer = ''): Step {
  return async ({ response, body: wholeBody }) => {
    await wholeBody();
    response.writeHead(code, headers).end(body);
  };
}

export function ok(body: string | Buffer = 'ok', headers: OutgoingHttpHeaders = {}): Step {
  return status(200, headers, body);
}

/** Answers at the request's head, with its body unread. */
export function early(code: number, headers: OutgoingHttpHeaders = {}, body: string | Buffer = ''): Step {
  return ({ response }) => void response.writeHead(code, headers).end(body);
}

/** Reads the request and never answers. */
export function hang(): Step {
  return async ({ body }) => void (await body());
}

/** Reads the request and resets the connection. */
export function reset(): Step {
  return async ({ request, body }) => {
    await body();
    request.socket.resetAndDestroy();
  };
}

export interface Origin {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly RecordedRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  readonly openConnections: number;
  /** Resolves as soon as `condition` holds; it is asked again at each request, body chunk, end and connection. */
  until(condition: (origin: Origin) => boolean): Promise<void>;
  /** Resolves once `count` requests have arrived. */
  untilRequests(count: number): Promise<void>;
  /** Closes everything. Called automatically at the end of the test. */
  close(): Promise<void>;
}

/** A scripted `node:http` server on a free port: one step per request in order of arrival, the last repeats. */
export async function startOrigin(...steps: readonly Step[]): Promise<Origin> {
  const script = steps.length === 0 ? [ok()] : steps;
  const changes = new Changes();
  const requests: RecordedRequest[] = [];
  const sockets = new Map<object, number>();
  const failures: unknown[] = [];
  let connections = 0;

  // A test must fail by its assertions, not by a timeout of node:http.
  const server = createServer(
    { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
    (request, response) => {
      const step = script[Math.min(requests.length, script.length - 1)] ?? ok();
      const exchange = record(request, response, {
        requests,
        changes,
        connection: sockets.get(request.socket) ?? 0,
      });
      const run = async () => step(exchange);
      run().catch((error: unknown) => {
        failures.push(error);
        request.socket.destroy();
      });
    },
  );
  server.on('connection', (socket) => {
    sockets.set(socket, ++connections);
    changes.notify();
    socket.once('close', () => {
      sockets.delete(socket);
      changes.notify();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const origin: Origin = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
    until: (condition) => changes.until(() => condition(origin)),
    untilRequests: (count) => changes.until(() => requests.length >= count),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      if (failures.length > 0) throw new AggregateError(failures.splice(0), 'a step of the origin failed');
    },
  };
  onTestFinished(() => origin.close());
  return origin;
}

interface Recorder {
  readonly requests: RecordedRequest[];
  readonly changes: Changes;
  readonly connection: number;
}

function record(request: IncomingMessage, response: ServerResponse, recorder: Recorder): OriginExchange {
  const chunks: Buffer[] = [];
  let closed = false;
  recorder.requests.push({
    method: request.method ?? '',
    url: request.url ?? '',
    rawHeaders: [...request.rawHeaders],
    headers: request.headers,
    connection: recorder.connection,
    get body() {
      return Buffer.concat(chunks);
    },
    get complete() {
      return request.complete;
    },
    get closed() {
      return closed;
    },
  });
  response.once('close', () => {
    closed = true;
    recorder.changes.notify();
  });
  recorder.changes.notify();

  let whole: Promise<Buffer> | undefined;
  const read = () =>
    new Promise<Buffer>((resolve) => {
      request.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        recorder.changes.notify();
      });
      request.once('end', () => {
        recorder.changes.notify();
        resolve(Buffer.concat(chunks));
      });
      // A body that never ends is not the step's mistake: the step simply goes no further.
      request.on('error', () => undefined);
    });
  return { request, response, body: () => (whole ??= read()) };
}
