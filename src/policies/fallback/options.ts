import type { HeaderRules, RawHeaders } from '../../http/headers.ts';

/** What answers when the upstream does not. */
export interface FallbackOptions {
  /** Statuses that are a failure; errors without a reply always are. */
  readonly statuses: ReadonlySet<number>;
  readonly to: FallbackUpstream | StaticReply;
}

/** Another upstream. */
export interface FallbackUpstream {
  readonly upstream: string;
  /** Path there, below its mount; `**` stands for the client's path and query. */
  readonly path: string;
  /** For the other upstream alone. */
  readonly headers: HeaderRules;
  /** Statuses by which the first one says that it has done nothing. */
  readonly notProcessed: ReadonlySet<number>;
  /** Whether it also gets what the first one may have processed and must not be done twice. */
  readonly unsafe: boolean;
  /** The share of the time left that is kept for it, 0 ≤ share < 1. */
  readonly reserve: number;
}

/** A reply that is always the same. */
export interface StaticReply {
  readonly status: number;
  /** [name, value] pairs, Content-Length left out. */
  readonly set: readonly (readonly [string, string])[];
  readonly body: string;
}

/** Flat, as it goes out. */
export function staticHeaders({ set, body }: StaticReply): RawHeaders {
  return [...set.flat(), 'content-length', String(Buffer.byteLength(body))];
}
