/** Parts of undici that are not public. */

declare module 'undici/lib/dispatcher/client.js' {
  import type { Client as Public } from 'undici';
  import type Request from 'undici/lib/core/request.js';
  import type symbols from 'undici/lib/core/symbols.js';
  namespace Client {
    type Options = Public.Options;
  }
  class Client extends Public {
    readonly [symbols.kUrl]: URL;
    /** Requests that wait or run. */
    readonly [symbols.kQueue]: Request[];
    /** 0 if a client can take a request. Otherwise it emits 'drain' as soon as it can. */
    readonly [symbols.kNeedDrain]: 0 | 1 | 2;
    /** Sends the requests that wait. */
    readonly [symbols.kResume]: (sync: boolean) => void;
    dispatch(options: Public.DispatchOptions, handler: object): boolean;
    [symbols.kDispatch](options: Public.DispatchOptions, handler: object): boolean;
  }
  export default Client;
}

declare module 'undici/lib/core/request.js' {
  import type { Duplex } from 'node:stream';
  import type { Dispatcher } from 'undici';
  /** One request, as the client of undici sees it. It passes the events on to `handler`. */
  class Request {
    constructor(origin: string, options: Dispatcher.DispatchOptions, handler: object);
    onResponseStart(status: number, fields: object, resume: () => void, statusText: string): boolean;
    onRequestUpgrade(status: number, fields: object, socket: Duplex): void;
    onResponseEnd(trailers: object): void;
  }
  export default Request;
}

declare module 'undici/lib/core/symbols.js' {
  const exports: {
    readonly kDispatch: unique symbol;
    readonly kNeedDrain: unique symbol;
    readonly kQueue: unique symbol;
    readonly kResume: unique symbol;
    readonly kUrl: unique symbol;
  };
  export default exports;
}
