import { LRUCache } from 'lru-cache';
import { headersOf, type RawHeaders } from '../../http/headers.ts';
import type { Trailers } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Freshness } from './freshness.ts';

/** A reply that is kept, whole and as it came. */
export interface Entry {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly chunks: readonly Uint8Array[];
  readonly trailers: Trailers;
  readonly freshness: Freshness;
  /** The request's fields that the reply depends on, with the values that it was made for (`Vary`). */
  readonly vary: readonly (readonly [name: string, value: string | undefined])[];
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
  readonly #entries: LRUCache<string, readonly Entry[]>;
  readonly #fetching = new Map<string, Set<Fetched>>();
  /** When each target was last changed, counted in changes. */
  readonly #changed = new LRUCache<string, number>({ max: MAX_CHANGES });
  #changes = 0;

  constructor(memoryBytes: number) {
    this.#entries = new LRUCache({
      maxSize: Math.max(1, memoryBytes),
      sizeCalculation: (variants, key) => variants.reduce((sum, entry) => sum + sizeOf(entry), key.length),
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** What to give `put` for a reply that is asked for now. */
  get changes(): number {
    return this.#changes;
  }

  /** The newest whose request had the same fields. */
  find(key: string, { headers }: Call): Entry | undefined {
    return this.#entries
      .get(key)
      ?.find(({ vary }) => vary.every(([name, value]) => valueOf(headers, name) === value));
  }

  /** Takes the place of the one with the same fields, unless what it tells of was changed while it was on its way. */
  put(key: string, entry: Entry, asked: number): void {
    if ((this.#changed.get(key) ?? 0) > asked) return;
    const others = (this.#entries.peek(key) ?? []).filter(({ vary }) => !sameVary(vary, entry.vary));
    this.#entries.set(key, [entry, ...others].slice(0, MAX_VARIANTS));
  }

  /** Leaves the other variants. */
  forget(key: string, entry: Entry): void {
    const others = (this.#entries.peek(key) ?? []).filter((other) => other !== entry);
    if (others.length > 0) this.#entries.set(key, others);
    else this.#entries.delete(key);
  }

  /** Something has changed what is kept; what is on its way may tell of the time before. */
  drop(key: string): void {
    this.#changed.set(key, ++this.#changes);
    this.#entries.delete(key);
  }

  /** For the first, who is to call what it gets; undefined for the others, who may wait for that by `onFetched`. */
  beginFetch(key: string): Fetched | undefined {
    if (this.#fetching.has(key)) return undefined;
    const waiting = new Set<Fetched>();
    this.#fetching.set(key, waiting);
    return (result) => {
      if (this.#fetching.get(key) !== waiting) return;
      this.#fetching.delete(key);
      for (const wake of waiting) wake(result);
    };
  }

  /** Waits for the fetch that runs, for half of the call's time at most: one that hangs is not to take all with it. */
  untilFetched(key: string, { signal, deadline }: Call, clock: Clock): Promise<FetchResult> {
    const waiting = this.#fetching.get(key);
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
}

/** Under what replies are kept: for whom, and of what. */
export function keyOf(call: Call, callerOf: (call: Call) => string): string {
  return `${callerOf(call)} ${call.target}`;
}

/** What `Vary` names, as this request has it; undefined when no other request can be the same (`*`). */
export function varyOf(headers: RawHeaders, call: Call): Entry['vary'] | undefined {
  const names = new Set<string>();
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'vary') continue;
    for (const name of (headers[i + 1] as string).toLowerCase().split(',')) names.add(name.trim());
  }
  return names.has('*') ? undefined : [...names].map((name) => [name, valueOf(call.headers, name)] as const);
}

/** All lines of a field as one (RFC 9110 §5.3). */
function valueOf(headers: RawHeaders, name: string): string | undefined {
  const values = headersOf(headers, name);
  return values.length === 0 ? undefined : values.join(', ');
}

function sameVary(a: Entry['vary'], b: Entry['vary']): boolean {
  return a.length === b.length && a.every(([name, value], i) => b[i]?.[0] === name && b[i][1] === value);
}

function sizeOf({ chunks, headers, vary }: Entry): number {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const texts = [...headers, ...vary.flat(), ''];
  return texts.reduce<number>((sum, text) => sum + (text?.length ?? 0), bytes + ENTRY_BYTES);
}
