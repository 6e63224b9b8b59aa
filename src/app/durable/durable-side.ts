import type { Durable, DurableCall, DurableDeps, DurableSetup } from '../../durable/durable.ts';
import { FieldNames } from '../../http/field-names.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Route } from '../../proxy/route.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { DurableSnapshot } from '../../telemetry/snapshot.ts';

/** What the engine is opened with, once it is needed. */
export interface DurableSideDeps extends Omit<DurableDeps, 'store' | 'shared' | 'callbackRoutes'> {
  readonly logger: Logger;
  /** The token by which a caller of the app's listener is an operator; undefined: nobody is. */
  readonly isAdmin: (headers: readonly string[]) => boolean;
}

/** The app's hold on durable requests: nothing of them is loaded until a route asks for it. */
export class DurableSide {
  readonly #deps: DurableSideDeps;
  #durable: Durable | undefined;
  /** One opening at a time: a store that is opened twice is held twice. */
  #opening: Promise<void> = Promise.resolve();
  #store: string | undefined;
  #prefix = '';
  #closed = false;

  constructor(deps: DurableSideDeps) {
    this.#deps = deps;
  }

  /** True where durable requests are accepted, or not asked for. */
  get healthy(): boolean {
    return this.#durable?.healthy ?? this.#store === undefined;
  }

  /** Path of the HTTP interface; undefined where there is none. */
  get prefix(): string | undefined {
    return this.#store === undefined ? undefined : this.#prefix;
  }

  /** Undefined where there is nothing to tell, or the store does not answer. */
  async snapshot(): Promise<DurableSnapshot | undefined> {
    return this.#durable?.snapshot();
  }

  /** Follows the configuration; rejects with a StoreError where the store cannot be opened. */
  setUp(setup: DurableSetup): Promise<void> {
    const { prefix, store } = setup.process;
    this.#prefix = prefix;
    if (setup.routes.length > 0) this.#store ??= store;
    const done = this.#opening.then(() => this.#follow(setup));
    this.#opening = done.catch(() => undefined);
    return done;
  }

  async #follow(setup: DurableSetup): Promise<void> {
    const { store } = setup.process;
    if (this.#durable !== undefined) {
      if (store !== this.#store)
        this.#deps.logger.warn(
          {},
          'a change of durable.store takes effect only after a restart; the current store stays in use',
        );
      return this.#durable.setUp(setup);
    }
    if (setup.routes.length === 0 || this.#closed) return;
    this.#store = store;
    const { openDurable } = await import('./durable.ts');
    const durable = await openDurable(setup, this.#deps);
    if (this.#closed) await durable.close();
    else this.#durable = durable;
  }

  /** Accepts a call for the durable route `name`. */
  readonly accept = async (name: string, call: Call): Promise<Reply> => this.#running().accept(name, call);

  /** Answers a call of the HTTP interface. */
  readonly api = async (call: DurableCall): Promise<Reply> => this.#running().api(call);

  /** The HTTP interface as a route of its own, on the address that apps connect to. */
  route(): Route {
    return {
      upstream: '',
      name: 'durable',
      send: async ({ method, target, headers, signal }) =>
        this.api({ method, target, headers, signal, admin: this.#deps.isAdmin(headers) }),
      calls: { inFlight: 0, tunnels: 0 },
      totalTimeoutMs: Number.POSITIVE_INFINITY,
      maxReplayBytes: 0,
      headers: { drop: new FieldNames([]), add: [] },
      ownRetries: undefined,
      idempotency: { mode: 'none', header: 'idempotency-key' },
    };
  }

  async drain(): Promise<void> {
    await this.#durable?.drain();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening;
    await this.#durable?.close();
  }

  #running(): Durable {
    if (this.#durable !== undefined) return this.#durable;
    throw new ProxyError('store_unavailable', 'the durable store is not open', {
      retryAfterMs: 5_000,
    });
  }
}
