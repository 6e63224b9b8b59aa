import type { Durable, DurableCall, DurableDeps, DurableSetup, Submission } from '../../durable/durable.ts';
import type { Store } from '../../durable/store/store.ts';
import { FieldNames } from '../../http/field-names.ts';
import { TOKEN_FIELDS } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import { dispatchBy } from '../../proxy/pipeline.ts';
import type { Route } from '../../proxy/route.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { DurableSnapshot } from '../../telemetry/snapshot.ts';

/** Dependencies of the durable requests, which are loaded on demand. */
export interface DurableSideDeps extends Omit<DurableDeps, 'store' | 'shared' | 'callbackRoutes'> {
  readonly logger: Logger;
  /** Whether a call on the app's listener has the admin token. Always false without a token. */
  readonly isAdmin: (headers: readonly string[]) => boolean;
  /** The store is open, and nothing of it has been sent yet. Never rejects. */
  readonly onStore?: ((store: Store) => Promise<void>) | undefined;
}

/** Connects the app with durable requests. Nothing of them is loaded until a route is durable. */
export class DurableSide {
  readonly #deps: DurableSideDeps;
  #durable: Durable | undefined;
  /** Serialises openings, because a store must not be opened twice. */
  #opening: Promise<void> = Promise.resolve();
  #store: string | undefined;
  #prefix = '';
  #closed = false;

  constructor(deps: DurableSideDeps) {
    this.#deps = deps;
  }

  /** False while durable requests are configured and their store fails. */
  get healthy(): boolean {
    return this.#durable?.healthy ?? this.#store === undefined;
  }

  /** The same, or undefined without durable routes. */
  get storeWorking(): boolean | undefined {
    return this.#store === undefined ? undefined : this.healthy;
  }

  /** Path of the HTTP API. Undefined without durable routes. */
  get prefix(): string | undefined {
    return this.#store === undefined ? undefined : this.#prefix;
  }

  /** Undefined without durable routes, or if the store does not answer. */
  async snapshot(): Promise<DurableSnapshot | undefined> {
    return this.#durable?.snapshot();
  }

  /** Applies a configuration. Rejects with a StoreError if the store cannot be opened. */
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
    // The store's thread starts while the rest is loaded.
    const [opened, { startDurable }] = await Promise.all([this.#openStore(store), import('./durable.ts')]);
    await this.#deps.onStore?.(opened);
    const durable = await startDurable(setup, opened, this.#deps);
    if (this.#closed) await durable.close();
    else this.#durable = durable;
  }

  async #openStore(where: string): Promise<Store> {
    const { observer } = this.#deps;
    const { openStore } = await import('../../durable/store/open.ts');
    const onCommit = (ms: number) => observer.stateChanged('', { type: 'store_committed', scope: '', ms });
    return openStore(where, { onCommit });
  }

  /** Accepts a call for the durable route `name`. */
  readonly accept = async (name: string, call: Call, submission: Submission): Promise<Reply> =>
    this.#running().accept(name, call, submission);

  /** Answers a call of the HTTP API. */
  readonly api = async (call: DurableCall): Promise<Reply> => this.#running().api(call);

  /** The HTTP API as a route of the app's listener. */
  route(): Route {
    return {
      upstream: '',
      name: 'durable',
      pattern: `${this.#prefix}/**`,
      propagatesTrace: false,
      dispatch: dispatchBy(async ({ method, target, headers, identity }, { signal }) =>
        this.api({
          method,
          target,
          headers,
          client: identity?.clientName,
          signal,
          admin: this.#deps.isAdmin(headers),
        }),
      ),
      calls: { inFlight: 0, tunnels: 0 },
      totalTimeoutMs: Number.POSITIVE_INFINITY,
      maxReplayBytes: 0,
      isOperator: this.#deps.isAdmin,
      // Both are about the client of this proxy, and not about the caller of the upstream.
      headers: { drop: new FieldNames(TOKEN_FIELDS), add: [] },
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
