import type { QuotaReading } from '../../http/rate-limit.ts';
import type { Random } from '../../runtime/random.ts';
import { FlowMeter } from './flow-meter.ts';
import { type Closing, Gate } from './cooldown.ts';
import { Gcra } from './gcra.ts';
import type { Meter } from './meter.ts';
import type { QuotaWindow } from './options.ts';
import { ProbeTimes } from './probe-times.ts';
import type { Throughput } from './throughput.ts';
import { WindowMeter } from './window-meter.ts';

/** An upstream that speaks of more quotas than this at once is not believed. */
const MOST_METERS = 8;

/** What so many replies in a row do not say any more holds no longer. */
const FORGOTTEN_AFTER = 20;

interface Window extends Pick<QuotaWindow, 'name' | 'limit' | 'counts'> {
  readonly gcra: Gcra;
}

/** What one attempt has taken of one allowance. */
export interface Taken {
  readonly at: number;
  readonly cost: number;
  /** It tests a closed gate. */
  readonly probe: boolean;
  /** It tests meters that say that nothing is left. */
  readonly risked: boolean;
  /** When the attempt left, and how much had been taken by then by those that had left; undefined before. */
  left: { readonly at: number; readonly mark: number } | undefined;
}

/** What the attempt that brought a reading can have seen; `unseen` in calls, each taken to cost what this one did. */
export interface CallSight {
  readonly startedAt: number;
  readonly unseen: number;
  readonly cost: number;
}

/** How an attempt passes: as a call whose scope no evidence covers, or as a risk (see `riskAt`). */
export interface Passing {
  readonly stranger: boolean;
  readonly risked: boolean;
}

export interface AllowanceOptions {
  readonly windows: readonly QuotaWindow[];
  readonly random: Random;
  /** What the upstream answered so far. */
  readonly served: Throughput;
  /** It is for all scopes of a credential. */
  readonly whole: boolean;
}

/** What may be used of an upstream by one credential, or within one scope of it: the most restrictive of its windows, of what is learned, and of the gate. */
export class Allowance {
  readonly gate: Gate;
  readonly #windows: readonly Window[];
  readonly #meters = new Map<string, Meter>();
  /** Meters that were proved wrong; they count again after a refusal. */
  readonly #doubted = new Set<string>();
  #risks = new ProbeTimes();
  /** Calls let through, and those of them that have left. */
  #admitted = 0;
  #started = 0;
  /** When the last reply came. */
  #heardAt = -Infinity;
  /** Replies since the last one that spoke of a quota. */
  #silence = 0;

