import type { Clock, Timer } from '../runtime/clock.ts';
import type { ClientRequest } from './client.ts';
import { ProxyError } from './errors.ts';

export interface BodyWatch {
  readonly clock: Clock;
  readonly idleMs: number;
  readonly onStall: (error: ProxyError) => void;
}

/**
 * Tells once when a client has sent nothing of its unfinished body for `idleMs` to twice that, although it was not held
 * back. Looking now and then costs nothing per chunk. Gives the way to stop watching.
 */
export function watchBody(req: ClientRequest, { clock, idleMs, onStall }: BodyWatch): () => void {
  const { socket } = req;
  let seen = socket.bytesRead;
  let timer: Timer;
  const look = () => {
    if (req.complete) return;
    if (socket.bytesRead === seen && !req.isPaused()) {
      return onStall(new ProxyError('request_timeout', `nothing of the request body came for ${idleMs} ms`));
    }
    seen = socket.bytesRead;
    timer = clock.timer(idleMs, look);
  };
  timer = clock.timer(idleMs, look);
  return () => timer.cancel();
}
