import type { Breakwater } from '../support/breakwater.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { type RawOrigin, startRawOrigin } from '../support/raw-origin.ts';
import { hangBeforeHead, stallAfter } from '../support/raw-steps.ts';

interface Scene {
  readonly client: RawClient;
  readonly origin: RawOrigin;
  readonly proxy: Breakwater;
  readonly clock: FakeClock;
  readonly bodyTimeoutMs: number;
}

/** Faults that a client causes in its own call. The upstream is always released. */
export interface ClientFault {
  readonly fault: string;
  readonly upstream: () => Promise<RawOrigin>;
  readonly act: (scene: Scene) => Promise<void>;
  /** The status it gets, or `nothing`. */
  readonly clientGets: string;
  /** Requests that began at the upstream, and complete ones. */
  readonly upstreamGot: string;
  readonly outcome: string;
  readonly error: string;
}

const GET = 'GET /api/x HTTP/1.1\r\nhost: app\r\n\r\n';
const upload = (framing: string, part: string) =>
  `PUT /api/x HTTP/1.1\r\nhost: app\r\n${framing}\r\n\r\n${part}`;
const CHUNKS = upload('transfer-encoding: chunked', '4\r\npart\r\n');

const silent = () => startRawOrigin(hangBeforeHead());
const midBody = () => startRawOrigin(stallAfter('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart'));

/** Sends a part of an upload, until the upstream has received it. */
async function begin({ client, origin }: Scene): Promise<void> {
  await client.send(CHUNKS);
  await origin.until(({ bytesReceived }) => bytesReceived > 0);
}

export const CLIENT_FAULTS: readonly ClientFault[] = [
  {
    fault: 'leaves before the head of the reply',
    upstream: silent,
    act: async ({ client, origin }) => {
      await client.send(GET);
      await origin.until(({ requests }) => requests.length === 1);
      client.abort();
    },
    clientGets: 'nothing',
    upstreamGot: '1 begun, 1 whole',
    outcome: 'client_gone',
    error: 'client_gone',
  },
  {
    fault: 'closes its side before the head of the reply',
    upstream: silent,
    act: async ({ client, origin }) => {
      await client.send(GET);
      await origin.until(({ requests }) => requests.length === 1);
      client.halfClose();
    },
    clientGets: 'nothing',
    upstreamGot: '1 begun, 1 whole',
    outcome: 'client_gone',
    error: 'client_gone',
  },
  {
    fault: 'leaves in the body of the reply',
    upstream: midBody,
    act: async ({ client }) => {
      await client.send(GET);
      await client.untilText('part');
      client.abort();
    },
    clientGets: '200',
    upstreamGot: '1 begun, 1 whole',
    outcome: 'client_gone',
    error: 'client_gone',
  },
  {
    fault: 'leaves in its own body',
    upstream: silent,
    act: async (scene) => {
      await begin(scene);
      scene.client.abort();
    },
    clientGets: 'nothing',
    upstreamGot: '1 begun, 0 whole',
    outcome: 'client_gone',
    error: 'client_gone',
  },
  {
    fault: 'sends a malformed chunk',
    upstream: silent,
    act: async (scene) => {
      await begin(scene);
      await scene.client.send('zz\r\n');
      await scene.client.untilClosed();
    },
    clientGets: '400',
    upstreamGot: '1 begun, 0 whole',
    outcome: 'failed',
    error: 'bad_request',
  },
  {
    fault: 'falls silent in its own body (body timeout)',
    upstream: silent,
    act: async (scene) => {
      await begin(scene);
      // The attempt has its own timeout; a client's silence must not look like the upstream's.
      await scene.clock.advance(2 * scene.bodyTimeoutMs);
      await scene.client.untilClosed();
    },
    clientGets: '408',
    upstreamGot: '1 begun, 0 whole',
    outcome: 'failed',
    error: 'request_timeout',
  },
];
