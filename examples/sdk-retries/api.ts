import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How the API handles its nth request, from 0. */
export type Fault = (nth: number, response: ServerResponse) => void;

export interface FailingApi {
  readonly url: string;
  /** The number of requests that have arrived. */
  readonly requests: number;
  close(): Promise<void>;
}

/** An API on this machine that fails as scripted. */
export async function startApi(fault: Fault): Promise<FailingApi> {
  let requests = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => fault(requests++, response));
    // The reset is intended, so its error is ignored.
    request.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Headers with a short wait that the SDKs of OpenAI and Anthropic obey, so that the example is fast. */
const fail =
  (status: number, headers: Record<string, string> = { 'retry-after-ms': '1' }): Fault =>
  (_nth, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ error: { type: 'api_error', message: `a ${status}, as planned` } }));
  };

const succeed: Fault = (_nth, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ id: 'it_1', object: 'charge', choices: [], content: [] }));
};

export const FAULTS = {
  'answers 503, always': fail(503),
  'answers 429, always': fail(429),
  'asks to wait for an hour (429)': fail(429, { 'retry-after': '3600' }),
  'resets the connection, always': (_nth, response) => void response.socket?.resetAndDestroy(),
  'answers 503 every other time': (nth, response) => (nth % 2 === 0 ? fail(503) : succeed)(nth, response),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;
