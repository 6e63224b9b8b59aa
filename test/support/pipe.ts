import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';

/** Makes a named pipe. A reader waits. `untilRead` resolves once there is a reader, with the descriptor for writing. */
export function makePipe(path: string): { untilRead(): Promise<number> } {
  execFileSync('mkfifo', [path]);
  return { untilRead: () => opened(path) };
}

async function opened(pipe: string): Promise<number> {
  for (;;) {
    try {
      return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
