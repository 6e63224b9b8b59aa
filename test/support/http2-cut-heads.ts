import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Handler } from '../../src/upstream/handler.ts';
import { Http2Connection } from '../../src/upstream/http2-connection.ts';

/*
 * A separate program for `node --expose-gc`: an upstream answers with too many fields, and its connection ends. Garbage is
 * collected after each, so that node frees the session and the stream at once.
 */

const ROUNDS = 10;
const fields = Array.from({ length: 5_000 }, (_, i) => [`x${i}`, '\\~{']);

/** Closed objects are unreachable only after a few turns. */
async function collect(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    globalThis.gc?.();
  }
}

const server = createServer({ maxSendHeaderBlockLength: 1_000_000 });
server.on('stream', (stream: ServerHttp2Stream) => {
  stream.on('error', () => undefined);
  stream.respond(Object.fromEntries([[':status', 200], ...fields]));
  stream.end('ok');
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const { port } = server.address() as AddressInfo;
for (let round = 0; round < ROUNDS; round++) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const connection = new Http2Connection(socket, {
    origin: new URL(`http://127.0.0.1:${port}`),
    clock: systemClock,
    keepAliveMs: 60_000,
    maxAgeMs: 60_000,
    pingTimeoutMs: 60_000,
    onChange: () => undefined,
    onHttp1Required: () => undefined,
  });
  await new Promise<void>((resolve) => {
    const handler: Handler = {
      onRequestStart() {},
      onRequestUpgrade() {},
      onResponseStart() {},
      onResponseData() {},
      onResponseEnd() {},
      onResponseError: () => resolve(),
    };
    connection.dispatch({ method: 'GET', path: '/', headers: [], body: null }, handler);
  });
  connection.session.destroy();
  await collect();
}
process.stdout.write('alive\n');
process.exit(0);
