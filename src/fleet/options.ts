/** Where and how the replicas of one deployment share. */
export interface SharedOptions {
  /** `redis://`, `rediss://` or `postgres://`; may contain a password. */
  readonly store: string;
  /** Replicas with the same name share. */
  readonly name: string;
  /** How many replicas there are, until the store has said it. */
  readonly replicas: number;
  /** Hashes credentials and encrypts replies and tokens in the store; undefined: the URL of the store hashes, and neither is shared. */
  readonly secret: string | undefined;
}
