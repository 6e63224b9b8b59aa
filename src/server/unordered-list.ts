/** An entry that knows its place. */
export interface ListEntry {
  index: number;
}

/**
 * The calls that run, in no order. Not a Set: each time its table is made anew, V8 links the old one to the new, and the
 * old one still holds the entries of its day. Where entries come and go by the thousand, these dead tables form a chain
 * that keeps nearly every one of them alive until a full collection, which cost a third of the proxy's CPU time.
 */
export class UnorderedList<T extends ListEntry> {
  readonly #entries: T[] = [];

  get size(): number {
    return this.#entries.length;
  }

  add(entry: T): void {
    entry.index = this.#entries.length;
    this.#entries.push(entry);
  }

  /** The last entry takes the place that becomes free. */
  delete(entry: T): void {
    const last = this.#entries.pop();
    if (last === undefined || last === entry) return;
    last.index = entry.index;
    this.#entries[entry.index] = last;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#entries.slice()[Symbol.iterator]();
  }
}
