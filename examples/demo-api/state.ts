import { createHash } from 'node:crypto';
import type { Action, Wish } from './wish.ts';

/** Time, waiting and chance as the API sees them, so that a test can hold all three. */
export interface World {
  /** Milliseconds since an arbitrary point. */
  now(): number;
  /** Calls back once after `ms`; the function it returns cancels that. */
  after(ms: number, callback: () => void): () => void;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** Where each path and query stands; beyond this many the one unused for longest is forgotten. */
const MAX_CYCLES = 1000;

/**
 * Counts the requests to one path and query since its cycle began: a script's cycle ends with its last step,
 * any other with a reply that is no failure. The count is how a reader sees the rescue from the API's side.
 */
export class Cycles {
  readonly #counts = new Map<string, number>();

  /** The step for this request, and its number in the cycle, from 1. */
  arrive(url: string, wish: Wish, random: () => number): { readonly action: Action; readonly seen: number } {
    // A digest, because a URL may be kilobytes long and a thousand of them are kept.
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

/** The switch that takes the whole API down at once; a time limit needs no timer, it is looked up. */
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

/** One request as the API saw it, in the names that `GET /_log` prints. */
export interface LogEntry {
  readonly at: string;
  readonly method: string;
  readonly path: string;
  readonly idempotency_key: string | undefined;
  readonly outcome: string;
  readonly requests_seen: number | undefined;
}

export const MAX_LOG_ENTRIES = 500;

/** The last requests, oldest first. */
export class RequestLog {
  readonly #entries: LogEntry[] = [];

  add(entry: LogEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > MAX_LOG_ENTRIES) this.#entries.shift();
  }

  last(count: number): readonly LogEntry[] {
    return this.#entries.slice(-count);
  }
}

/** A small repeatable generator (xorshift32): chance for a demonstration, not for secrets. */
export function seededChance(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
