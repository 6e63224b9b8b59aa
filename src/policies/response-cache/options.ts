export interface CacheOptions {
  /** The freshness of replies that name none, in milliseconds. 0: such replies are not cached. Undefined: the cache is off. */
  readonly ttlMs: number | undefined;
  /** `ttlMs` replaces the headers of replies, `no-store` included. */
  readonly override: boolean;
  /** 0: only as long as a reply itself allows it. */
  readonly staleWhileRevalidateMs: number;
  /** 0: only as long as a reply itself allows it. */
  readonly staleIfErrorMs: number;
  /** Additional request fields, in lower case, by which the API chooses a reply. */
  readonly vary: readonly string[];
  /** A larger reply is not cached. */
  readonly maxReplyBytes: number;
  /** The most bytes of all cached replies. */
  readonly memoryBytes: number;
}
