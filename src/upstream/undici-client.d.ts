declare module 'undici/lib/dispatcher/client.js' {
  import type { Client as Public } from 'undici';
  import type symbols from 'undici/lib/core/symbols.js';
  namespace Client {
    type Options = Public.Options;
  }
  /** With a member that is not public. */
  class Client extends Public {
    readonly [symbols.kNeedDrain]: 0 | 1 | 2;
  }
  export default Client;
}

declare module 'undici/lib/core/symbols.js' {
  const exports: {
    /** 0 if a client can take a request. Otherwise it emits 'drain' as soon as it can. */
    readonly kNeedDrain: unique symbol;
  };
  export default exports;
}
