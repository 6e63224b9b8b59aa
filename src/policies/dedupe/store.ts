import { LRUCache } from 'lru-cache';
import type { RawHeaders } from '../../http/headers.ts';
import type { Trailers } from '../../http/reply.ts';
import type { DedupeOptions } from './options.ts';

/** A reply as it came, whole. */
export interface StoredReply {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly chunks: readonly Uint8Array[];
  readonly trailers: Trailers;
}

/** An operation, told by caller and key, and the request that it stands for. Both are hashes. */
export interface Identity {
  readonly id: string;
  readonly payload: string;
}

/**
 * Where a request stands among those with its key. `first`: it is to be sent, and `finish` to be called when it has
 * ended; `running`: an equal one is under way; `stored`: one has been answered; `other_payload`: the key stands for another
 * request.
 */
export type Standing =
  | { readonly kind: 'first' | 'running' | 'other_payload' }
  | { readonly kind: 'stored'; readonly reply: StoredReply };

interface Stored {
  readonly payload: string;
  readonly reply: StoredReply;
}

interface Running {
  readonly payload: string;
  readonly waiting: Set<() => void>;
}

/** What an entry takes besides its body: the object, its hashes, and a string per name and value. */
const ENTRY_BYTES = 512;

/** Replies by operation. Those that run are as many as calls run; those that are stored are bounded in bytes, the longest unused give way. */
export class ReplyStore {
  readonly #running = new Map<string, Running>();
  readonly #stored: LRUCache<string, Stored>;

  constructor({ windowMs, memoryBytes }: DedupeOptions, now: () => number) {
    this.#stored = new LRUCache({
      maxSize: Math.max(1, memoryBytes),
      sizeCalculation: ({ reply }) => sizeOf(reply),
      ttl: windowMs ?? 0,
      ttlResolution: 0,
      // To the cache, what was stored at 0 never grows old.
      perf: { now: () => now() + 1 },
    });
  }

  get bytes(): number {
    return this.#stored.calculatedSize;
  }

  claim({ id, payload }: Identity): Standing {
    const known = this.#running.get(id) ?? this.#stored.get(id);
    if (known === undefined) {
      this.#running.set(id, { payload, waiting: new Set() });
      return { kind: 'first' };
    }
    if (known.payload !== payload) return { kind: 'other_payload' };
    return 'reply' in known ? { kind: 'stored', reply: known.reply } : { kind: 'running' };
  }

  /** The first has ended; without a reply that can be kept, one of those who wait becomes the first. */
  finish({ id, payload }: Identity, reply: StoredReply | undefined): void {
    const running = this.#running.get(id);
    this.#running.delete(id);
    if (reply !== undefined) this.#stored.set(id, { payload, reply });
    for (const wake of running?.waiting ?? []) wake();
  }

  /** Calls `wake` when the one that runs has ended. */
  onFinish({ id }: Identity, wake: () => void): void {
    this.#running.get(id)?.waiting.add(wake);
  }

  offFinish({ id }: Identity, wake: () => void): void {
    this.#running.get(id)?.waiting.delete(wake);
  }
}

function sizeOf({ chunks, headers }: StoredReply): number {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return headers.reduce((sum, text) => sum + text.length, bytes + ENTRY_BYTES);
}
