import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock, Timer } from '../runtime/clock.ts';

/** Editors and orchestrators write in several steps; the last one counts. */
const SETTLE_MS = 100;

/**
 * Calls back after `file` has changed and come to rest. It is the folder that is watched: editors replace the file,
 * and Kubernetes swaps a symbolic link beside it (`..data`), either of which a watch on the file itself would lose.
 */
export function watchFile(file: string, clock: Clock, onChange: () => void): { close(): void } {
  let settling: Timer | undefined;
  const names = new Set([basename(file), '..data']);
  const watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
    if (name !== null && !names.has(name)) return;
    settling?.cancel();
    settling = clock.timer(SETTLE_MS, onChange);
  });
  // A folder that goes away takes its watch along; SIGHUP still reloads.
  watcher.on('error', () => watcher.close());
  return {
    close: () => {
      settling?.cancel();
      watcher.close();
    },
  };
}
