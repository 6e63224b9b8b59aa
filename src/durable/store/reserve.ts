import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const RESERVE_BYTES = 8 * 1024 * 1024;

/** The reserve takes at most 1/8 of the disk. */
const SHARE_OF_DISK = 8;

const CHUNK_BYTES = 256 * 1024;

/** Attempts may begin until 1/4 of the reserve is left, which is for their results. */
const FOR_ENDS = 4;

/**
 * Disk space reserved next to the store (`store.db-reserve`). On a full disk new requests are refused, and the reserve
 * is released in pieces for the accepted ones. Pieces, because other programs may be filling the disk. It is not
 * synced: the file system counts written bytes anyway.
 */
export class Reserve {
  readonly #folder: string;
  readonly #fd: number;
  readonly #target: number;
  #size: number;

  /** Writes nothing yet, because another process may hold the store. */
  constructor(file: string) {
    this.#folder = dirname(file);
    this.#fd = openSync(`${file}-reserve`, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
    this.#target = Math.min(RESERVE_BYTES, Math.floor(this.#space().total / SHARE_OF_DISK));
  }

  /**
   * Fills the reserve if the disk has room for it and half of it more. False: the reserve is not full, so new
   * requests are refused.
   */
  refill(): boolean {
    const missing = this.#target - this.#size;
    if (missing <= 0) return true;
    if (this.#space().free < missing + this.#target / 2) return false;
    try {
      // Random bytes, because some file systems do not store zeros.
      const chunk = randomBytes(CHUNK_BYTES);
      while (this.#size < this.#target)
        this.#size += writeSync(this.#fd, chunk, 0, Math.min(CHUNK_BYTES, this.#target - this.#size));
    } catch {
      return false;
    }
    return true;
  }

  /** Releases about `bytes` of the reserve for the given purpose. False: nothing is left for it. */
  draw(bytes: number, purpose: 'begin' | 'finish'): boolean {
    const floor = purpose === 'begin' ? Math.floor(this.#target / FOR_ENDS) : 0;
    if (this.#size <= floor) return false;
    this.#size = Math.max(floor, this.#size - Math.max(bytes, CHUNK_BYTES));
    ftruncateSync(this.#fd, this.#size);
    return true;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Zero if the file system reports no figures; there is no reserve then. */
  #space(): { readonly free: number; readonly total: number } {
    try {
      const { bavail, blocks, bsize } = statfsSync(this.#folder);
      return { free: bavail * bsize, total: blocks * bsize };
    } catch {
      return { free: 0, total: 0 };
    }
  }
}
