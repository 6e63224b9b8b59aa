/** Bounds the memory of all buffered bodies together (hazard: 5,000 buffered bodies of 2 MB). */
export class ByteBudget {
  /** In bytes. A lower limit frees no memory by itself. */
  limit: number;
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** Whether the limit is reached. */
  get spent(): boolean {
    return this.#used >= this.limit;
  }

  /** Counts bytes even beyond the limit: they have already arrived and cannot be refused. */
  take(bytes: number): void {
    this.#used += bytes;
  }

  /** Counts bytes if the limit allows it. */
  tryTake(bytes: number): boolean {
    if (this.#used + bytes > this.limit) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}
