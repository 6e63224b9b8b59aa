import { MinRate } from '../http/bodies/min-rate.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { ClientResponse } from './client.ts';

export interface SendWatch {
  readonly clock: Clock;
  readonly idleMs: number;
  readonly minBytesPerSecond: number;
  readonly onStall: (error: ProxyError) => void;
}

/**
 * Watches a response that waits for its client. Calls `onStall` once: after no progress for `idleMs` to 2 × `idleMs`, or
 * after two periods of `idleMs` below the minimum rate. A stream with nothing to send does not stall. Polling adds no cost
 * per chunk. Returns a function that stops the watch.
 */
export function watchSend(
  res: ClientResponse,
  { clock, idleMs, minBytesPerSecond, onStall }: SendWatch,
): () => void {
  const rate = new MinRate(minBytesPerSecond, idleMs, bytesSentOf(res));
  let drained = false;
  let waiting = res.writableLength;
  let timer: Timer;
  res.on('drain', () => {
    drained = true;
  });
  const look = () => {
    const left = res.writableLength;
    if (left > 0 && !drained && waiting > 0 && left >= waiting) {
      return onStall(
        new ProxyError('client_gone', `the client read no bytes of the response for ${idleMs} ms`),
      );
    }
    if (rate.tooSlow(bytesSentOf(res), left > 0 && waiting > 0)) {
      const why = `the client read the response at less than ${minBytesPerSecond} bytes per second`;
      return onStall(new ProxyError('client_gone', why));
    }
    drained = false;
    waiting = left;
    timer = clock.timer(idleMs, look);
  };
  timer = clock.timer(idleMs, look);
  return () => timer.cancel();
}

/** Bytes of the response that have left the process. An HTTP/1.1 connection carries one response at a time. */
function bytesSentOf({ bytesSent, socket }: ClientResponse): number {
  return bytesSent ?? (socket === null ? 0 : socket.bytesWritten - socket.writableLength);
}
