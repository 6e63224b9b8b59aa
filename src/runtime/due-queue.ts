/** An entry of a `DueQueue`. */
export interface Due {
  /** The queue is in the order of these. */
  readonly dueAt: number;
  /** Its place in the queue, which sets it; -1: it is in none. */
  place: number;
}

/**
 * Entries in the order of their time: a binary heap (Williams 1964). Each entry knows its place, so it is removed without a
 * search. A step costs log n, and no memory.
 */
export class DueQueue<T extends Due> {
  readonly #entries: T[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The earliest entry. */
  get first(): T | undefined {
    return this.#entries[0];
  }

  add(entry: T): void {
    this.#entries.push(entry);
    this.#rise(entry, this.#entries.length - 1);
  }

  /** Does nothing if the entry is not in the queue. */
  remove(entry: T): void {
    const { place } = entry;
    if (place < 0) return;
    entry.place = -1;
    const last = this.#entries.pop() as T;
    if (last === entry) return;
    // The last entry takes the free place, and moves from there to its own.
    this.#rise(last, place);
    this.#sink(last, last.place);
  }

  #rise(entry: T, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#entries[above] as T;
      if (parent.dueAt <= entry.dueAt) break;
      this.#put(parent, place);
      place = above;
    }
    this.#put(entry, place);
  }

  #sink(entry: T, from: number): void {
    let place = from;
    for (;;) {
      const child = this.#earlierChild(place);
      if (child === undefined || child.dueAt >= entry.dueAt) break;
      const next = child.place;
      this.#put(child, place);
      place = next;
    }
    this.#put(entry, place);
  }

  #earlierChild(place: number): T | undefined {
    const left = this.#entries[2 * place + 1];
    const right = this.#entries[2 * place + 2];
    if (left === undefined || right === undefined) return left;
    return right.dueAt < left.dueAt ? right : left;
  }

  #put(entry: T, place: number): void {
    this.#entries[place] = entry;
    entry.place = place;
  }
}
