import type { Logger } from '../runtime/logger.ts';
import type { Io } from './io.ts';

/**
 * Settles with the exit code when it is time to drain: 0 at the first SIGTERM or SIGINT (whoever sends a second one means
 * it), 1 after an exception outside any call.
 *
 * Such an exception is a bug that has left nobody knows what state behind, so the process does not go on with it; but
 * the calls that run had no part in it, so they end well, and a supervisor starts anew. What follows while draining
 * is logged and changes nothing.
 */
export function stopReason(io: Io, logger: Logger): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = () => {
      if (asked) return io.exitNow(1);
      asked = true;
      logger.info({}, 'draining; a second signal stops at once');
      resolve(0);
    };
    io.onSignal('SIGTERM', onSignal);
    io.onSignal('SIGINT', onSignal);
    io.onStray((error) => {
      logger.error({ error }, 'an exception outside any call: a bug; draining, then exit with 1');
      resolve(1);
    });
  });
}
