import { Lanes, type May, type Place, type Turn } from './lanes.ts';

export type { Place, Turn } from './lanes.ts';

export interface FairQueueOptions<T> {
  /** Most entries of all clients together. Only entries that were served before are accepted beyond it. */
  readonly capacity: number;
  /**
   * Which entry of a client is served first. `adaptive`: the oldest until the queue is more than half full, then the newest.
   * If not all can be served in time, those that waited longest are lost anyway ("adaptive LIFO": Maurer, "Fail at Scale",
   * ACM Queue 2015).
   */
  readonly order: 'oldest' | 'adaptive';
  /** Called with an entry that was removed in favour of another one. */
  readonly evict: (entry: T) => void;
  /** The cost of an entry, by which classes are compared. Default: each costs 1. */
  readonly costOf?: (entry: T) => number;
}

/** The classes of entries: high, normal, low. */
const newClasses = <T>(): readonly Lanes<T>[] => [new Lanes<T>(), new Lanes<T>(), new Lanes<T>()];

/** Those of each queue in which nothing has waited yet. There is a queue for each credential, and most stay empty. */
const EMPTY = newClasses<never>();

const RANKS = EMPTY.length;

/** Of ten places and of ten units of cost, one is reserved for lower classes, so that none starves. */
const RESERVED = 10;

/**
 * A bounded queue with three classes, in which clients take turns. The highest class is served first. After nine units of cost
 * that passed a lower class, that class has a unit. If the queue is full, an entry replaces one of a lower class, or one of a client
 * with more entries. So neither a higher class nor a client that sends a thousand calls blocks the others.
 */
export class FairQueue<T> {
  /** As in the options at first. Entries beyond a lower one stay. */
  capacity: number;
  readonly #options: FairQueueOptions<T>;
  #classes: readonly Lanes<T>[] = EMPTY as readonly Lanes<T>[];
  /** The cost that was served of higher classes while a lower one waited, less what the lower one got for it. */
  #passed = 0;
  /** Entries served so far, and for each class how many when it had its latest turn. */
  #served = 0;
  readonly #latest: number[] = EMPTY.map(() => 0);

  constructor(options: FairQueueOptions<T>) {
    this.#options = options;
    this.capacity = options.capacity;
  }

  get size(): number {
    let size = 0;
    for (let rank = 0; rank < RANKS; rank++) size += this.#classOf(rank).size;
    return size;
  }

  /** An entry of the highest class that waits: usually the next one; undefined if the queue is empty. */
  get first(): T | undefined {
    return this.#classes.find(({ size }) => size > 0)?.next(false);
  }

