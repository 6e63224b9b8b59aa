/** A place in the queue, to be kept for `remove`. */
export interface Place<T> {
  readonly entry: T;
  /** On the clock's scale; from this moment on the entry is never taken. */
  readonly leaveBy: number;
}

interface Node<T> extends Place<T> {
  older: Node<T> | undefined;
  newer: Node<T> | undefined;
  queued: boolean;
}

/**
 * A bounded queue, first in, first out, until it is more than half full; then last in, first out: when not all can be
 * served in time, those who have waited longest are the ones who are lost anyway ("adaptive LIFO": Maurer, "Fail at
 * Scale", ACM Queue 2015). Every operation costs the same at any length; leaving from the middle too.
 */
export class WaitQueue<T> {
  readonly #capacity: number;
  #oldest: Node<T> | undefined;
  #newest: Node<T> | undefined;
  #size = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#size;
  }

  /** Undefined when full. */
  push(entry: T, leaveBy: number): Place<T> | undefined {
    if (this.#size >= this.#capacity) return undefined;
    const node: Node<T> = { entry, leaveBy, older: this.#newest, newer: undefined, queued: true };
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.newer = node;
    this.#newest = node;
    this.#size++;
    return node;
  }

  /** The next entry that is still in time at `now`. Those found too late are dropped on the way. */
  take(now: number): T | undefined {
    for (;;) {
      const node = this.#size * 2 > this.#capacity ? this.#newest : this.#oldest;
      if (node === undefined) return undefined;
      this.#unlink(node);
      if (now < node.leaveBy) return node.entry;
    }
  }

  /** Does nothing for a place that is no longer in the queue. */
  remove(place: Place<T>): void {
    const node = place as Node<T>;
    if (node.queued) this.#unlink(node);
  }

  #unlink(node: Node<T>): void {
    node.queued = false;
    this.#size--;
    if (node.older === undefined) this.#oldest = node.newer;
    else node.older.newer = node.newer;
    if (node.newer === undefined) this.#newest = node.older;
    else node.newer.older = node.older;
  }
}
