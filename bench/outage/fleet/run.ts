import { FleetSide } from '../../../src/app/fleet-side.ts';
import type { StateEvent } from '../../../src/proxy/events.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import type { Random } from '../../../src/runtime/random.ts';
import { FleetStore } from '../../../src/simulate/fleet-engine.ts';
import { outageScenario } from '../../../src/simulate/scenario.ts';
import { seededRandom, subSeed } from '../../../src/simulate/seeded-random.ts';
import { startSidecar } from '../../../src/simulate/sidecar.ts';
import { type Run, simulateWay, type World } from '../../../src/simulate/simulate.ts';
import { plainSubject } from '../default-policy.ts';
import { Counter, perCall } from './per-call.ts';
import { Replica, type Start } from './replica.ts';
import { type Delay, NO_DELAY, StoreLink } from './store-link.ts';

/** The quota of the provider for all replicas together: so many calls per second, and this burst. */
export const LIMIT = 100;
export const BURST = 5;
const PERIOD_MS = 1_000;

/** The longest wait of a call for its turn, in milliseconds. */
const WAIT_MS = 1_000;

/** A fault of the store, of the way to it, or of the replicas. */
export type Trouble = 'none' | 'cut' | 'slow' | 'slow replies' | 'one slow' | 'stalls' | 'flush' | 'kills';

/** The store is slow. */
const SLOW: Delay = { requestMs: 250, replyMs: 250 };

/** The way from the store is slow, but not that to it. */
const SLOW_REPLIES: Delay = { requestMs: 0, replyMs: 500 };

/** Replicas have no time for their store, each at moments of its own: for so long, about once in so long. */
const STALL_MS = 200;
const STALL_EVERY_MS = 2_000;

/** The trouble lasts from here to here, in milliseconds. */
export const TROUBLE = { fromMs: 10_000, toMs: 20_000 };

/** The last call arrives before this. */
export const END_MS = 30_000;

/** A replica is killed this often. */
const KILL_EVERY_MS = 2_000;

export interface FleetCase {
  /** Calls per second that each replica gets. */
  readonly loads: readonly number[];
  readonly trouble: Trouble;
}

/** How the replicas treat the quota: leases of Breakwater, each for itself, or a counter that each call asks. */
export type Way = 'shared' | 'alone' | 'per call';

/** When a replica began to use the store (`true`), or ceased to. */
export interface Change {
  readonly atMs: number;
  readonly replica: number;
  readonly used: boolean;
}

export interface FleetRun extends Run {
  readonly trouble: Trouble;
  /** Requests to the store, heartbeats included, until the last call arrives. */
  readonly requests: number;
  readonly changes: readonly Change[];
}

const SUBJECT = plainSubject({
  defaults: `quota: { windows: [${LIMIT}/s], wait: ${WAIT_MS}ms }\nretry: off`,
});

/** Replicas of a fleet, with the policies of the data path, at a provider with one quota for all. In virtual time. */
export async function simulateFleet(
  way: Way,
  { loads, trouble }: FleetCase,
  seed: number,
): Promise<FleetRun> {
  const scenario = {
    ...outageScenario({ kind: 'own' }, { faultAtMs: 0, faultMs: END_MS, endMs: END_MS, seed }),
    ratePerSecond: loads.reduce((sum, load) => sum + load, 0),
    callers: loads.length,
    loads,
    capacityPerSecond: Number.POSITIVE_INFINITY,
    serviceMs: 20,
    endpoints: [{ path: '/{n}', troubles: [{ does: QUOTA }] }],
  };
  let fleet: SimulatedFleet | undefined;
  const run = await simulateWay(SUBJECT, scenario, (index, world) => {
    fleet ??= new SimulatedFleet(way, world, { trouble, replicas: loads.length, seed });
    return fleet.replica(index);
  });
  const { changes, requests } = fleet as SimulatedFleet;
  return { ...run, trouble, changes, requests };
}

const EACH_CALL = { limit: LIMIT, periodMs: PERIOD_MS, waitMs: WAIT_MS };

const QUOTA = {
  kind: 'limits',
  per: 'key',
  refill: 'bucket',
  requests: LIMIT,
  windowMs: PERIOD_MS,
  tells: 'nothing',
} as const;

/** The replicas of a run and their store, with the trouble. */
class SimulatedFleet {
  readonly changes: Change[] = [];
  requests = 0;
  readonly #way: Way;
  readonly #world: World;
  readonly #seed: number;
  readonly #count: number;
  readonly #store: FleetStore;
  readonly #link: StoreLink;
  readonly #counter = new Counter();
  readonly #replicas: Replica[] = [];

