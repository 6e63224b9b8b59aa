import type { EngineOptions } from '../../src/fleet/engine.ts';
import { Fleet, type FleetState } from '../../src/fleet/fleet.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { connectionTo, FleetStore } from '../../src/simulate/fleet-engine.ts';
import { FakeClock } from './fake-clock.ts';

const EPOCH = 1e12;

let names = 0;

/** A replica on an engine that a test makes slow, cuts or flushes. */
export class EngineWorld {
  readonly clock: FakeClock;
  readonly store: FleetStore;
  /** Milliseconds of each request. */
  delayMs = 1;
  /** Milliseconds in which the process was busy so far, so that its timers are late by then. */
  busyMs = 0;
  /** Requests and connections fail. */
  gone = false;
  /** Connections are accepted, and nothing is answered. */
  silent = false;
  /** Connections are accepted, and requests fail: the engine is read-only, or has no memory left. */
  refuses = false;
  /** Connections so far. */
  connected = 0;
  readonly states: FleetState[] = [];
  readonly #connections: EngineOptions['onLost'][] = [];

  /** `other`: a world with the same store, which has troubles of its own. */
  constructor(other?: EngineWorld) {
    this.clock = other?.clock ?? new FakeClock();
    this.store = other?.store ?? new FleetStore(() => EPOCH + this.clock.now());
  }

  fleet(expected = 1): Fleet {
    return new Fleet({
      clock: this.clock,
      real: () => this.clock.now() + this.busyMs,
      random: () => 0.5,
      afterReading: (callback) => callback(),
      replica: `replica ${++names}`,
      expected,
      onState: (state) => this.states.push(state),
      open: async ({ giveUp, onLost, onMessage }) => {
        if (this.silent) return rejectedBy(giveUp);
        await this.clock.sleep(this.delayMs, new Abort());
        if (this.gone) throw new Error('connect ECONNREFUSED');
        this.#connections.push(onLost);
        this.connected++;
        return connectionTo(this.store, onMessage, async (answer) => {
          if (this.gone || this.refuses) throw new Error('gone');
          await this.clock.sleep(this.delayMs, new Abort());
          return answer();
        });
      },
    });
  }

  async started(expected = 1): Promise<Fleet> {
    const fleet = this.fleet(expected);
    const started = fleet.start();
    await this.clock.advance(2 * this.delayMs + 1);
    await started;
    return fleet;
  }

  cut(): void {
    this.gone = true;
    for (const onLost of this.#connections.splice(0)) onLost(new Error('the connection ended'));
  }

  get away(): readonly (string | undefined)[] {
    return this.states.map(({ away }) => away);
  }
}

const rejectedBy = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
