import { threadsRun } from '../runtime/threads.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Io } from './io.ts';

/**
 * Resolves with the exit code when the process is to drain: 0 at the first SIGTERM or SIGINT, 1 after an exception outside
 * any call. A second signal ends the process at once.
 *
 * Such an exception is a bug, and may have left a broken state, so the process must end and be restarted by its supervisor.
 * The running calls did not cause it, so they may finish. Further exceptions while draining are only logged.
 */
export function stopReason(io: Io, logger: Logger): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = () => {
      if (asked) return threadsRun() ? io.killNow() : io.exitNow(1);
      asked = true;
      logger.info({}, 'draining; a second signal ends the process at once');
      resolve(0);
    };
    io.onSignal('SIGTERM', onSignal);
    io.onSignal('SIGINT', onSignal);
    io.onStray((error) => {
      logger.error(
        { error },
        'exception outside any call, which is a bug; draining, then exiting with code 1',
      );
      resolve(1);
    });
  });
}
