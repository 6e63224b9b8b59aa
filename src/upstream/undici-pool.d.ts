declare module 'undici/lib/dispatcher/pool.js' {
  import type { Dispatcher, Pool } from 'undici';
  import type PoolBase from 'undici/lib/dispatcher/pool-base.js';
  /** With members of its base class. */
  export default class extends Pool {
    readonly [PoolBase.kClients]: readonly Dispatcher[];
    [PoolBase.kRetireClient](client: Dispatcher): void;
  }
}

declare module 'undici/lib/dispatcher/pool-base.js' {
  const exports: {
    /** The clients of a pool: at most one connection each. */
    readonly kClients: unique symbol;
    /** The method that removes a client from its pool. The client finishes its requests. */
    readonly kRetireClient: unique symbol;
  };
  export default exports;
}
