import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** SQLite's header contains the file size and changes at each checkpoint. */
const HEADER_BYTES = 100;

interface Look {
  readonly inodes: string;
  readonly bytes: number;
  readonly walBytes: number;
  readonly header: Buffer;
}

/**
 * Detects that another program removed, replaced, truncated or overwrote the file or its WAL while this process has
 * them open. SQLite may not notice for hours, because it reads from its cache.
 */
export class TamperCheck {
  readonly #file: string;
  readonly #fd: number;
  #last: Look;

  /** Only for a file whose lock is held. Close it after the database, because closing it releases the locks. */
  constructor(file: string) {
    this.#file = file;
    this.#fd = openSync(file, 'r');
    this.#last = this.#look();
  }

  /** Call this after each own change of the file. */
  remember(): void {
    this.#last = this.#look();
  }

  /** A change by another program since the last check. Undefined without one. */
  problem(): 'replaced' | 'changed' | undefined {
    const now = this.#look();
    const last = this.#last;
    if (now.inodes !== last.inodes) return 'replaced';
    const same = now.bytes >= last.bytes && now.walBytes >= last.walBytes && now.header.equals(last.header);
    return same ? undefined : 'changed';
  }

  close(): void {
    closeSync(this.#fd);
  }

  #look(): Look {
    const file = statSync(this.#file, { throwIfNoEntry: false });
    const wal = statSync(`${this.#file}-wal`, { throwIfNoEntry: false });
    const header = Buffer.alloc(HEADER_BYTES);
    readSync(this.#fd, header, 0, HEADER_BYTES, 0);
    return {
      inodes: `${file?.ino ?? 0} ${wal?.ino ?? 0}`,
      bytes: file?.size ?? 0,
      walBytes: wal?.size ?? 0,
      header,
    };
  }
}
