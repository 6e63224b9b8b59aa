/** A place in the queue, for `remove`. */
export interface Place<T> {
  readonly client: string;
  readonly entry: T;
  /** It comes before all others of its client. */
  readonly again: boolean;
}

export interface FairQueueOptions<T> {
  /** Entries of all clients together. */
  readonly capacity: number;
  /**
   * Which entry of a client is served first. `adaptive`: the oldest until the queue is more than half full, then the newest. When not
   * all can be served in time, those that have waited longest are lost anyway ("adaptive LIFO": Maurer, "Fail at Scale",
   * ACM Queue 2015).
   */
  readonly order: 'oldest' | 'adaptive';
  /** Called with an entry that lost its place to an entry of another client. */
  readonly evict: (entry: T) => void;
}

/**
 * A bounded queue in which clients take turns. Where it is full, the client with most places gives one up to a client with
 * fewer: a client that sends a thousand calls keeps no other client out.
 */
export class FairQueue<T> {
  readonly #options: FairQueueOptions<T>;
  /** In the order of turns: a Map keeps it. */
  readonly #lanes = new Map<string, Place<T>[]>();
  #size = 0;

  constructor(options: FairQueueOptions<T>) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** How many that count will be served before one that `client` would add now, where the oldest is served first. */
  ahead(client: string, counts: (entry: T) => boolean): number {
    const mine = this.#counted(this.#lanes.get(client), counts);
    let ahead = 0;
    // All of its own, and of every other client as many as have a turn until then.
    for (const lane of this.#lanes.values()) ahead += Math.min(this.#counted(lane, counts), mine + 1);
    return ahead;
  }

  /** Undefined when full. `again`: it had its turn before, so it comes before all others of its client. */
  push(client: string, entry: T, again: boolean): Place<T> | undefined {
    const lane = this.#lanes.get(client) ?? [];
    if (this.#size >= this.#options.capacity && !this.#makeRoom(lane.length)) return undefined;
    const place = { client, entry, again };
    if (again) lane.unshift(place);
    else lane.push(place);
    this.#lanes.set(client, lane);
    this.#size++;
    return place;
  }

  /**
   * Takes out the first that may go, in the order of turns; its client's next turn comes after those of all others. `may`: `no` lets
   * those behind it go before it, `stop` does not.
   */
  shift(may: (entry: T) => 'yes' | 'no' | 'stop'): T | undefined {
    const newestFirst = this.#newestFirst;
    for (const [client, lane] of this.#lanes) {
      const first = newestFirst ? firstNew(lane) : lane.length;
      for (let turn = 0; turn < lane.length; turn++) {
        const index = turn < first ? turn : lane.length - 1 - (turn - first);
        const { entry } = lane[index] as Place<T>;
        const answer = may(entry);
        if (answer === 'stop') return undefined;
        if (answer === 'no') continue;
        lane.splice(index, 1);
        this.#size--;
        this.#lanes.delete(client);
        if (lane.length > 0) this.#lanes.set(client, lane);
        return entry;
      }
    }
    return undefined;
  }

  /** Does nothing for a place that is no longer in the queue. */
  remove(place: Place<T>): void {
    const lane = this.#lanes.get(place.client);
    const index = lane?.indexOf(place) ?? -1;
    if (lane === undefined || index < 0) return;
    lane.splice(index, 1);
    this.#size--;
    if (lane.length === 0) this.#lanes.delete(place.client);
  }

  /** All, in no particular order. */
  entries(): T[] {
    return [...this.#lanes.values()].flatMap((lane) => lane.map(({ entry }) => entry));
  }

  get #newestFirst(): boolean {
    const { capacity, order } = this.#options;
    return order === 'adaptive' && this.#size * 2 > capacity;
  }

  #counted(lane: readonly Place<T>[] | undefined, counts: (entry: T) => boolean): number {
    let counted = 0;
    for (const { entry } of lane ?? []) if (counts(entry)) counted++;
    return counted;
  }

  /** Evicts what the longest lane would serve last. */
  #makeRoom(mine: number): boolean {
    let longest: Place<T>[] = [];
    for (const lane of this.#lanes.values()) if (lane.length > longest.length) longest = lane;
    if (longest.length <= mine + 1) return false;
    const last = this.#newestFirst ? (longest[firstNew(longest)] ?? longest.at(-1)) : longest.at(-1);
    this.remove(last as Place<T>);
    this.#options.evict((last as Place<T>).entry);
    return true;
  }
}

/** The index behind those that had their turn before. */
function firstNew(lane: readonly Place<unknown>[]): number {
  const index = lane.findIndex(({ again }) => !again);
  return index < 0 ? lane.length : index;
}
