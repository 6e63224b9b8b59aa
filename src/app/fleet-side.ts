import { createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Fleet, type FleetDeps, type FleetState } from '../fleet/fleet.ts';
import type { EngineOptions, FleetEngine } from '../fleet/engine.ts';
import { shownStore } from '../config/show/effective.ts';
import type { SharedOptions } from '../fleet/options.ts';
import { LEARNED_WINDOWS, planOfLearned } from '../fleet/plan.ts';
import { framed } from '../http/credentials.ts';
import { burstOf } from '../policies/quota/gcra.ts';
import type {
  CredentialListener,
  LearnedUnits,
  SharedCredential,
} from '../policies/quota/shared-credential.ts';
import { realTime, type Clock } from '../runtime/clock.ts';
import { endOfTurn } from '../runtime/event-loop.ts';
import type { Logger } from '../runtime/logger.ts';
import { type Random, unguessableId } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';
import type { SharedSnapshot } from '../telemetry/snapshot.ts';
import { SharedValues } from './shared-values.ts';
import { WindowNumbers } from './window-numbers.ts';

export interface FleetSideDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly observer: Pick<Observer, 'stateChanged'>;
  /** Tests and simulations replace the store, its clock and the event loop. */
  readonly open?: FleetDeps['open'];
  readonly real?: FleetDeps['real'];
  readonly afterReading?: FleetDeps['afterReading'];
}

/** Identifies a quota: the scope of the policy, the host, and the account of a credential that the proxy adds. */
export interface SharedScope {
  readonly name: string;
  /** Each tenant of an upstream has its own. */
  readonly origin: string;
  readonly account: readonly string[];
}

/** Connects the app with what replicas share. The driver of the store is loaded on demand. */
export class FleetSide {
  readonly #options: SharedOptions;
  readonly #fleet: Fleet;
  /** Undefined without `shared.secret`: replies and tokens are stored encrypted, or not at all. */
  readonly #values: SharedValues | undefined;
  readonly #deps: FleetSideDeps;
  /** Names this process in leases. */
  readonly #replica = unguessableId();
  /** By the key of the credential. The newest user hears. */
  readonly #listeners = new LRUCache<string, CredentialListener>({ max: MOST_CREDENTIALS });

