import { LRUCache } from 'lru-cache';
import { acceptedCodings, type AcceptedCodings } from '../../http/codings.ts';
import { headersOf, type RawHeaders } from '../../http/headers.ts';
import { membersOf } from '../../http/lists.ts';
import type { Trailers } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Freshness } from './freshness.ts';
import { type Key, valueOf } from './key.ts';

/** A cached reply, complete and unchanged. */
export interface Entry {
  readonly status: number;
  readonly statusText: string;
  /** Without Age. */
  readonly headers: RawHeaders;
  /** The content codings of its body. */
  readonly codings: readonly string[];
  readonly chunks: readonly Uint8Array[];
  readonly trailers: Trailers;
  readonly freshness: Freshness;
  /** The Accept-Encoding of its request. */
  readonly encodings: AcceptedCodings['text'];
  /** The request fields that the reply depends on (`Vary`), with their values in its request. */
  readonly vary: readonly (readonly [name: string, value: string | undefined])[];
}

/** The cached replies of one key. */
interface Variants {
  readonly target: string;
  readonly variants: readonly Entry[];
}

/** Without it, lru-cache makes an object for the options of each look-up. */
const PLAINLY = {};

/** Bytes of an entry in addition to its body: objects, and a string per name and value. */
const ENTRY_BYTES = 1_024;

/** The most changes that are remembered: as many as may happen while a reply is on its way. */
const MAX_CHANGES = 10_000;

/** The most variants of one reply (`Vary`). The oldest one is evicted first. */
const MAX_VARIANTS = 8;

/**
 * The end of a fetch, for the calls that wait for it. `cached`: they look again. `left`: its client left, so another call may
 * fetch. `not_cached`: each fetches alone. `failed`: each fetches alone, unless a stale reply may be served.
 */
export type FetchResult = 'cached' | 'left' | 'not_cached' | 'failed';
export type Fetched = (result: FetchResult) => void;

/** Cached replies by key, bounded in bytes; the least recently used are evicted. Also the fetches that are running. */
export class CacheStore {
  readonly #entries: LRUCache<string, Variants>;
  /** The keys of a target's replies, of all callers. */
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #fetching = new Map<string, Set<Fetched>>();
  /** The number of changes at the last change of each target. */
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

  /** The number of changes so far. Pass it to `put` as it was when the request left. */
  get changes(): number {
    return this.#changes;
  }

  /** The newest reply whose request had the same fields, in a coding that the client accepts. */
  find({ id }: Key, { headers }: Call): Entry | undefined {
    const accepted = acceptedCodings(headers);
    return this.#entries
      .get(id, PLAINLY)
      ?.variants.find((entry) => takes(accepted, entry) && hasFields(headers, entry));
  }

  /** Replaces the reply with the same fields and coding, unless the target was changed while the new one was on its way. */
  put(key: Key, entry: Entry, asked: number): void {
    if ((this.#changed.get(key.target) ?? 0) > asked) return;
    const others = this.#variantsOf(key).filter((other) => !sameVariant(other, entry));
    this.#set(key, [entry, ...others].slice(0, MAX_VARIANTS));
  }

  /** Removes one variant. */
  forget(key: Key, entry: Entry): void {
    const others = this.#variantsOf(key).filter((other) => other !== entry);
    if (others.length > 0) this.#set(key, others);
    else this.#entries.delete(key.id);
  }

  /** Invalidates the target for all callers (RFC 9111 §4.4), and replies on their way, which may be from before the change. */
  drop(target: string): void {
    this.#changed.set(target, ++this.#changes);
    for (const id of this.#keysOf.get(target) ?? []) this.#entries.delete(id);
  }

  /** Returns the function that the first call must call when its fetch has ended. Undefined for other calls: see `untilFetched`. */
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

  /** Waits for the running fetch, for half of the call's time at most. A fetch that hangs must not use up that time. */
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
      const timer = clock.timer(Math.max(0, (deadline - clock.now()) / 2), () => onFetched('not_cached'));
      waiting?.add(onFetched);
      signal.on(onAbort);
    });
  }

  #variantsOf({ id }: Key): readonly Entry[] {
    return this.#entries.peek(id)?.variants ?? [];
  }

  #set({ id, target }: Key, variants: readonly Entry[]): void {
    this.#entries.set(id, { target, variants });
    // An entry larger than all memory is not stored.
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

/** The fields that `Vary` names, with their values in this request; undefined if no other request can match (`*`). */
export function varyOf(headers: RawHeaders, call: Call): Entry['vary'] | undefined {
  const members = headersOf(headers, 'vary').flatMap(membersOf);
  const names = new Set(members.map((name) => name.toLowerCase()));
  return names.has('*') ? undefined : [...names].map((name) => [name, valueOf(call.headers, name)] as const);
}

/** Whether the client accepts the coding. Some APIs send a coding that was not asked for; a repeat of the request gets it again. */
const takes = (accepted: AcceptedCodings, { codings, encodings }: Entry): boolean =>
  accepted.text === encodings || accepted.takes(codings);

/** Whether a request has the fields that the reply depends on. */
const hasFields = (headers: RawHeaders, { vary }: Entry): boolean =>
  vary.every(([name, value]) => valueOf(headers, name) === value);

function sameVariant(a: Entry, b: Entry): boolean {
  const sameFields = a.vary.every(([name, value], i) => b.vary[i]?.[0] === name && b.vary[i][1] === value);
  return sameFields && a.vary.length === b.vary.length && a.codings.join() === b.codings.join();
}

function sizeOf({ chunks, headers, vary }: Entry): number {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const texts = [...headers, ...vary.flat(), ''];
  return texts.reduce<number>((sum, text) => sum + (text?.length ?? 0), bytes + ENTRY_BYTES);
}