  /** About how many entries for which `counts` is true are served before a new one, if the oldest is served first. */
  ahead(turn: Turn, counts: (entry: T) => boolean): number {
    const { rank } = turn;
    const own = this.#classOf(rank).ahead(turn, counts);
    const counted = (all: readonly Lanes<T>[]) =>
      all.flatMap((lanes) => lanes.entries()).filter(counts).length;
    const higher = counted(this.#classes.slice(0, rank));
    const lower = counted(this.#classes.slice(rank + 1));
    const before = own + Math.min(higher, (RESERVED - 1) * (own + 1));
    return before + Math.min(lower, Math.floor(before / (RESERVED - 1)));
  }

  /** Adds an entry; undefined if the queue is full. `again`: it was served before, so it is accepted, and comes before new ones. */
  push(turn: Turn, entry: T, again: boolean): Place<T> | undefined {
    if (!again && this.size >= this.capacity && !this.#makeRoom(turn)) return undefined;
    if (this.#classes === EMPTY) this.#classes = newClasses();
    const place = { turn, entry, again };
    const lanes = this.#classOf(turn.rank);
    // A class that begins to wait has not waited before.
    if (lanes.size === 0) this.#latest[turn.rank] = this.#served;
    lanes.push(place);
    return place;
  }

  /**
   * Removes and returns the first entry that may be served, in the order of classes and turns. `may`: after `no`, later entries are
   * asked; after `stop`, none is.
   */
  shift(may: May<T>): T | undefined {
    const reserved = this.#reserved();
    if (reserved !== undefined) {
      const found = this.#take(reserved, may);
      if (found === 'stop') return undefined;
      if (found !== undefined) return this.#lowered(found);
      // A class that could not use its turn does not save it.
      this.#passed = Math.min(this.#passed, this.#due(reserved));
    }
    for (let rank = 0; rank < RANKS; rank++) {
      const found = this.#take(rank, may);
      if (found === 'stop') return undefined;
      if (found !== undefined) return this.#raised(found);
    }
    return undefined;
  }

  /** Removes an entry. Does nothing if it is no longer in the queue. */
  remove(place: Place<T>): void {
    this.#classOf(place.turn.rank).remove(place);
  }

  /** All entries, in no particular order. */
  entries(): T[] {
    return this.#classes.flatMap((lanes) => lanes.entries());
  }

  get #newestFirst(): boolean {
    return this.#options.order === 'adaptive' && this.size * 2 > this.capacity;
  }

  #classOf(rank: number): Lanes<T> {
    return this.#classes[rank] as Lanes<T>;
  }

  #costOf(entry: T): number {
    return this.#options.costOf?.(entry) ?? 1;
  }

  #take(rank: number, may: May<T>): Place<T> | 'stop' | undefined {
    const lanes = this.#classOf(rank);
    return lanes.size === 0 ? undefined : lanes.shift(may, this.#newestFirst);
  }

  /** The lower class that has waited longest, if it is its turn. */
  #reserved(): number | undefined {
    const waiting = this.#waiting();
    if (waiting.length < 2) return undefined;
    const [, ...lower] = waiting;
    const first = lower.reduce((a, b) => ((this.#latest[b] as number) < (this.#latest[a] as number) ? b : a));
    return this.#passed >= this.#due(first) ? first : undefined;
  }

  #waiting(): number[] {
    const waiting: number[] = [];
    for (let rank = 0; rank < RANKS; rank++) if (this.#classOf(rank).size > 0) waiting.push(rank);
    return waiting;
  }

  /** The cost that has to pass before the next entry of a lower class is served. */
  #due(rank: number): number {
    const next = this.#classOf(rank).next(this.#newestFirst);
    return next === undefined ? Infinity : (RESERVED - 1) * this.#costOf(next);
  }

  /** Counts an entry that was served in the reserved turn of its class. */
  #lowered({ turn, entry }: Place<T>): T {
    this.#latest[turn.rank] = ++this.#served;
    this.#passed -= (RESERVED - 1) * this.#costOf(entry);
    return entry;
  }

  /** Counts an entry that was served in the order of classes. */
  #raised({ turn, entry }: Place<T>): T {
    this.#latest[turn.rank] = ++this.#served;
    const waiting = this.#waiting();
    if (waiting.some((rank) => rank > turn.rank)) this.#passed += this.#costOf(entry);
    else if (!waiting.some((rank) => rank < turn.rank)) this.#passed = 0;
    return entry;
  }

  /** Evicts an entry in favour of a new one. False if the new one has no claim to a place. */
  #makeRoom(turn: Turn): boolean {
    const reserve = Math.floor(this.capacity / RESERVED);
    const lower = this.#classes.slice(turn.rank + 1);
    const below = sizeOf(lower);
    const mine = this.#classOf(turn.rank);
    const newestFirst = this.#newestFirst;
    let last: Place<T> | undefined;
    if (below > reserve) last = lower.findLast(({ size }) => size > 0)?.last(newestFirst);
    else last = mine.inFavourOf(turn, newestFirst);
    if (last === undefined && below + mine.size < reserve)
      last = this.#classes
        .slice(0, turn.rank)
        .find(({ size }) => size > 0)
        ?.last(newestFirst);
    if (last === undefined) return false;
    this.remove(last);
    this.#options.evict(last.entry);
    return true;
  }
}

function sizeOf(classes: readonly Lanes<unknown>[]): number {
  return classes.reduce((size, lanes) => size + lanes.size, 0);
}
