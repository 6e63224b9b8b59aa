declare module 'undici/lib/dispatcher/pool.js' {
  import type { Dispatcher, Pool } from 'undici';
  import type PoolBase from 'undici/lib/dispatcher/pool-base.js';
  /** With what it has of its base. */
  export default class extends Pool {
    [PoolBase.kRetireClient](client: Dispatcher): void;
  }
}

declare module 'undici/lib/dispatcher/pool-base.js' {
  const exports: {
    /** The method that takes a client out of its pool; it finishes what it has. */
    readonly kRetireClient: unique symbol;
  };
  export default exports;
}
