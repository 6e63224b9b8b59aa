import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const RESERVE_BYTES = 8 * 1024 * 1024;

/** Of a small disk no more than this share is kept back. */
const SHARE_OF_DISK = 8;

const CHUNK_BYTES = 256 * 1024;

/** The beginning of attempts leaves this share of the reserve for their ends. */
const FOR_ENDS = 4;

/**
 * Disk space that is kept back beside the store (`store.db-reserve`). On a full disk new requests are refused, and this
 * space is given up piece by piece, so that what was accepted is sent and its end is written. Piece by piece, because other
 * programs may be filling the same disk. It is not synced: a file system counts what was written to it.
 */
export class Reserve {
  readonly #folder: string;
  readonly #fd: number;
  readonly #target: number;
  #size: number;

  /** Writes nothing yet: the store may be another process's. */
  constructor(file: string) {
    this.#folder = dirname(file);
    this.#fd = openSync(`${file}-reserve`, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
    this.#target = Math.min(RESERVE_BYTES, Math.floor(this.#space().total / SHARE_OF_DISK));
  }

  /** Fills it up where the disk has room again, and more than that; false: it is not whole, so nothing new is accepted. */
  refill(): boolean {
    const missing = this.#target - this.#size;
    if (missing <= 0) return true;
    if (this.#space().free < missing + this.#target / 2) return false;
    try {
      // Bytes at random: some file systems keep no zeros.
      const chunk = randomBytes(CHUNK_BYTES);
      while (this.#size < this.#target)
        this.#size += writeSync(this.#fd, chunk, 0, Math.min(CHUNK_BYTES, this.#target - this.#size));
    } catch {
      return false;
    }
    return true;
  }

  /** Gives about `bytes` back to the disk, for the beginning of attempts or for their ends; false: there is nothing left for that. */
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

  /** Where nobody can tell, there is no reserve. */
  #space(): { readonly free: number; readonly total: number } {
    try {
      const { bavail, blocks, bsize } = statfsSync(this.#folder);
      return { free: bavail * bsize, total: blocks * bsize };
    } catch {
      return { free: 0, total: 0 };
    }
  }
}
