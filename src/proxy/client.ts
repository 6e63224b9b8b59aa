/** A client that is known by a token (the key `clients.tokens`). */
export interface NamedClient {
  readonly name: string;
  /** Names of the upstreams that it may use; undefined: all. */
  readonly allow: readonly string[] | undefined;
}
