import { MinRate } from '../http/bodies/min-rate.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { ClientRequest } from './client.ts';

export interface BodyWatch {
  readonly clock: Clock;
  readonly idleMs: number;
  readonly minBytesPerSecond: number;
  /** Whether the proxy waits for bytes that the client has not sent. */
  readonly awaited: () => boolean;
  readonly onStall: (error: ProxyError) => void;
}

/**
 * Watches an unfinished request body. Calls `onStall` once: after no byte for `idleMs` to 2 × `idleMs` without
 * back-pressure, or after two periods of `idleMs` below the minimum rate. Polling adds no cost per chunk.
 * Returns a function that stops the watch.
 */
export function watchBody(req: ClientRequest, watch: BodyWatch): () => void {
  const { clock, idleMs, minBytesPerSecond, onStall } = watch;
  const { socket } = req;
  let seen = socket.bytesRead;
  const rate = new MinRate(minBytesPerSecond, idleMs, seen);
  let timer: Timer;
  const look = () => {
    if (req.complete) return;
    if (socket.bytesRead === seen && !req.isPaused()) {
      return onStall(
        new ProxyError('request_timeout', `no bytes of the request body arrived for ${idleMs} ms`),
      );
    }
    seen = socket.bytesRead;
    if (rate.tooSlow(seen, watch.awaited())) {
      const why = `the request body arrived at less than ${minBytesPerSecond} bytes per second`;
      return onStall(new ProxyError('request_timeout', why));
    }
    timer = clock.timer(idleMs, look);
  };
  timer = clock.timer(idleMs, look);
  return () => timer.cancel();
}
