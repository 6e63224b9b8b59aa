import { Lease } from '../../src/fleet/lease.ts';
import { type Ledger, type LeaseRequest, lease } from '../../src/fleet/ledger.ts';
import { planOf, type WindowLimit } from '../../src/fleet/plan.ts';
import { EventHeap } from '../../src/simulate/event-heap.ts';
import { seededRandom } from '../support/seeded-random.ts';

/** Troubles, each as a probability. */
export interface Troubles {
  /** A message is lost, in either direction. */
  readonly lost: number;
  /** A message takes up to this long. */
  readonly delayMs: number;
  /** Per replica and second: it is killed and started again, or stopped for up to ten seconds. */
  readonly killed: number;
  readonly stopped: number;
  /** Per second: the engine loses its data. */
  readonly flushed: number;
}

export const WELL: Troubles = { lost: 0, delayMs: 2, killed: 0, stopped: 0, flushed: 0 };

interface Replica {
  lease: Lease;
  readonly perSecond: number;
  /** Calls that wait. */
  queue: number;
  /** No event of it happens before this time. */
  stoppedUntil: number;
  generation: number;
  incarnation: number;
  /** When it wakes next. */
  wakesAt: number;
}

/** A request is late after the first time, and gets no reply any more after the second one. */
const PATIENCE_MS = 50;
const DEAD_MS = 3_000;

const HEARTBEAT_MS = 1_000;

/** Replicas, an engine and the messages between them, in virtual time. */
export class FleetWorld {
  /** When calls left. */
  readonly sent: number[] = [];
  requests = 0;
  #now = 0;
  readonly #limit: WindowLimit;
  readonly #troubles: Troubles;
  readonly #random: () => number;
  readonly #replicas: Replica[];
  readonly #events = new EventHeap();
  #ledger: Ledger | undefined;
  #generation = 1;
  readonly #engineOffset: number;

  constructor(limit: WindowLimit, rates: readonly number[], troubles: Troubles, seed: number) {
    this.#limit = limit;
    this.#troubles = troubles;
    this.#random = seededRandom(seed);
    this.#engineOffset = 1e12 + 600_000 * this.#random();
    this.#replicas = rates.map((perSecond) => ({
      lease: this.#newLease(rates.length),
      perSecond,
      queue: 0,
      stoppedUntil: 0,
      generation: 1,
      incarnation: 0,
      wakesAt: Infinity,
    }));
    for (const replica of this.#replicas) {
      this.#at(this.#random() * (1_000 / replica.perSecond), () => this.#call(replica));
      this.#at(this.#random() * HEARTBEAT_MS, () => this.#beat(replica));
    }
    this.#at(1_000, () => this.#second());
  }

  run(ms: number): void {
    const end = this.#now + ms;
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      if (event.at > end) {
        this.#events.push(event.at, event.callback as () => void);
        break;
      }
      this.#now = Math.max(this.#now, event.at);
      event.callback?.();
    }
    this.#now = end;
  }

  /** The most calls in any `periodMs`. */
  most(periodMs: number): number {
    let most = 0;
    let from = 0;
    for (const [i, at] of this.sent.entries()) {
      while ((this.sent[from] as number) <= at - periodMs) from++;
      most = Math.max(most, i - from + 1);
    }
    return most;
  }

  #newLease(replicas: number): Lease {
    const made = new Lease(planOf(this.#limit), this.#random);
    made.setAway(false, this.#now, { connected: true, replicas });
    return made;
  }

  #at(at: number, run: () => void): void {
    this.#events.push(at, run);
  }

  /** Runs when the replica is not stopped, and only if it is still the same process. */
  #on(replica: Replica, at: number, run: () => void): void {
    const { incarnation } = replica;
    this.#at(at, () => {
      if (replica.incarnation !== incarnation) return;
      if (replica.stoppedUntil > this.#now) this.#on(replica, replica.stoppedUntil, run);
      else run();
    });
  }

  #call(replica: Replica): void {
    this.#at(this.#now + (1_000 / replica.perSecond) * (0.5 + this.#random()), () => this.#call(replica));
    if (replica.stoppedUntil > this.#now) return;
    replica.queue = Math.min(500, replica.queue + 1);
    this.#pump(replica);
  }

  #pump(replica: Replica): void {
    while (replica.queue > 0) {
      const at = replica.lease.readyAt(0, 1, this.#now);
      if (at > this.#now) {
        this.#wake(replica, at);
        break;
      }
      replica.lease.take(1, this.#now);
      replica.queue--;
      this.sent.push(this.#now);
    }
    replica.lease.wanted(replica.queue, 1);
    this.#ask(replica);
  }

  #ask(replica: Replica): void {
    const request = replica.lease.ask(this.#now);
    if (request !== undefined) return this.#send(replica, request);
    const at = replica.lease.askAt(this.#now);
    if (at > this.#now && at !== Infinity) this.#wake(replica, at);
  }

  #wake(replica: Replica, at: number): void {
    if (replica.wakesAt <= at && replica.wakesAt > this.#now) return;
    replica.wakesAt = at;
    this.#on(replica, at, () => {
      if (replica.wakesAt !== at) return;
      replica.wakesAt = Infinity;
      this.#pump(replica);
    });
  }

  #send(replica: Replica, request: LeaseRequest): void {
    this.requests++;
    const [sentAt, { lease: asking }] = [this.#now, replica];
    let pending = true;
    this.#on(replica, sentAt + PATIENCE_MS, () => {
      if (!pending) return;
      asking.late(request);
      this.#ask(replica);
    });
    this.#on(replica, sentAt + DEAD_MS, () => {
      if (pending) asking.lost(request);
      pending = false;
    });
    this.#message(() => {
      const reply = lease(this.#ledger, request, this.#now + this.#engineOffset);
      this.#ledger = reply.ledger;
      this.#message(() => {
        this.#on(replica, this.#now, () => {
          if (asking !== replica.lease || !pending) return;
          pending = false;
          asking.heard(request, reply, sentAt, this.#now);
          this.#pump(replica);
        });
      });
    });
  }

  #message(arrive: () => void): void {
    const { delayMs, lost } = this.#troubles;
    if (this.#random() >= lost) this.#at(this.#now + this.#random() * delayMs, arrive);
  }

  #beat(replica: Replica): void {
    this.#at(this.#now + HEARTBEAT_MS, () => this.#beat(replica));
    if (replica.stoppedUntil > this.#now || replica.generation === this.#generation) return;
    replica.generation = this.#generation;
    const request = replica.lease.announce(this.#now);
    if (request !== undefined) this.#send(replica, request);
  }

  #second(): void {
    this.#at(this.#now + 1_000, () => this.#second());
    const { flushed, killed, stopped } = this.#troubles;
    if (this.#random() < flushed) {
      this.#ledger = undefined;
      this.#generation++;
    }
    for (const replica of this.#replicas) {
      if (this.#random() < stopped) replica.stoppedUntil = this.#now + 10_000 * this.#random();
      if (this.#random() >= killed) continue;
      replica.incarnation++;
      replica.wakesAt = Infinity;
      replica.queue = 0;
      replica.lease = this.#newLease(this.#replicas.length);
    }
  }
}
