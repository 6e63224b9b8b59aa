/** Something that happens at a moment. Without a callback it was cancelled. */
export interface SimEvent {
  readonly at: number;
  /** Order among events of the same moment. */
  readonly order: number;
  callback: (() => void) | undefined;
}

/** Events by time, then in the order in which they were added: a binary heap. */
export class EventHeap {
  readonly #events: SimEvent[] = [];
  #added = 0;

  push(at: number, callback: () => void): SimEvent {
    const event: SimEvent = { at, order: this.#added++, callback };
    this.#rise(event);
    return event;
  }

  pop(): SimEvent | undefined {
    const first = this.#events[0];
    const last = this.#events.pop();
    if (first !== last && last !== undefined) this.#sink(last);
    return first;
  }

  #rise(event: SimEvent): void {
    const events = this.#events;
    let index = events.length;
    events.push(event);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = events[above];
      if (parent === undefined || isBefore(parent, event)) break;
      events[index] = parent;
      index = above;
    }
    events[index] = event;
  }

  #sink(event: SimEvent): void {
    const events = this.#events;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let next = events[child];
      const right = events[child + 1];
      if (next === undefined) break;
      if (right !== undefined && isBefore(right, next)) {
        next = right;
        child++;
      }
      if (isBefore(event, next)) break;
      events[index] = next;
      index = child;
    }
    events[index] = event;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}
