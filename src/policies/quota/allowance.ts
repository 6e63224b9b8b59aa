import type { QuotaReading } from '../../http/rate-limit.ts';
import type { Random } from '../../runtime/random.ts';
import { type Closing, Gate } from './gate.ts';
import { Gcra } from './gcra.ts';
import { FlowMeter } from './flow-meter.ts';
import type { Meter } from './meter.ts';
import type { QuotaWindow } from './options.ts';
import { Throughput } from './throughput.ts';
import { WindowMeter } from './window-meter.ts';

/** An upstream that speaks of more quotas than this at once is not believed. */
const MOST_METERS = 8;

interface Window {
  readonly name: string;
  readonly counts: QuotaWindow['counts'];
  readonly gcra: Gcra;
}

/** What one attempt has taken. */
export interface Taken {
  readonly at: number;
  readonly cost: number;
  /** It tests a closed gate. */
  readonly probe: boolean;
  /** When the attempt left, and how much had been taken by then by those that had left; undefined before. */
  left: { readonly at: number; readonly mark: number } | undefined;
}

/** What the attempt that brought a reading can have seen; `unseen` in calls, each taken to cost what this one did. */
export interface CallSight {
  readonly startedAt: number;
  readonly unseen: number;
  readonly cost: number;
}

/** What one credential may use of an upstream: the most restrictive of its windows, of what is learned, and of the gate. */
export class Allowance {
  readonly gate: Gate;
  readonly #windows: readonly Window[];
  readonly #meters = new Map<string, Meter>();
  /** Calls let through, and those of them that have left. */
  #admitted = 0;
  #started = 0;

  /** `served`: what the upstream answered so far. */
  constructor(windows: readonly QuotaWindow[], random: Random, served: Throughput = new Throughput()) {
    this.gate = new Gate(random, served);
    this.#windows = windows.map((window) => {
      const { counts, name } = window;
      return { name, counts, gcra: new Gcra(window) };
    });
  }

  /** How many were ever let through. */
  get admitted(): number {
    return this.#admitted;
  }

  get meters(): readonly Meter[] {
    return [...this.#meters.values()];
  }

  get windows(): readonly Window[] {
    return this.#windows;
  }

  /** When an attempt may leave once `ahead` like it have left; not in the past. Infinity: that hangs on the probe. */
  readyAt(ahead: number, cost: number, now: number): number {
    let at = Math.max(now, this.gate.readyAt(ahead, now, this.gate.isOpen ? 0 : this.#paceMs(now)));
    for (const { counts, gcra } of this.#windows) {
      at = Math.max(at, gcra.readyAt(ahead * unitsOf(counts, cost), unitsOf(counts, cost), now));
    }
    for (const meter of this.#meters.values()) {
      const units = unitsOf(meter.unit, cost);
      at = Math.max(at, meter.readyAt(ahead * units, units, now));
    }
    return at;
  }

  /** To be called at `readyAt` or later. */
  take(cost: number, now: number): Taken {
    for (const { counts, gcra } of this.#windows) gcra.take(unitsOf(counts, cost), now);
    for (const meter of this.#meters.values()) meter.take(unitsOf(meter.unit, cost), now);
    this.#admitted++;
    return { at: now, cost, probe: this.gate.pass(now), left: undefined };
  }

  /** The attempt is about to leave. False: it must not, because of what was learned since; give it back. */
  start(taken: Taken, now: number): boolean {
    const stop = this.gate.closed ? !taken.probe : this.#overdrawn(taken.cost, now);
    if (stop) return false;
    taken.left = { at: now, mark: ++this.#started };
    return true;
  }

  /** Nothing of the attempt reached the upstream. */
  giveBack(taken: Taken, now: number): void {
    for (const { counts, gcra } of this.#windows) gcra.refund(unitsOf(counts, taken.cost));
    for (const meter of this.#meters.values())
      meter.refund(unitsOf(meter.unit, taken.cost), taken.at, taken.left?.at);
    // One that had left stays counted as such, or later marks would be off.
    if (taken.left === undefined) this.#admitted--;
    if (taken.probe) this.gate.voided(now);
  }

  /** How many have been let through that the upstream cannot have seen when it answered `taken`. */
  unseen(taken: Taken): number {
    return this.#admitted - (taken.left?.mark ?? this.#started);
  }

  learn(reading: QuotaReading, { startedAt, unseen, cost }: CallSight, now: number): void {
    const key = `${reading.bucket}\n${reading.policy}`;
    let meter = this.#meters.get(key);
    if (meter === undefined) {
      if (this.#meters.size >= MOST_METERS) return;
      meter = reading.flows ? new FlowMeter(reading) : new WindowMeter(reading);
      this.#meters.set(key, meter);
    }
    meter.learn(reading, { startedAt, unseen: unseen * unitsOf(meter.unit, cost) }, now);
  }

  /** True when calls passed before. */
  close(closing: Closing, now: number): boolean {
    return this.gate.close(closing, now);
  }

  /** Whether a meter says that nothing is left until its reset. */
  exhausted(now: number): boolean {
    return this.meters.some((meter) => meter.resetMs(now) !== undefined && meter.remaining(now) === 0);
  }

  #overdrawn(cost: number, now: number): boolean {
    for (const meter of this.#meters.values())
      if (meter.overdrawn(unitsOf(meter.unit, cost), now)) return true;
    return false;
  }

  #paceMs(now: number): number {
    let pace = 0;
    for (const meter of this.#meters.values()) {
      if (meter.unit === 'calls') pace = Math.max(pace, meter.paceMs(now));
    }
    return pace;
  }
}

const unitsOf = (counts: QuotaWindow['counts'], cost: number): number => (counts === 'calls' ? 1 : cost);
