/** Bounds the memory that all bodies together take which are held (hazard: 5 000 kept bodies of 2 MB). */
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

  /** Nothing more can be had. */
  get spent(): boolean {
    return this.#used >= this.limit;
  }

  /** Takes also what is beyond the limit: of what is here already, and cannot be refused. */
  take(bytes: number): void {
    this.#used += bytes;
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
