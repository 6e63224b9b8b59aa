import { LRUCache } from 'lru-cache';
import type { RawHeaders } from '../../http/headers.ts';
import type { Trailers } from '../../http/reply.ts';
import type { DedupeOptions } from './options.ts';

/** A complete, unchanged reply. */
export interface StoredReply {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly chunks: readonly Uint8Array[];
  readonly trailers: Trailers;
}

/** An operation (`id`: caller and key) and its request (`payload`). Both are hashes. */
export interface Identity {
  readonly id: string;
  readonly payload: string;
}

/**
 * The state of a key when a request claims it. `first`: send the request and call `finish` when it has ended. `running`: an equal
 * request is running. `stored`: an equal request was answered. `other_payload`: the key belongs to another request.
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

/** Bytes of an entry in addition to its body: the object, its hashes, and a string per name and value. */
const ENTRY_BYTES = 512;

/** Replies by operation. Stored replies are bounded in bytes; the least recently used are evicted. Running calls bound the rest. */
export class DedupeStore {
  readonly #running = new Map<string, Running>();
  readonly #stored: LRUCache<string, Stored>;
  readonly #windowMs: number;

  constructor({ windowMs = 0, memoryBytes }: DedupeOptions, now: () => number) {
    this.#windowMs = windowMs;
    this.#stored = new LRUCache({
      maxSize: Math.max(1, memoryBytes),
      sizeCalculation: ({ reply }) => sizeOf(reply),
      ttl: windowMs,
      ttlResolution: 0,
      // For the cache, an entry stored at time 0 never expires.
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

  /**
   * The first request has ended. Without a reply to store, one of the waiting requests becomes the first. `leftMs`: how long the reply
   * is stored, if not for the window.
   */
  finish({ id, payload }: Identity, reply: StoredReply | undefined, leftMs = this.#windowMs): void {
    const running = this.#running.get(id);
    this.#running.delete(id);
    if (reply !== undefined) this.#stored.set(id, { payload, reply }, { ttl: leftMs });
    for (const wake of running?.waiting ?? []) wake();
  }

  /** Another replica has stored a reply of its own, which counts. */
  forget(id: string): void {
    this.#stored.delete(id);
  }

  /** Calls `wake` when the running request has ended. */
  onFinish({ id }: Identity, wake: () => void): void {
    this.#running.get(id)?.waiting.add(wake);
  }

  offFinish({ id }: Identity, wake: () => void): void {
    this.#running.get(id)?.waiting.delete(wake);
  }
}

/** Bytes of memory that a reply takes. */
export function sizeOf({ chunks, headers }: StoredReply): number {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return headers.reduce((sum, text) => sum + text.length, bytes + ENTRY_BYTES);
}