  constructor(way: Way, world: World, parts: { trouble: Trouble; replicas: number; seed: number }) {
    const { replicas, seed, trouble } = parts;
    [this.#way, this.#world, this.#seed, this.#count] = [way, world, seed, replicas];
    this.#store = new FleetStore(() => world.clock.wallTime());
    this.#link = new StoreLink(this.#store, seededRandom(subSeed(seed, 'link')));
    this.#plan(trouble);
    world.clock.timer(END_MS, () => {
      this.requests = this.#store.requests + this.#counter.requests;
    });
    // By then every call has ended. Without it, heartbeats would go on as long as the simulation does.
    world.clock.timer(END_MS + 2 * WAIT_MS, () => {
      for (const one of this.#replicas) one.stop();
    });
  }

  replica(index: number): Replica {
    const replica = new Replica(this.#world.clock, this.#starter(index));
    this.#replicas.push(replica);
    return replica;
  }

  #plan(trouble: Trouble): void {
    const { clock } = this.#world;
    const { fromMs, toMs } = TROUBLE;
    const link = this.#link;
    if (trouble === 'cut') {
      clock.timer(fromMs, () => link.cut());
      clock.timer(toMs, () => link.restore());
    }
    const delay = this.#delayOf(trouble);
    if (delay !== undefined) {
      clock.timer(fromMs, () => void (link.delay = delay));
      clock.timer(toMs, () => void (link.delay = () => NO_DELAY));
    }
    if (trouble === 'flush') clock.timer(fromMs, () => this.#store.flush());
    if (trouble === 'kills')
      for (let at = fromMs, index = 0; at < toMs; at += KILL_EVERY_MS, index++)
        clock.timer(at, () => this.#replicas[index % this.#count]?.kill());
  }

  #delayOf(trouble: Trouble): StoreLink['delay'] | undefined {
    if (trouble === 'slow') return () => SLOW;
    if (trouble === 'slow replies') return () => SLOW_REPLIES;
    if (trouble === 'one slow') return (replica) => (replica === 0 ? SLOW : NO_DELAY);
    return trouble === 'stalls' ? this.#stalls() : undefined;
  }

  /** A reply that arrives in a stall is read at the end of it. */
  #stalls(): StoreLink['delay'] {
    const { clock } = this.#world;
    const random = seededRandom(subSeed(this.#seed, 'stalls'));
    const ends = Array.from({ length: this.#count }, () => 0);
    const begin = (replica: number): void => {
      ends[replica] = clock.now() + STALL_MS * 2 * random();
      if (clock.now() < TROUBLE.toMs) clock.timer(STALL_EVERY_MS * 2 * random(), () => begin(replica));
    };
    for (const replica of ends.keys())
      clock.timer(TROUBLE.fromMs + STALL_EVERY_MS * random(), () => begin(replica));
    return (replica) => ({ requestMs: 0, replyMs: Math.max(0, (ends[replica] ?? 0) - clock.now()) });
  }

  #starter(index: number): Start {
    return (clock, number) => {
      const { observer, upstream } = this.#world;
      const random = seededRandom(subSeed(this.#seed, `replica ${index} ${number}`));
      const world = { clock, random, observer, upstream };
      const store = { counter: this.#counter, link: this.#link };
      if (this.#way === 'per call') return perCall(EACH_CALL, clock, store, upstream);
      if (this.#way === 'alone') return startSidecar(SUBJECT, world).send;
      const fleet = this.#fleet(clock, random, index);
      const { send } = startSidecar(SUBJECT, { ...world, fleet });
      // A proxy listens when its store has answered, or could not be reached.
      const started = fleet.start();
      return async (call, attempt) => {
        await started;
        return send(call, attempt);
      };
    };
  }

  #fleet(clock: Clock, random: Random, replica: number): FleetSide {
    const stateChanged = (_upstream: string, event: StateEvent) => {
      if (event.type !== 'shared_store') return;
      this.changes.push({ atMs: clock.now(), replica, used: event.to === 'used' });
    };
    return new FleetSide(
      { store: 'redis://simulated', name: 'fleet', replicas: this.#count, secret: undefined },
      {
        clock,
        random,
        logger: SILENT,
        observer: { stateChanged },
        real: () => clock.now(),
        afterReading: (callback) => callback(),
        open: (options) => this.#link.open(clock, replica, options),
      },
    );
  }
}

const SILENT = { info: () => {}, warn: () => {} };
