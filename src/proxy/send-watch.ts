import type { Clock, Timer } from '../runtime/clock.ts';
import type { ClientResponse } from './client.ts';
import { ProxyError } from './errors.ts';

export interface SendWatch {
  readonly clock: Clock;
  readonly idleMs: number;
  readonly onStall: (error: ProxyError) => void;
}

/**
 * Tells once when bytes have waited for the client for `idleMs` to twice that, and it took none of them. A client that reads
 * slowly is fine, and so is a stream that has nothing to send. Looking now and then costs nothing per chunk. Gives the way
 * to stop watching.
 */
export function watchSend(res: ClientResponse, { clock, idleMs, onStall }: SendWatch): () => void {
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
        new ProxyError('client_gone', `the client took nothing of the response for ${idleMs} ms`),
      );
    }
    drained = false;
    waiting = left;
    timer = clock.timer(idleMs, look);
  };
  timer = clock.timer(idleMs, look);
  return () => timer.cancel();
}
