import { MinRate } from '../http/bodies/min-rate.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { ClientRequest } from './client.ts';

export interface BodyWatch {
  readonly clock: Clock;
  readonly idleMs: number;
  readonly minBytesPerSecond: number;
  /** Something waits for the next bytes, and the client owes them. */
  readonly awaited: () => boolean;
  readonly onStall: (error: ProxyError) => void;
}

/**
 * Tells once when a client has sent nothing of its unfinished body for `idleMs` to twice that, although it was not held
 * back, or has sent less than the minimum rate in two such times. Looking now and then costs nothing per chunk.
 * Gives the way to stop watching.
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
