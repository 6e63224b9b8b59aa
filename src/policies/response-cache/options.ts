export interface CacheOptions {
  /** For replies that do not say how long they are fresh; 0: such replies are not kept; undefined: nothing is. */
  readonly ttlMs: number | undefined;
  /** `ttlMs` holds whatever a reply says, `no-store` included. */
  readonly override: boolean;
  /** 0: only as long as a reply itself allows it. */
  readonly staleWhileRevalidateMs: number;
  /** 0: only as long as a reply itself allows it. */
  readonly staleIfErrorMs: number;
  /** More request fields, in lower case, by which the API chooses a reply. */
  readonly vary: readonly string[];
  /** A larger reply is not kept. */
  readonly maxReplyBytes: number;
  /** All kept replies together. */
  readonly memoryBytes: number;
}