  constructor(options: SharedOptions, deps: FleetSideDeps) {
    const { afterReading = endOfTurn, clock, open, random, real = realTime } = deps;
    this.#options = options;
    this.#deps = deps;
    const connected = (name: string, parts: Pick<FleetDeps, 'onState' | 'onNewEngine' | 'replica'>) =>
      new Fleet({
        clock,
        random,
        real,
        afterReading,
        expected: options.replicas,
        open: open ?? ((engine) => openEngine({ ...options, name }, engine)),
        ...parts,
      });
    this.#fleet = connected(options.name, {
      replica: this.#replica,
      onState: (state) => this.#report(state),
      onNewEngine: () => this.#tellLost(),
    });
    this.#fleet.listen(QUOTA_TOPIC, (text) => {
      const [key = '', ...lines] = text.split('\n');
      this.#listeners.get(key)?.heard(lines.join('\n'));
    });
    this.#values =
      options.secret === undefined
        ? undefined
        : new SharedValues(options.secret, {
            clock,
            fleet: connected(`${options.name}:values`, {
              replica: unguessableId(),
              onState: (state) => this.#reportValues(state),
            }),
            onLate: (replies) =>
              deps.logger.info({ replies }, 'replies were written to the shared store, which had been away'),
          });
  }

  get options(): SharedOptions {
    return this.#options;
  }

  /** Replies and tokens. */
  get values(): SharedValues | undefined {
    return this.#values;
  }

  async start(): Promise<void> {
    await Promise.all([this.#fleet.start(), this.#values?.start()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#fleet.close(), this.#values?.close()]);
  }

  /**
   * The state that replicas share in a scope, for the text that identifies a credential. The store gets a hash of it. `learning`:
   * see `learningOf`.
   */
  credentialsOf(scope: SharedScope, learning: string): (credential: string) => SharedCredential {
    const { name, origin, account } = scope;
    return (credential) => {
      const identity = [name, origin, ...account, credential];
      return this.#credential(
        `${name}:${this.#hash(identity)}`,
        `${name}:${this.#hash([...identity, learning])}`,
      );
    };
  }

  /** Resets the learned limits of an upstream in the other replicas. */
  tellReset(upstream: string): void {
    this.#fleet.tell(RESET_TOPIC, upstream);
  }

  onReset(reset: (upstream: string) => void): void {
    this.#fleet.listen(RESET_TOPIC, reset);
  }

  #hash(parts: readonly string[]): string {
    const { secret, store } = this.#options;
    const hash = createHmac('sha256', secret ?? store);
    for (const text of framed(parts)) hash.update(text);
    return hash.digest('base64url').slice(0, HASH_CHARACTERS);
  }

  #credential(windows: string, key: string): SharedCredential {
    const fleet = this.#fleet;
    const replica = this.#replica;
    const leaseOf = (name: string) => `probe:${key}:${name}`;
    let user: CredentialListener | undefined;
    // Windows outlive their users. So they hold none of them.
    const wake = () => user?.pump();
    return {
      tokens: (all) =>
        all.map((window) => {
          const { counts, limit, periodMs } = window;
          return fleet.window(`${windows}:${counts}`, { limit, periodMs, burst: burstOf(window) }, wake);
        }),
      get replicas() {
        return fleet.replicas;
      },
      get away() {
        return fleet.away;
      },
      kept: async () => (await fleet.post((engine) => engine.read(`quota:${key}`)))?.answer,
      keep: (text, ms) => void fleet.post((engine) => engine.write(`quota:${key}`, text, ms)),
      tell: (text) => fleet.tell(QUOTA_TOPIC, `${key}\n${text}`),
      listen: (listener) => {
        user = listener;
        this.#listeners.set(key, listener);
      },
      unlisten: (listener) => {
        user = undefined;
        if (this.#listeners.peek(key) === listener) this.#listeners.delete(key);
      },
      claim: async (name, ms) => {
        const claimed = await fleet.ask((engine) => engine.claim(leaseOf(name), replica, ms));
        const holder = claimed?.answer;
        return holder === undefined || holder.text === replica ? undefined : holder.leftMs;
      },
      learned: (name) => this.#learned(`${key}:${name}`, wake),
      release: (name) => void fleet.post((engine) => engine.exchange(leaseOf(name), replica, '', 0)),
    };
  }

  #learned(key: string, wake: () => void): LearnedUnits {
    const fleet = this.#fleet;
    const numbers = new WindowNumbers(fleet, `learned:${key}`);
    return {
      wake,
      get replicas() {
        return fleet.replicas;
      },
      get away() {
        return fleet.away;
      },
      tokens: (number, { limit, windowMs }) =>
        fleet.window(
          `${key}:${number % LEARNED_WINDOWS}`,
          { limit, periodMs: windowMs * LEARNED_WINDOWS, burst: limit },
          wake,
          planOfLearned(limit, windowMs),
        ),
      refilled: ({ limit, windowMs }) => fleet.window(key, { limit, periodMs: windowMs, burst: limit }, wake),
      window: (ended, resetMs, windowMs) => numbers.find(ended, resetMs, windowMs),
    };
  }

  #tellLost(): void {
    for (const listener of this.#listeners.values()) listener.lost();
  }

  snapshot(): SharedSnapshot {
    const { replicas, roundTrips, state } = this.#fleet;
    const values = this.#values?.snapshot();
    return { store: shownStore(this.#options.store), away: state.away, replicas, roundTrips, values };
  }

  #report({ away, detail }: FleetState): void {
    const { logger, observer } = this.#deps;
    const to = away === undefined ? 'used' : 'away';
    observer.stateChanged('', { type: 'shared_store', scope: '', to, cause: away ?? 'answered' });
    const store = shownStore(this.#options.store);
    const { replicas } = this.#fleet;
    if (away === undefined) {
      this.#tellLost();
      void this.#compareKeys();
    }
    if (away === undefined)
      return this.#deps.logger.info(
        { store, replicas },
        'the shared store is used: quotas hold for all replicas together',
      );
    logger.warn(
      { store, cause: away, replicas, detail: detail && withoutSecrets(detail, this.#options.store) },
      `the shared store is not used (${away}): this replica uses its share of each quota, the limit divided by ${replicas}`,
    );
  }

  /** Replicas with other hashes count each quota apart, and nothing else would say so. */
  async #compareKeys(): Promise<void> {
    const own = this.#hash(['key of the hashes']);
    const before = await this.#fleet.post(async (engine) => {
      const there = await engine.read(KEY_FACT);
      await engine.write(KEY_FACT, own, KEY_MS);
      return there?.text ?? own;
    });
    if (before === undefined || before.answer === own) return;
    this.#deps.logger.warn(
      { store: shownStore(this.#options.store) },
      'another replica has used the shared store with another key (shared.secret, or without it the URL in shared.store): both count each quota apart; after a change of the key, restart all replicas',
    );
  }

  #reportValues({ away, detail }: FleetState): void {
    const { logger } = this.#deps;
    const store = shownStore(this.#options.store);
    if (away === undefined) return logger.info({ store }, 'replies and tokens are shared by all replicas');
    logger.warn(
      { store, cause: away, detail: detail && withoutSecrets(detail, this.#options.store) },
      `replies and tokens are not shared (${away}): this replica knows only its own`,
    );
  }
}

/** Reports about cooldowns: the key of the credential, a newline, and the text. */
const QUOTA_TOPIC = 'quota';

/** The hash of a constant with the key of the replica that was connected last. */
const KEY_FACT = 'key of the hashes';
const KEY_MS = 30 * 86_400_000;

/** An operator has reset the quota of an upstream. */
const RESET_TOPIC = 'quota reset';

/** The most credentials that hear reports. The least recently added one is forgotten first. */
const MOST_CREDENTIALS = 10_000;

/** 132 bits. */
const HASH_CHARACTERS = 22;

async function openEngine(
  { name, store }: SharedOptions,
  parts: Pick<EngineOptions, 'giveUp' | 'onMessage' | 'onLost'>,
): Promise<FleetEngine> {
  const options = { ...parts, url: store, prefix: name, newGeneration: unguessableId };
  if (store.startsWith('redis')) {
    const { openRedis } = await import('../fleet/redis.ts');
    return openRedis(options);
  }
  const { openPostgresEngine } = await import('../fleet/postgres.ts');
  return openPostgresEngine(options);
}

/** Drivers may quote parts of the URL. */
function withoutSecrets(text: string, store: string): string {
  const url = URL.parse(store);
  const password = url?.password ?? '';
  const inQuery = url?.searchParams.get('password') ?? '';
  return [decodeURIComponent(password), password, inQuery]
    .filter((secret) => secret !== '')
    .reduce((shown, secret) => shown.replaceAll(secret, '…'), text);
}
