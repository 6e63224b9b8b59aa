import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';

export type LookupCallback = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

/** Resolves a name to all its addresses. `dns.lookup` implements it. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  answered: LookupCallback,
) => void;

/**
 * Concurrent lookups of the system's resolver. Each blocks a thread of libuv's pool, which has 16 (`main.ts`). The other
 * threads stay free for files and the log.
 */
const MAX_CONCURRENT_LOOKUPS = 12;

interface Lookup {
  readonly ask: () => void;
  readonly waiting: LookupCallback[];
}

/**
 * Shares concurrent lookups of the same name. `getaddrinfo` blocks a thread, for tens of seconds if the name server does
 * not answer. Without sharing, the calls of one such upstream would block all threads, and so the lookups of all others.
 */
export class SharedLookups {
  readonly #resolve: Resolve;
  readonly #maxConcurrent: number;
  readonly #lookups = new Map<string, Lookup>();
  readonly #queue: Lookup[] = [];
  #running = 0;

  constructor(resolve: Resolve, maxConcurrent: number = MAX_CONCURRENT_LOOKUPS) {
    this.#resolve = resolve;
    this.#maxConcurrent = maxConcurrent;
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
    if (this.#running >= this.#maxConcurrent) return;
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
    // Each caller gets a copy.
    for (const answered of lookup?.waiting ?? []) answered(error, [...(addresses ?? [])]);
  }
}

/** The system's resolver (hosts file, search domains, nsswitch), shared by all upstreams of the process. */
export const systemLookups = new SharedLookups((...asked) => (lookup as Resolve)(...asked));
