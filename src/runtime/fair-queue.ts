/** An entry in the queue, for `remove`. */
export interface Place<T> {
  readonly client: string;
  readonly entry: T;
  /** The entry was served before, and comes before all new ones of its client. */
  readonly again: boolean;
}

export interface FairQueueOptions<T> {
  /** Most entries of all clients together. Only entries that were served before are accepted beyond it. */
  readonly capacity: number;
  /**
   * Which entry of a client is served first. `adaptive`: the oldest until the queue is more than half full, then the newest.
   * If not all can be served in time, those that waited longest are lost anyway ("adaptive LIFO": Maurer, "Fail at Scale",
   * ACM Queue 2015).
   */
  readonly order: 'oldest' | 'adaptive';
  /** Called with an entry that was removed in favour of another client. */
  readonly evict: (entry: T) => void;
}

/**
 * A bounded queue in which clients take turns. If it is full, a client with fewer entries replaces an entry of the client with
 * most entries. So a client that sends a thousand calls does not block the others.
 */
export class FairQueue<T> {
  readonly #options: FairQueueOptions<T>;
  /** In the order of turns, which is the order of insertion. */
  readonly #lanes = new Map<string, Place<T>[]>();
  #size = 0;

  constructor(options: FairQueueOptions<T>) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** How many entries for which `counts` is true are served before a new one of `client`, if the oldest is served first. */
  ahead(client: string, counts: (entry: T) => boolean): number {
    const mine = this.#counted(this.#lanes.get(client), counts);
    let ahead = 0;
    // All entries of this client, and of every other client as many as have a turn until then.
    for (const lane of this.#lanes.values()) ahead += Math.min(this.#counted(lane, counts), mine + 1);
    return ahead;
  }

  /** Adds an entry; undefined if the queue is full. `again`: it was served before, so it is accepted, and comes before new ones. */
  push(client: string, entry: T, again: boolean): Place<T> | undefined {
    const lane = this.#lanes.get(client) ?? [];
    if (!again && this.#size >= this.#options.capacity && !this.#makeRoom(lane.length)) return undefined;
    const place = { client, entry, again };
    lane.splice(again ? firstNew(lane) : lane.length, 0, place);
    this.#lanes.set(client, lane);
    this.#size++;
    return place;
  }

  /**
   * Removes and returns the first entry that may be served, in the order of turns. The next turn of its client is after those of
   * all others. `may`: after `no`, later entries are asked; after `stop`, none is.
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

  /** Removes an entry. Does nothing if it is no longer in the queue. */
  remove(place: Place<T>): void {
    const lane = this.#lanes.get(place.client);
    const index = lane?.indexOf(place) ?? -1;
    if (lane === undefined || index < 0) return;
    lane.splice(index, 1);
    this.#size--;
    if (lane.length === 0) this.#lanes.delete(place.client);
  }

  /** All entries, in no particular order. */
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

  /** Evicts the entry that the longest lane would serve last. False if no lane is longer than this client's. */
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

/** Index of the first entry that was not served before. */
function firstNew(lane: readonly Place<unknown>[]): number {
  const index = lane.findIndex(({ again }) => !again);
  return index < 0 ? lane.length : index;
}