  constructor({ windows, random, served, whole }: AllowanceOptions) {
    this.gate = new Gate(random, served, whole);
    this.#windows = windows.map((window) => {
      const { counts, limit, name } = window;
      const gcra = new Gcra(window);
      return { name, limit: Math.max(limit, gcra.burst), counts, gcra };
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
  readyAt(ahead: number, cost: number, now: number, stranger = false): number {
    const gateAt = this.gate.readyAt(ahead, now, this.#gatePaceMs(now), stranger);
    return Math.max(gateAt, this.countedAt(ahead, cost, now));
  }

  /** The same as far as it is known. */
  knownAt(ahead: number, cost: number, now: number, stranger = false): number {
    const gateAt = this.gate.knownAt(ahead, now, this.#gatePaceMs(now), stranger);
    return Math.max(gateAt, this.countedAt(ahead, cost, now));
  }

  /** When windows and meters alone would let it leave. */
  countedAt(ahead: number, cost: number, now: number): number {
    let at = this.#windowsAt(ahead, cost, now);
    for (const meter of this.#meters.values()) {
      const units = unitsOf(meter.unit, cost);
      at = Math.max(at, meter.readyAt(ahead * units, units, now));
    }
    return at;
  }

  /**
   * When an attempt may test the meters that hold it; Infinity where something else holds it. Rule "what is learned may delay; it refuses
   * only what the evidence covers": a call that would be refused because of a meter, or would wait
   * though no reply has come for `quietMs`, is sent when a test is due.
   */
  riskAt(cost: number, now: number, quietMs: number): number {
    if (this.gate.readyAt(0, now, 0) > now || this.#windowsAt(0, cost, now) > now) return Infinity;
    return this.countedAt(0, cost, now) <= now ? now : Math.max(now, this.#risks.at, this.#heardAt + quietMs);
  }

  /** To be called at `readyAt` or later, or at `riskAt`. */
  take(cost: number, now: number, { stranger, risked }: Passing): Taken {
    const tests = risked && this.countedAt(0, cost, now) > now;
    if (tests) this.#risks.probed(now);
    for (const { counts, gcra } of this.#windows) gcra.take(unitsOf(counts, cost), now);
    for (const meter of this.#meters.values()) meter.take(unitsOf(meter.unit, cost), now);
    this.#admitted++;
    return { at: now, cost, probe: this.gate.pass(now, stranger), risked: tests, left: undefined };
  }

  /** Whether the attempt must not leave, because of what was learned since it was let through. */
  holds(taken: Taken, now: number): boolean {
    if (this.gate.closed) return !taken.probe;
    return !taken.risked && this.#overdrawn(taken.cost, now);
  }

  /** The attempt leaves. */
  start(taken: Taken, now: number): void {
    taken.left = { at: now, mark: ++this.#started };
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
    this.#heardAt = now;
    const key = meterKey(reading);
    // One that was proved wrong is believed again when it says something else.
    if (reading.remaining !== 0) this.#doubted.delete(key);
    if (this.#doubted.has(key)) return;
    let meter = this.#meters.get(key);
    if (meter === undefined) {
      if (this.#meters.size >= MOST_METERS) return;
      meter = reading.continuous ? new FlowMeter(reading) : new WindowMeter(reading);
      this.#meters.set(key, meter);
    }
    const units = Math.min(unitsOf(meter.unit, cost), reading.limit ?? Infinity);
    meter.learn(reading, { startedAt, unseen: unseen * units }, now);
  }

  /** What a reading was taken for holds here no longer. */
  forget(reading: QuotaReading): void {
    this.#meters.delete(meterKey(reading));
  }

  /** A reply spoke of a quota, or not. What is said no longer is forgotten. */
  spoken(ofQuota: boolean): void {
    this.#silence = ofQuota ? 0 : this.#silence + 1;
    if (this.#silence < FORGOTTEN_AFTER) return;
    this.#meters.clear();
    this.#doubted.clear();
  }

  /** An attempt was not refused; `taken` is what it had of this allowance. */
  answered(startedAt: number, taken: Taken | undefined, now: number): void {
    this.#heardAt = now;
    this.gate.answered(startedAt, now);
    if (taken?.risked !== true) return;
    for (const [key, meter] of this.#meters) {
      if (meter.remaining(now) !== 0) continue;
      this.#doubted.add(key);
      this.#meters.delete(key);
    }
    this.#risks = new ProbeTimes();
  }

  /** An attempt was refused: what its reply says is to be believed. */
  believe(now: number): void {
    this.#heardAt = now;
    this.#doubted.clear();
  }

  /** An attempt was refused. True when the gate was open and is closed by it. */
  refused(closing: Closing, now: number): boolean {
    // What says when it resets needs no guess of ours.
    if (closing.cause === 'throttled' && this.exhausted(now)) return false;
    return this.gate.refused(closing, now);
  }

  /** Whether a meter says that nothing is left until its reset. */
  exhausted(now: number): boolean {
    return this.meters.some((meter) => meter.resetMs(now) !== undefined && meter.remaining(now) === 0);
  }

  #windowsAt(ahead: number, cost: number, now: number): number {
    let at = now;
    for (const { counts, gcra } of this.#windows) {
      const units = unitsOf(counts, cost);
      at = Math.max(at, gcra.readyAt(ahead * Math.min(units, gcra.burst), units, now));
    }
    return at;
  }

  #overdrawn(cost: number, now: number): boolean {
    for (const meter of this.#meters.values())
      if (meter.overdrawn(unitsOf(meter.unit, cost), now)) return true;
    return false;
  }

  #gatePaceMs(now: number): number {
    if (this.gate.isOpen) return 0;
    let pace = 0;
    for (const meter of this.#meters.values()) {
      if (meter.unit === 'calls') pace = Math.max(pace, meter.paceMs(now));
    }
    return pace;
  }
}

const unitsOf = (counts: QuotaWindow['counts'], cost: number): number => (counts === 'calls' ? 1 : cost);

const meterKey = ({ bucket, policy }: QuotaReading): string => `${bucket}\n${policy}`;
