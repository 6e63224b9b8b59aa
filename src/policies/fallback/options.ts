import type { HeaderRules, RawHeaders } from '../../http/headers.ts';

/** The fallback of a route: at least one upstream or a reply. */
export interface FallbackOptions {
  /** Statuses that count as a failure. An error without a reply always does. */
  readonly statuses: ReadonlySet<number>;
  /** Asked in this order until one answers. No upstream is in it twice. */
  readonly upstreams: readonly FallbackUpstream[];
  /** Answers if no upstream does. */
  readonly reply: StaticReply | undefined;
  /** The share of the remaining time that is reserved for `upstreams`, 0 ≤ share < 1. */
  readonly reserve: number;
}

/** Another upstream. */
export interface FallbackUpstream {
  readonly upstream: string;
  /** The path there, below its mount. `**` is replaced by the client's path and query. */
  readonly path: string;
  /** Rules for calls to the fallback upstream only. */
  readonly headers: HeaderRules;
  /** Whether it also gets calls that another upstream may have processed and that are not safe to repeat. */
  readonly unsafe: boolean;
}

/** A configured reply. */
export interface StaticReply {
  readonly status: number;
  /** [name, value] pairs, Content-Length left out. */
  readonly set: readonly (readonly [string, string])[];
  readonly body: string;
}

/** The headers of the reply as a flat list. */
export function staticHeaders({ set, body }: StaticReply): RawHeaders {
  return [...set.flat(), 'content-length', String(Buffer.byteLength(body))];
}
