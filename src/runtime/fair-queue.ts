/** A place in the queue, to be kept for `remove`. */
export interface Place<T> {
  readonly client: string;
  readonly entry: T;
}

/**
 * A bounded queue that is first in, first out for each client and takes turns between clients. Where it is full, the client
 * with most places gives one up to a client with fewer: who sends a thousand calls keeps nobody else out.
 */
export class FairQueue<T> {
  readonly #capacity: number;
  /** In the order of turns: a Map keeps it. */
  readonly #lanes = new Map<string, Place<T>[]>();
  readonly #evict: (entry: T) => void;
  #size = 0;

  /** `evict` is told of an entry that lost its place. */
  constructor(capacity: number, evict: (entry: T) => void) {
    this.#capacity = capacity;
    this.#evict = evict;
  }

  get size(): number {
    return this.#size;
  }

  /** How many that count will be served before one that `client` would add now. */
  ahead(client: string, counts: (entry: T) => boolean): number {
    const mine = this.#counted(this.#lanes.get(client), counts);
    let ahead = 0;
    // All of its own, and of every other client as many as have a turn until then.
    for (const lane of this.#lanes.values()) ahead += Math.min(this.#counted(lane, counts), mine + 1);
    return ahead;
  }

  /** Undefined when full. `again`: it has had its turn and was called back, so it comes before all others of its client. */
  push(client: string, entry: T, again: boolean): Place<T> | undefined {
    const lane = this.#lanes.get(client) ?? [];
    if (this.#size >= this.#capacity && !this.#makeRoom(lane.length)) return undefined;
    const place = { client, entry };
    if (again) lane.unshift(place);
    else lane.push(place);
    this.#lanes.set(client, lane);
    this.#size++;
    return place;
  }

  /**
   * Takes out the first that may go, in the order of turns; its client's next turn comes after everybody else's. `may`: `no` lets those
   * behind it go before it, `stop` does not.
   */
  shift(may: (entry: T) => 'yes' | 'no' | 'stop'): T | undefined {
    for (const [client, lane] of this.#lanes) {
      for (const [index, { entry }] of lane.entries()) {
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

  #counted(lane: readonly Place<T>[] | undefined, counts: (entry: T) => boolean): number {
    let counted = 0;
    for (const { entry } of lane ?? []) if (counts(entry)) counted++;
    return counted;
  }

  #makeRoom(mine: number): boolean {
    let longest: Place<T>[] = [];
    for (const lane of this.#lanes.values()) if (lane.length > longest.length) longest = lane;
    const place = longest.length > mine + 1 ? longest.at(-1) : undefined;
    if (place === undefined) return false;
    this.remove(place);
    this.#evict(place.entry);
    return true;
  }
}
