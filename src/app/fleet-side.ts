import { createHmac } from 'node:crypto';
import { Fleet, type FleetState } from '../fleet/fleet.ts';
import type { EngineOptions, FleetEngine } from '../fleet/engine.ts';
import { shownStore } from '../config/show/effective.ts';
import type { SharedOptions } from '../fleet/options.ts';
import { framed } from '../http/credentials.ts';
import { burstOf } from '../policies/quota/gcra.ts';
import type { TokenSources } from '../policies/quota/token-source.ts';
import { realTime, type Clock } from '../runtime/clock.ts';
import { endOfTurn } from '../runtime/event-loop.ts';
import type { Logger } from '../runtime/logger.ts';
import { type Random, unguessableId } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';
import type { SharedSnapshot } from '../telemetry/snapshot.ts';

export interface FleetSideDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly observer: Pick<Observer, 'stateChanged'>;
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
  readonly #deps: FleetSideDeps;

  constructor(options: SharedOptions, deps: FleetSideDeps) {
    const { clock, random } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#fleet = new Fleet({
      clock,
      random,
      real: realTime,
      afterReading: endOfTurn,
      replica: unguessableId(),
      expected: options.replicas,
      open: (parts) => openEngine(options, parts),
      onState: (state) => this.#report(state),
    });
  }

  get options(): SharedOptions {
    return this.#options;
  }

  start(): Promise<void> {
    return this.#fleet.start();
  }

  close(): Promise<void> {
    return this.#fleet.close();
  }

  /** The windows of a scope, for the text that identifies a credential. The store gets a hash of it. */
  windowsOf({ name, origin, account }: SharedScope): (credential: string) => TokenSources {
    const { secret, store } = this.#options;
    return (credential) => {
      const hash = createHmac('sha256', secret ?? store);
      for (const text of framed([name, origin, ...account, credential])) hash.update(text);
      const key = `${name}:${hash.digest('base64url').slice(0, HASH_CHARACTERS)}`;
      return (window, wake) => {
        const { counts, limit, periodMs } = window;
        return this.#fleet.window(`${key}:${counts}`, { limit, periodMs, burst: burstOf(window) }, wake);
      };
    };
  }

  snapshot(): SharedSnapshot {
    const { replicas, roundTrips, state } = this.#fleet;
    return { store: shownStore(this.#options.store), away: state.away, replicas, roundTrips };
  }

  #report({ away, detail }: FleetState): void {
    const { logger, observer } = this.#deps;
    const to = away === undefined ? 'used' : 'away';
    observer.stateChanged('', { type: 'shared_store', scope: '', to, cause: away ?? 'answered' });
    const store = shownStore(this.#options.store);
    const { replicas } = this.#fleet;
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
}

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
