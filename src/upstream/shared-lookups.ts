import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';

export type Answered = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

/** Finds all addresses of a name; `dns.lookup` is one. */
export type Resolve = (hostname: string, options: LookupOptions & { all: true }, answered: Answered) => void;

/**
 * Lookups that the system's resolver may hold at once. Each holds a thread of libuv's pool, which has 16 (`main.ts`); the
 * rest stays free for files and the log.
 */
const MOST_AT_ONCE = 12;

interface Lookup {
  readonly ask: () => void;
  readonly waiting: Answered[];
}

/**
 * Shares lookups: callers that ask for the same name at the same time wait for one answer. `getaddrinfo` blocks a thread
 * until it ends, and a name server that does not answer makes it take tens of seconds. Without sharing, the calls of one
 * such upstream would take every thread and stop the lookups of all others.
 */
export class SharedLookups {
  readonly #resolve: Resolve;
  readonly #mostAtOnce: number;
  readonly #lookups = new Map<string, Lookup>();
  readonly #queue: Lookup[] = [];
  #running = 0;

  constructor(resolve: Resolve, mostAtOnce: number = MOST_AT_ONCE) {
    this.#resolve = resolve;
    this.#mostAtOnce = mostAtOnce;
  }

  readonly resolve: Resolve = (hostname, options, answered) => {
    const key = [hostname, options.family, options.hints, options.order].join(' ');
    const known = this.#lookups.get(key);
    if (known !== undefined) return void known.waiting.push(answered);
    const ask = () =>
      this.#resolve(hostname, options, (error, addresses) => this.#end(key, error, addresses));
    const asked: Lookup = { ask, waiting: [answered] };
    this.#lookups.set(key, asked);
    this.#queue.push(asked);
    this.#startNext();
  };

  #startNext(): void {
    if (this.#running >= this.#mostAtOnce) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#running++;
    next.ask();
  }

  #end(key: string, error: NodeJS.ErrnoException | null, addresses: LookupAddress[]): void {
    const lookup = this.#lookups.get(key);
    this.#lookups.delete(key);
    this.#running--;
    this.#startNext();
    // A copy each: callers rotate and filter.
    for (const answered of lookup?.waiting ?? []) answered(error, [...(addresses ?? [])]);
  }
}

/** The system's resolver (hosts file, search domains, nsswitch), shared by all upstreams of the process. */
export const systemLookups = new SharedLookups((...asked) => (lookup as Resolve)(...asked));
