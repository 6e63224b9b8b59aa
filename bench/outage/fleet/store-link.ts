import type { EngineOptions, FleetEngine } from '../../../src/fleet/engine.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import type { Random } from '../../../src/runtime/random.ts';
import { connectionTo, type FleetStore } from '../../../src/simulate/fleet-engine.ts';

/** A message takes half of this to twice of it, in milliseconds. */
const USUAL_MS = 0.5;

/** How much longer a request and its reply take than usual, in milliseconds. */
export interface Delay {
  readonly requestMs: number;
  readonly replyMs: number;
}

export const NO_DELAY: Delay = { requestMs: 0, replyMs: 0 };

/** The network between replicas and their store. */
export class StoreLink {
  /** The delay of a replica's messages. */
  delay: (replica: number) => Delay = () => NO_DELAY;
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
  async pass<T>(clock: Clock, replica: number, answer: () => T): Promise<T> {
    await this.#travel(clock, this.delay(replica).requestMs);
    const answered = answer();
    await this.#travel(clock, this.delay(replica).replyMs);
    return answered;
  }

  async open(
    clock: Clock,
    replica: number,
    { onLost, onMessage }: Pick<EngineOptions, 'onLost' | 'onMessage'>,
  ): Promise<FleetEngine> {
    await this.#travel(clock, this.delay(replica).requestMs);
    this.#connections.add(onLost);
    return connectionTo(this.#store, onMessage, (answer) => this.pass(clock, replica, answer));
  }

  async #travel(clock: Clock, delayMs: number): Promise<void> {
    await clock.sleep(delayMs + USUAL_MS * (0.5 + 1.5 * this.#random()), new Abort());
    if (this.#gone) throw new Error('the store is gone');
  }
}
