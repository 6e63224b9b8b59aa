import { LRUCache } from 'lru-cache';
import { sameCoding, takesCodingOf } from '../../http/codings.ts';
import { headersOf, type RawHeaders } from '../../http/headers.ts';
import { membersOf } from '../../http/lists.ts';
import type { Trailers } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Freshness } from './freshness.ts';
import { type Key, valueOf } from './key.ts';

/** A reply that is kept, whole and as it came. */
export interface Entry {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly chunks: readonly Uint8Array[];
  readonly trailers: Trailers;
  readonly freshness: Freshness;
  /** The Accept-Encoding of its request (`valueOf`). */
  readonly encodings: string | undefined;
  /** The request's fields that the reply depends on, with the values that it was made for (`Vary`). */
  readonly vary: readonly (readonly [name: string, value: string | undefined])[];
}

/** What is kept under one key. */
interface Kept {
  readonly target: string;
  readonly variants: readonly Entry[];
}

/** What an entry takes besides its body: objects, and a string per name and value. */
const ENTRY_BYTES = 1_024;

/** Changes that are remembered: as many as may happen while a reply is on its way. */
const MAX_CHANGES = 10_000;

/** More variants of one reply (`Vary`) than this push out the oldest. */
const MAX_VARIANTS = 8;

/**
 * How a fetch ended for those who wait for it. `kept`: look again; `left`: another may try; `not_kept`: each is on its own;
 * `failed`: so too, unless what is stale will do.
 */
export type FetchResult = 'kept' | 'left' | 'not_kept' | 'failed';
export type Fetched = (result: FetchResult) => void;

/** Kept replies by key, bounded in bytes: the longest unused give way. Also who fetches what right now. */
export class CacheStore {
  readonly #entries: LRUCache<string, Kept>;
  /** The keys of what is kept of a target, whoever the caller. */
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #fetching = new Map<string, Set<Fetched>>();
  /** When each target was last changed, counted in changes. */
  readonly #changed = new LRUCache<string, number>({ max: MAX_CHANGES });
  #changes = 0;

  constructor(memoryBytes: number) {
    this.#entries = new LRUCache({
      maxSize: Math.max(1, memoryBytes),
      sizeCalculation: ({ variants }, id) => variants.reduce((sum, entry) => sum + sizeOf(entry), id.length),
      dispose: ({ target }, id, reason) => {
        if (reason !== 'set') this.#unlist(target, id);
      },
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** What to give `put` for a reply that is asked for now. */
  get changes(): number {
    return this.#changes;
  }

  /** The newest whose request had the same fields, in a coding that the client takes. */
  find({ id }: Key, { headers }: Call): Entry | undefined {
    return this.#entries
      .get(id)
      ?.variants.find(
        (entry) =>
          takes(headers, entry) && entry.vary.every(([name, value]) => valueOf(headers, name) === value),
      );
  }

  /** Takes the place of the one with the same fields and coding, unless what it tells of was changed while it was on its way. */
  put(key: Key, entry: Entry, asked: number): void {
    if ((this.#changed.get(key.target) ?? 0) > asked) return;
    const others = this.#variantsOf(key).filter((other) => !sameVariant(other, entry));
    this.#set(key, [entry, ...others].slice(0, MAX_VARIANTS));
  }

  /** Leaves the other variants. */
  forget(key: Key, entry: Entry): void {
    const others = this.#variantsOf(key).filter((other) => other !== entry);
    if (others.length > 0) this.#set(key, others);
    else this.#entries.delete(key.id);
  }

  /** Something has changed the target, for all callers (RFC 9111 §4.4); what is on its way may tell of the time before. */
  drop(target: string): void {
    this.#changed.set(target, ++this.#changes);
    for (const id of this.#keysOf.get(target) ?? []) this.#entries.delete(id);
  }

  /** For the first, who is to call what it gets; undefined for the others, who may wait for that by `onFetched`. */
  beginFetch({ id }: Key): Fetched | undefined {
    if (this.#fetching.has(id)) return undefined;
    const waiting = new Set<Fetched>();
    this.#fetching.set(id, waiting);
    return (result) => {
      if (this.#fetching.get(id) !== waiting) return;
      this.#fetching.delete(id);
      for (const wake of waiting) wake(result);
    };
  }

  /** Waits for the fetch that runs, for half of the call's time at most: one that hangs is not to take all with it. */
  untilFetched({ id }: Key, { signal, deadline }: Attempt, clock: Clock): Promise<FetchResult> {
    const waiting = this.#fetching.get(id);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const end = () => {
        waiting?.delete(onFetched);
        signal.off(onAbort);
        timer.cancel();
      };
      const onFetched: Fetched = (result) => {
        end();
        resolve(result);
      };
      const onAbort = () => {
        end();
        reject(signal.reason as Error);
      };
      const timer = clock.timer(Math.max(0, (deadline - clock.now()) / 2), () => onFetched('not_kept'));
      waiting?.add(onFetched);
      signal.on(onAbort);
    });
  }

  #variantsOf({ id }: Key): readonly Entry[] {
    return this.#entries.peek(id)?.variants ?? [];
  }

  #set({ id, target }: Key, variants: readonly Entry[]): void {
    this.#entries.set(id, { target, variants });
    // What is larger than all memory is not taken.
    if (this.#entries.has(id)) this.#list(target, id);
    else this.#unlist(target, id);
  }

  #list(target: string, id: string): void {
    const ids = this.#keysOf.get(target);
    if (ids === undefined) this.#keysOf.set(target, new Set([id]));
    else ids.add(id);
  }

  #unlist(target: string, id: string): void {
    const ids = this.#keysOf.get(target);
    if (ids?.delete(id) === true && ids.size === 0) this.#keysOf.delete(target);
  }
}

/** What `Vary` names, as this request has it; undefined when no other request can be the same (`*`). */
export function varyOf(headers: RawHeaders, call: Call): Entry['vary'] | undefined {
  const members = headersOf(headers, 'vary').flatMap(membersOf);
  const names = new Set(members.map((name) => name.toLowerCase()));
  return names.has('*') ? undefined : [...names].map((name) => [name, valueOf(call.headers, name)] as const);
}

/** Some APIs send a coding that nobody asked for: to the same request they would send it again. */
const takes = (headers: RawHeaders, entry: Entry): boolean =>
  takesCodingOf(headers, entry.headers) || valueOf(headers, 'accept-encoding') === entry.encodings;

function sameVariant(a: Entry, b: Entry): boolean {
  const sameFields = a.vary.every(([name, value], i) => b.vary[i]?.[0] === name && b.vary[i][1] === value);
  return sameFields && a.vary.length === b.vary.length && sameCoding(a.headers, b.headers);
}

function sizeOf({ chunks, headers, vary }: Entry): number {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const texts = [...headers, ...vary.flat(), ''];
  return texts.reduce<number>((sum, text) => sum + (text?.length ?? 0), bytes + ENTRY_BYTES);
}
