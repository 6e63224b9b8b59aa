/** The priorities of calls, from the one that is served first. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;

export type Priority = (typeof PRIORITIES)[number];

/** The lower of two priorities. */
export function lowerOf(a: Priority, b: Priority): Priority {
  return PRIORITIES.indexOf(a) > PRIORITIES.indexOf(b) ? a : b;
}

/** A client that is known by a token (the key `clients.tokens`). */
export interface NamedClient {
  readonly name: string;
  readonly priority: Priority;
  /** The share of each quota that it may use at most, above 0 and below 1; undefined: all of it. */
  readonly quotaShare: number | undefined;
  /** Names of the upstreams that it may use; undefined: all. */
  readonly allow: readonly string[] | undefined;
}
