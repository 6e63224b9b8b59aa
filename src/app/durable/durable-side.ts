import type { Durable, DurableCall, DurableDeps, DurableSetup, Submission } from '../../durable/durable.ts';
import type { StoreError } from '../../durable/store/db.ts';
import type { Store } from '../../durable/store/store.ts';
import { FieldNames } from '../../http/field-names.ts';
import { TOKEN_FIELDS } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import { dispatchBy } from '../../proxy/pipeline.ts';
import type { Route } from '../../proxy/route.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { DurableSnapshot } from '../../telemetry/snapshot.ts';
import { StoreOpening } from './store-opening.ts';

/** Dependencies of the durable requests, which are loaded on demand. */
export interface DurableSideDeps extends Omit<DurableDeps, 'store' | 'shared' | 'callbackRoutes'> {
  readonly logger: Logger;
  /** Whether a call on the app's listener has the admin token. Always false without a token. */
  readonly isAdmin: (headers: readonly string[]) => boolean;
  /** The store is open, and nothing of it has been sent yet. Never rejects. */
  readonly onStore?: ((store: Store) => Promise<void>) | undefined;
  /** The store of the first configuration, if its opening has begun. */
  readonly opening?: StoreOpening | undefined;
}

/** A store that could not be reached is tried again after this time. */
const REACH_AGAIN_MS = 5_000;

/** Connects the app with durable requests. Nothing of them is loaded until a route is durable. */
export class DurableSide {
  readonly #deps: DurableSideDeps;
  /** Until it is used. A later try opens the store again. */
  #begun: StoreOpening | undefined;
  #durable: Durable | undefined;
  /** Serialises openings, because a store must not be opened twice. */
  #opening: Promise<void> = Promise.resolve();
  #store: string | undefined;
  #prefix = '';
  #closed = false;
  /** The latest configuration. */
  #setup: DurableSetup | undefined;
  /** The store could not be reached since then. */
  #outage: Pick<StoreError, 'message' | 'problem'> | undefined;
  #retry: Timer | undefined;

  constructor(deps: DurableSideDeps) {
    this.#deps = deps;
    this.#begun = deps.opening;
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

  /**
   * Applies a configuration. Rejects with a StoreError if the store cannot be opened. One that cannot be reached, as a database that
   * restarts, must not end the calls that need no store: it is tried again, and durable requests are refused until then.
   */
  setUp(setup: DurableSetup): Promise<void> {
    const { prefix, store } = setup.process;
    this.#prefix = prefix;
    this.#setup = setup;
    if (setup.routes.length > 0) this.#store ??= store;
    const done = this.#opening.then(() => this.#follow(setup));
    this.#opening = done.catch(() => undefined);
    return done;
  }

  async #follow(setup: DurableSetup): Promise<void> {
    const { store } = setup.process;
    this.#retry?.cancel();
    if (this.#durable !== undefined) {
      if (store !== this.#store)
        this.#deps.logger.warn(
          {},
          'a change of durable.store takes effect only after a restart; the current store stays in use',
        );
      return this.#durable.setUp(setup);
    }
    this.#store = setup.routes.length === 0 ? undefined : store;
    if (this.#store === undefined) this.#outage = undefined;
    else if (!this.#closed) await this.#tryToOpen(setup);
  }

  async #tryToOpen(setup: DurableSetup): Promise<void> {
    try {
      await this.#open(setup);
    } catch (error) {
      const failure = await storeErrorOf(error);
      if (failure.problem !== 'unreachable' && this.#outage === undefined) throw error;
      this.#notReached(failure);
    }
  }

  async #open(setup: DurableSetup): Promise<void> {
    // The store's thread starts while the rest is loaded.
    const [opened, { startDurable }] = await Promise.all([
      this.#openStore(setup.process.store),
      import('./durable.ts'),
    ]);
    await this.#deps.onStore?.(opened);
    const durable = await startDurable(setup, opened, this.#deps);
    if (this.#closed) return durable.close();
    this.#durable = durable;
    this.#reached();
  }

  /** The store is tried again later, with the configuration of then. */
  #notReached({ message, problem }: StoreError): void {
    if (this.#closed) return;
    const { clock, logger } = this.#deps;
    if (this.#outage === undefined) this.#report('failed', problem);
    if (this.#outage?.message !== message)
      logger.error(
        { problem },
        `${message}; durable requests are refused until the store can be used, and other calls go on`,
      );
    this.#outage = { message, problem };
    this.#retry = clock.timer(REACH_AGAIN_MS, () => {
      if (this.#setup !== undefined) void this.setUp(this.#setup);
    });
  }

  #reached(): void {
    if (this.#outage === undefined) return;
    this.#report('working', this.#outage.problem);
    this.#outage = undefined;
    this.#deps.logger.info({}, 'the durable store can be used, and durable requests are accepted');
  }

  #report(to: 'failed' | 'working', problem: string): void {
    this.#deps.observer.stateChanged('', { type: 'store_health', scope: '', to, problem });
  }

  async #openStore(where: string): Promise<Store> {
    const { observer } = this.#deps;
    const opening = this.#begun ?? (await StoreOpening.begin(where));
    this.#begun = undefined;
    opening.onCommit = (ms) => observer.stateChanged('', { type: 'store_committed', scope: '', ms });
    return opening.store;
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
    this.#retry?.cancel();
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

async function storeErrorOf(error: unknown): Promise<StoreError> {
  const { StoreError } = await import('../../durable/store/db.ts');
  return error instanceof StoreError ? error : new StoreError('failed', String(error));
}
