/** Bounds the bytes that all calls together keep for replay (hazard: 5 000 kept bodies of 2 MB). */
export class ByteBudget {
  /** In bytes. Lowering it takes nothing back. */
  limit: number;
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  tryTake(bytes: number): boolean {
    if (this.#used + bytes > this.limit) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}
