import type { EngineOptions, FleetEngine } from '../../../src/fleet/engine.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import type { Random } from '../../../src/runtime/random.ts';
import { connectionTo, type FleetStore } from '../../../src/simulate/fleet-engine.ts';

/** A message takes half of this to twice of it, in milliseconds. */
const USUAL_MS = 0.5;

/** A round trip to a slow store, in milliseconds. */
const SLOW_MS = 500;

/** The network between replicas and their store. */
export class StoreLink {
  slow = false;
  readonly #store: FleetStore;
  readonly #random: Random;
  readonly #connections = new Set<EngineOptions['onLost']>();
  #gone = false;

  constructor(store: FleetStore, random: Random) {
    this.#store = store;
    this.#random = random;
  }

  cut(): void {
    this.#gone = true;
    for (const onLost of this.#connections) onLost(new Error('the connection has ended'));
    this.#connections.clear();
  }

  restore(): void {
    this.#gone = false;
  }

  /** One round trip. Rejects if the store is gone. `clock`: of the process that asks. */
  async pass<T>(clock: Clock, answer: () => T): Promise<T> {
    await this.#travel(clock);
    const answered = answer();
    await this.#travel(clock);
    return answered;
  }

  async open(
    clock: Clock,
    { onLost, onMessage }: Pick<EngineOptions, 'onLost' | 'onMessage'>,
  ): Promise<FleetEngine> {
    await this.#travel(clock);
    this.#connections.add(onLost);
    return connectionTo(this.#store, onMessage, (answer) => this.pass(clock, answer));
  }

  async #travel(clock: Clock): Promise<void> {
    await clock.sleep(this.slow ? SLOW_MS / 2 : USUAL_MS * (0.5 + 1.5 * this.#random()), new Abort());
    if (this.#gone) throw new Error('the store is gone');
  }
}
