import { createHash } from 'node:crypto';
import type { Action, Wish } from './wish.ts';

/** Time, waiting and randomness of the API, so that a test can control them. */
export interface World {
  /** Milliseconds since an arbitrary point. */
  now(): number;
  /** Calls back once after `ms`. The returned function cancels it. */
  after(ms: number, callback: () => void): () => void;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** Maximum number of paths and queries with a position. The least recently used one is forgotten. */
const MAX_CYCLES = 1000;

/**
 * Counts the requests per path and query in a cycle. A script's cycle ends with its last step, other cycles with a reply
 * that is not a failure. The count shows the rescue from the side of the API.
 */
export class Cycles {
  readonly #counts = new Map<string, number>();

  /** The step for this request, and its number in the cycle, from 1. */
  arrive(url: string, wish: Wish, random: () => number): { readonly action: Action; readonly seen: number } {
    // A digest, because a URL may have kilobytes, and a thousand of them are stored.
    const key = createHash('sha1').update(url).digest('base64');
    const seen = (this.#counts.get(key) ?? 0) + 1;
    const action = wish.script?.[seen - 1] ?? draw(wish, random);
    const ended = wish.script === undefined ? succeeds(action) : seen >= wish.script.length;
    this.#counts.delete(key);
    if (!ended) this.#counts.set(key, seen);
    if (this.#counts.size > MAX_CYCLES) this.#forgetOldest();
    return { action, seen };
  }

  get size(): number {
    return this.#counts.size;
  }

  #forgetOldest(): void {
    for (const key of this.#counts.keys()) {
      this.#counts.delete(key);
      return;
    }
  }
}

function draw(wish: Wish, random: () => number): Action {
  if (wish.fail > 0 && random() < wish.fail) return wish.failure;
  return { kind: 'reply', status: 200, retryAfter: undefined };
}

export function succeeds(action: Action): boolean {
  return action.kind === 'reply' && action.status < 400;
}

export type OutageKind = '503' | 'blackhole';

/** The switch for an outage of the whole API. Its end is compared with the clock, without a timer. */
export class Outage {
  #current: { readonly kind: OutageKind; readonly until: number } | undefined;

  begin(kind: OutageKind, until: number): void {
    this.#current = { kind, until };
  }

  end(): void {
    this.#current = undefined;
  }

  at(now: number): { readonly kind: OutageKind; readonly leftMs: number | undefined } | undefined {
    if (this.#current === undefined || now >= this.#current.until) return undefined;
    const leftMs = this.#current.until - now;
    return { kind: this.#current.kind, leftMs: Number.isFinite(leftMs) ? leftMs : undefined };
  }
}

/** One request as the API received it, with the names of `GET /_log`. */
export interface LogEntry {
  readonly at: string;
  readonly method: string;
  readonly path: string;
  readonly idempotency_key: string | undefined;
  readonly outcome: string;
  readonly requests_seen: number | undefined;
  /** Events of a stream that the kernel has accepted; it grows while the stream is sent. */
  events_sent?: number;
}

export const MAX_LOG_ENTRIES = 500;

/** The last requests, oldest first. */
export class RequestLog {
  readonly #entries: LogEntry[] = [];

  add(entry: LogEntry): LogEntry {
    this.#entries.push(entry);
    if (this.#entries.length > MAX_LOG_ENTRIES) this.#entries.shift();
    return entry;
  }

  last(count: number): readonly LogEntry[] {
    return this.#entries.slice(-count);
  }
}

/** A small seeded generator (xorshift32), for demonstrations and not for secrets. */
export function seededChance(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
