import type { FleetEngine, Muster } from '../fleet/engine.ts';
import { type Ledger, type LeaseReply, type LeaseRequest, lease } from '../fleet/ledger.ts';

/** The engine of a simulated fleet: the arithmetic of the real ones, in this process. */
export class FleetStore {
  requests = 0;
  readonly #now: () => number;
  #ledgers = new Map<string, Ledger>();
  #replicas = new Set<string>();
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
    this.#replicas.add(replica);
    return { replicas: this.#replicas.size, generation: String(this.#generation) };
  }

  leave(replica: string): void {
    this.#replicas.delete(replica);
  }

  /** Loses all data. */
  flush(): void {
    this.#ledgers = new Map();
    this.#replicas = new Set();
    this.#generation++;
  }
}

/** A connection to a store. `pass` delays or rejects what goes through it. */
export function connectionTo(
  store: FleetStore,
  pass: <T>(answer: () => T) => Promise<T> = (answer) => Promise.resolve().then(answer),
): FleetEngine {
  return {
    lease: (key, request) => pass(() => store.lease(key, request)),
    muster: (replica) => pass(() => store.muster(replica)),
    leave: (replica) => pass(() => store.leave(replica)),
    publish: () => pass(() => undefined),
    close: () => Promise.resolve(),
  };
}
