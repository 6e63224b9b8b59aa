/** The sender of an entry, by which entries take turns. */
export interface Turn {
  readonly client: string;
  /** A part of the client, such as a tenant. The parts of a client share its turns, and take turns for them. '' if it has none. */
  readonly part: string;
  /** The class of the entry; 0 is served first. */
  readonly rank: number;
}

/** An entry in the queue. */
export interface Place<T> {
  readonly turn: Turn;
  readonly entry: T;
  /** The entry was served before, and comes before all new ones of its lane. */
  readonly again: boolean;
}

/** Whether an entry may be served. After `no`, later entries are asked; after `stop`, none is. */
export type May<T> = (entry: T) => 'yes' | 'no' | 'stop';

/** The entries of one part of a client. */
type Lane<T> = Place<T>[];

/** The entries of one class, in which clients take turns, and the parts of each client. */
export class Lanes<T> {
  /** By client, then by part. Both are in the order of turns, which is the order of insertion. */
  readonly #clients = new Map<string, Map<string, Lane<T>>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many entries for which `counts` is true are served before a new one, if the oldest is served first. */
  ahead({ client, part }: Turn, counts: (entry: T) => boolean): number {
    const own = this.#clients.get(client);
    const counted = (lane: Lane<T>) => lane.reduce((sum, { entry }) => sum + Number(counts(entry)), 0);
    const mine = counted(own?.get(part) ?? []);
    let inClient = 0;
    // All entries of this part, and of every other one as many as have a turn until then. The same holds for clients.
    for (const lane of own?.values() ?? []) inClient += Math.min(counted(lane), mine + 1);
    let ahead = 0;
    for (const parts of this.#clients.values()) {
      if (parts === own) ahead += inClient;
      else ahead += Math.min([...parts.values()].map(counted).reduce(sum, 0), inClient + 1);
    }
    return ahead;
  }

  push(place: Place<T>): void {
    const { client, part } = place.turn;
    const parts = this.#clients.get(client) ?? new Map<string, Lane<T>>();
    const lane = parts.get(part) ?? [];
    lane.splice(place.again ? firstNew(lane) : lane.length, 0, place);
    parts.set(part, lane);
    this.#clients.set(client, parts);
    this.#size++;
  }

  /** Removes and returns the first entry that may be served, in the order of turns. Its client and its part then have the last turn. */
  shift(may: May<T>, newestFirst: boolean): Place<T> | 'stop' | undefined {
    for (const place of this.#inTurn(newestFirst)) {
      const answer = may(place.entry);
      if (answer === 'stop') return 'stop';
      if (answer === 'no') continue;
      this.remove(place);
      this.#moveBack(place.turn);
      return place;
    }
    return undefined;
  }

  /** The entry with the next turn. */
  next(newestFirst: boolean): T | undefined {
    for (const { entry } of this.#inTurn(newestFirst)) return entry;
    return undefined;
  }

  /** Removes an entry. False if it is no longer here. */
  remove(place: Place<T>): boolean {
    const { client, part } = place.turn;
    const parts = this.#clients.get(client);
    const lane = parts?.get(part);
    const index = lane?.indexOf(place) ?? -1;
    if (parts === undefined || lane === undefined || index < 0) return false;
    lane.splice(index, 1);
    this.#size--;
    if (lane.length === 0) parts.delete(part);
    if (parts.size === 0) this.#clients.delete(client);
    return true;
  }

  /**
   * The entry that makes room for a new one: of the client with most entries, or else of the longest part of the same client.
   * Undefined if neither has more entries than that of the new one would have.
   */
  inFavourOf({ client, part }: Turn, newestFirst: boolean): Place<T> | undefined {
    const own = this.#clients.get(client);
    const longest = this.#longestClient();
    if (countOf(longest) > countOf(own) + 1) return lastOf(longestLane(longest), newestFirst);
    const lane = longestLane(own);
    return lane.length > (own?.get(part)?.length ?? 0) + 1 ? lastOf(lane, newestFirst) : undefined;
  }

  /** The entry of the client with most entries that is served last. */
  last(newestFirst: boolean): Place<T> | undefined {
    return lastOf(longestLane(this.#longestClient()), newestFirst);
  }

  entries(): T[] {
    return [...this.#inTurn(false)].map(({ entry }) => entry);
  }

  *#inTurn(newestFirst: boolean): Generator<Place<T>> {
    for (const parts of this.#clients.values()) {
      for (const lane of parts.values()) {
        const first = newestFirst ? firstNew(lane) : lane.length;
        for (let turn = 0; turn < lane.length; turn++)
          yield lane[turn < first ? turn : lane.length - 1 - (turn - first)] as Place<T>;
      }
    }
  }

  #moveBack({ client, part }: Turn): void {
    const parts = this.#clients.get(client);
    if (parts === undefined) return;
    this.#clients.delete(client);
    this.#clients.set(client, parts);
    const lane = parts.get(part);
    if (lane === undefined) return;
    parts.delete(part);
    parts.set(part, lane);
  }

  #longestClient(): ReadonlyMap<string, Lane<T>> | undefined {
    let longest: ReadonlyMap<string, Lane<T>> | undefined;
    for (const parts of this.#clients.values()) if (countOf(parts) > countOf(longest)) longest = parts;
    return longest;
  }
}

const sum = (a: number, b: number): number => a + b;

function countOf(parts: ReadonlyMap<string, Lane<unknown>> | undefined): number {
  let count = 0;
  for (const lane of parts?.values() ?? []) count += lane.length;
  return count;
}

function longestLane<T>(parts: ReadonlyMap<string, Lane<T>> | undefined): Lane<T> {
  let longest: Lane<T> = [];
  for (const lane of parts?.values() ?? []) if (lane.length > longest.length) longest = lane;
  return longest;
}

function lastOf<T>(lane: Lane<T>, newestFirst: boolean): Place<T> | undefined {
  return newestFirst ? (lane[firstNew(lane)] ?? lane.at(-1)) : lane.at(-1);
}

/** Index of the first entry that was not served before. */
function firstNew(lane: Lane<unknown>): number {
  const index = lane.findIndex(({ again }) => !again);
  return index < 0 ? lane.length : index;
}
