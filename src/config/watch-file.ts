import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../runtime/clock.ts';
import { type Digests, digestOf, digestOfNames, patternOf, sameDigests, unreadable } from './read/digests.ts';
import { namesLike } from './read/file-pattern.ts';

/** Interval of polling: a change is noticed within this time. */
const LOOK_MS = 1_000;

/** A change counts once it is stable for this long: editors write in steps, and a certificate and its key are two files. */
const SETTLE_MS = 100;

/** The state of a file at the last poll. */
interface Seen {
  /** Device, inode, size and times. */
  readonly identity: string;
  readonly digest: string;
  /** The content was read again after `identity` was seen, so that no write in the same clock tick is missed. */
  readonly confirmed: boolean;
}

/**
 * Calls back when the content of a file differs from what was loaded, and is stable.
 *
 * It polls instead of using inotify, because lost events cannot be detected. Some files give no events: one that is mounted
 * alone, the target of a symbolic link, one on a network share, and any file on a system without free watches. A file that
 * has not changed costs one `stat` a second, and a pattern of files one listing of its folder.
 */
export class FileWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #seen = new Map<string, Seen>();
  #loaded: Digests;
  #candidate: Digests | undefined;
  #timer: Timer | undefined;
  #closed = false;

  /** `loaded`: digests of the bytes that were loaded. */
  constructor(loaded: Digests, clock: Clock, onChange: () => void) {
    this.#loaded = loaded;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#lookIn(LOOK_MS);
  }

  /** Watches the files of another load, accepted or refused. */
  loaded(digests: Digests): void {
    this.#loaded = digests;
    this.#candidate = undefined;
    for (const path of this.#seen.keys()) if (!digests.has(path)) this.#seen.delete(path);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #lookIn(ms: number): void {
    if (!this.#closed) this.#timer = this.#clock.timer(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    const before = this.#loaded;
    const found = await this.#digests();
    // A reload while the files were read has newer digests: compare with those at the next poll.
    const changed = !this.#closed && this.#loaded === before && !sameDigests(found, before);
    const settled = changed && this.#candidate !== undefined && sameDigests(found, this.#candidate);
    this.#candidate = changed ? found : undefined;
    if (settled) {
      // Even if the reload refuses it: the same content is not tried again.
      this.loaded(found);
      this.#onChange();
    }
    this.#lookIn(changed && !settled ? SETTLE_MS : LOOK_MS);
  }

  async #digests(): Promise<Digests> {
    const digests = new Map<string, string>();
    for (const [path, loaded] of this.#loaded) digests.set(path, await this.#digest(path, loaded));
    return digests;
  }

  async #digest(path: string, loaded: string): Promise<string> {
    const pattern = patternOf(path);
    try {
      if (pattern !== undefined) return digestOfNames(namesLike(pattern, await readdir(dirname(pattern))));
      const file = await stat(path, { bigint: true });
      // A pipe or a device can be read only once.
      if (!file.isFile()) return loaded;
      const identity = [file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs].join();
      const seen = this.#seen.get(path);
      const same = seen?.identity === identity;
      if (same && seen.confirmed) return seen.digest;
      const digest = digestOf(await readFile(path, 'utf8'));
      this.#seen.set(path, { identity, digest, confirmed: same });
      return digest;
    } catch (error) {
      this.#seen.delete(path);
      return unreadable(error);
    }
  }
}
