const SECOND_MS = 1000;

/** Events per second: the higher count of the current second and the one before. Memory does not grow with the count. */
export class Throughput {
  #second = -Infinity;
  #count = 0;
  #before = 0;

  count(now: number): void {
    this.#roll(now);
    this.#count++;
  }

  perSecond(now: number): number {
    this.#roll(now);
    return Math.max(this.#count, this.#before);
  }

  #roll(now: number): void {
    const second = Math.floor(now / SECOND_MS);
    if (second === this.#second) return;
    this.#before = second === this.#second + 1 ? this.#count : 0;
    this.#second = second;
    this.#count = 0;
  }
}
