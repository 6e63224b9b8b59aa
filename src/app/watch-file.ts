import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock, Timer } from '../runtime/clock.ts';

/** Editors and orchestrators write in several steps, and a certificate with its key in two files; the last one counts. */
const SETTLE_MS = 100;

/**
 * Calls back after one of `files` has changed and all have come to rest. It is the folders that are watched: editors
 * replace a file, and Kubernetes swaps a symbolic link beside it (`..data`), either of which a watch on the file itself
 * would lose.
 */
export class FileWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #watchers: readonly FSWatcher[] = [];
  #settling: Timer | undefined;

  constructor(files: readonly string[], clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.watch(files);
  }

  /** Other files from now on. */
  watch(files: readonly string[]): void {
    this.#closeAll();
    const folders = Map.groupBy(files, (file) => dirname(file));
    this.#watchers = [...folders].map(([folder, inside]) => this.#watchFolder(folder, inside));
  }

  close(): void {
    this.#settling?.cancel();
    this.#closeAll();
  }

  #closeAll(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #watchFolder(folder: string, files: readonly string[]): FSWatcher {
    const names = new Set([...files.map((file) => basename(file)), '..data']);
    const watcher = watch(folder, { persistent: false }, (_event, name) => {
      if (name !== null && !names.has(name)) return;
      this.#settling?.cancel();
      this.#settling = this.#clock.timer(SETTLE_MS, this.#onChange);
    });
    // A folder that goes away takes its watch along; SIGHUP still reloads.
    watcher.on('error', () => watcher.close());
    return watcher;
  }
}
