/** A worker: an upstream that notes when each call arrives. Its thread does nothing else, so it notes calls in time. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort } from 'node:worker_threads';

/** Milliseconds since the epoch, in order. */
const seen: number[] = [];

const server = createServer({ keepAlive: true }, (incoming, outgoing) => {
  seen.push(performance.timeOrigin + performance.now());
  incoming.resume();
  outgoing.end('ok');
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
parentPort?.once('message', () => {
  parentPort?.postMessage(seen);
  server.closeAllConnections();
  server.close();
});
