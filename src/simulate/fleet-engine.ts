import { type Fact, type FleetEngine, type Muster, SEEN_MS } from '../fleet/engine.ts';
import { type Ledger, type LeaseReply, type LeaseRequest, lease } from '../fleet/ledger.ts';

/** The engine of a simulated fleet: the arithmetic of the real ones, in this process. */
export class FleetStore {
  requests = 0;
  readonly #now: () => number;
  #ledgers = new Map<string, Ledger>();
  #facts = new Map<string, { readonly text: string; readonly endsAt: number }>();
  readonly #listeners = new Set<(message: string) => void>();
  /** When each replica was seen last. */
  #replicas = new Map<string, number>();
  #generation = 1;

  /** `now`: the engine's clock. */
  constructor(now: () => number) {
    this.#now = now;
  }

  lease(key: string, request: LeaseRequest): LeaseReply {
    this.requests++;
    const reply = lease(this.#ledgers.get(key), request, this.#now());
    this.#ledgers.set(key, reply.ledger);
    return reply;
  }

  muster(replica: string): Muster {
    this.requests++;
    const now = this.#now();
    this.#replicas.set(replica, now);
    for (const [name, seenAt] of this.#replicas) if (seenAt < now - SEEN_MS) this.#replicas.delete(name);
    return { replicas: this.#replicas.size, generation: String(this.#generation) };
  }

  leave(replica: string): void {
    this.#replicas.delete(replica);
  }

  read(key: string): Fact | undefined {
    this.requests++;
    return this.#fact(key);
  }

  write(key: string, text: string, ms: number): void {
    this.requests++;
    this.#keep(key, text, ms);
  }

  claim(key: string, text: string, ms: number): Fact | undefined {
    this.requests++;
    const there = this.#fact(key);
    if (there === undefined) this.#keep(key, text, ms);
    return there;
  }

  exchange(key: string, expected: string, text: string, ms: number): boolean {
    this.requests++;
    if (this.#fact(key)?.text !== expected) return false;
    this.#keep(key, text, ms);
    return true;
  }

  publish(message: string): void {
    this.requests++;
    for (const listener of this.#listeners) listener(message);
  }

  listen(listener: (message: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #fact(key: string): Fact | undefined {
    const fact = this.#facts.get(key);
    const leftMs = (fact?.endsAt ?? 0) - this.#now();
    return fact === undefined || leftMs <= 0 ? undefined : { text: fact.text, leftMs };
  }

  #keep(key: string, text: string, ms: number): void {
    this.#facts.set(key, { text, endsAt: this.#now() + ms });
  }

  /** Loses all data. */
  flush(): void {
    this.#ledgers = new Map();
    this.#facts = new Map();
    this.#replicas = new Map();
    this.#generation++;
  }
}

/** A connection to a store. `pass` delays or rejects what goes through it. */
export function connectionTo(
  store: FleetStore,
  onMessage: (message: string) => void,
  pass: <T>(answer: () => T) => Promise<T> = (answer) => Promise.resolve().then(answer),
): FleetEngine {
  const listener = (message: string) => {
    pass(() => onMessage(message)).catch(() => undefined);
  };
  const stop = store.listen(listener);
  return {
    lease: (key, request) => pass(() => store.lease(key, request)),
    muster: (replica) => pass(() => store.muster(replica)),
    leave: (replica) => pass(() => store.leave(replica)),
    read: (key) => pass(() => store.read(key)),
    write: (key, text, ms) => pass(() => store.write(key, text, ms)),
    claim: (key, text, ms) => pass(() => store.claim(key, text, ms)),
    exchange: (key, expected, text, ms) => pass(() => store.exchange(key, expected, text, ms)),
    publish: (message) => pass(() => store.publish(message)),
    close: async () => {
      stop();
    },
  };
}
