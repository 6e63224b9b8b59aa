import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** SQLite's own header; it names the file's size, and each checkpoint changes it. */
const HEADER_BYTES = 100;

interface Look {
  readonly inodes: string;
  readonly bytes: number;
  readonly walBytes: number;
  readonly header: Buffer;
}

/**
 * Notices that somebody else has touched the file or its WAL while this process has them open: they were removed, replaced,
 * cut short or written over. SQLite itself may not look at them for hours, for what it needs is in its cache.
 */
export class TamperCheck {
  readonly #file: string;
  readonly #fd: number;
  #last: Look;

  /** Only for a file whose lock is held; to be closed after the database, for closing it ends the locks. */
  constructor(file: string) {
    this.#file = file;
    this.#fd = openSync(file, 'r');
    this.#last = this.#look();
  }

  /** What is there now is our own work. */
  remember(): void {
    this.#last = this.#look();
  }

  /** What has happened since; undefined: nothing. */
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
