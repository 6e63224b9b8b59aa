import type { QuotaReading } from '../../http/rate-limit.ts';
import type { Random } from '../../runtime/random.ts';
import { FlowMeter } from './flow-meter.ts';
import { type Throttling, Cooldown } from './cooldown.ts';
import { ALONE, type Replicas } from './cooldown-report.ts';
import { Gcra } from './gcra.ts';
import { isSameWindow } from './counted-windows.ts';
import type { TokenSource, TokenSources } from './token-source.ts';
import type { Meter } from './meter.ts';
import type { QuotaWindow } from './options.ts';
import type { Debt } from './quota-memory.ts';
import { ProbeTimes } from './probe-times.ts';
import type { Throughput } from './throughput.ts';
import type { LearnedUnits } from './shared-credential.ts';
import { SharedFlowMeter } from './shared-flow-meter.ts';
import { SharedMeter } from './shared-meter.ts';
import { WindowMeter } from './window-meter.ts';

/** An upstream that reports more quotas than this at once is not trusted with the rest. */
const MOST_METERS = 8;

/** Learned limits are forgotten after this many replies in a row without quota headers. */
const FORGOTTEN_AFTER = 20;

interface Window extends Pick<QuotaWindow, 'name' | 'limit' | 'periodMs' | 'counts'> {
  readonly tokens: TokenSource;
  /** That of `tokens`, until the window changes. */
  readonly burst: number;
}

/** The tokens that one attempt has reserved at one limiter. */
export class Reservation {
  readonly limiter: Limiter;
  /** When the tokens were taken. */
  readonly at: number;
  readonly cost: number;
  /** The attempt is the probe of a cooldown. */
  readonly probe: boolean;
  /** The attempt tests meters that say that nothing is left. */
  readonly testsMeters: boolean;
  /** The windows that the tokens are of. A reload may change those of the limiter. */
  readonly windows: readonly Window[];
  /** By window, if units are leased; undefined otherwise. */
  readonly receipts: readonly unknown[] | undefined;
  /** When the attempt left; undefined before. */
  sentAt: number | undefined = undefined;
  /** The number of attempts that had left by then. */
  mark = 0;

  constructor(
    limiter: Limiter,
    at: number,
    {
      cost,
      probe,
      testsMeters,
      windows,
      receipts,
    }: Pick<Reservation, 'cost' | 'probe' | 'testsMeters' | 'windows' | 'receipts'>,
  ) {
    this.limiter = limiter;
    this.at = at;
    this.cost = cost;
    this.probe = probe;
    this.testsMeters = testsMeters;
    this.windows = windows;
    this.receipts = receipts;
  }

  /** Whether the attempt must wait again, because of a limit learned since it was admitted. */
  isHeld(now: number): boolean {
    return this.limiter.holds(this, now);
  }

  /** The next attempt may be the probe. */
  releaseProbe(now: number): void {
    if (this.probe) this.limiter.cooldown.releaseProbe(now);
  }
}

/** The attempt that brought a reading. `unseen`: calls that the upstream cannot have counted yet; each is assumed to cost as much. */
export interface CallContext {
  readonly startedAt: number;
  readonly unseen: number;
  readonly cost: number;
}

export interface LimiterOptions {
  readonly windows: readonly QuotaWindow[];
  readonly random: Random;
  /** Answers of the upstream that were not refused. */
  readonly served: Throughput;
  /** The limiter is for all scopes of a credential. */
  readonly whole: boolean;
  /** The units of the windows; undefined: counted here. */
  readonly sources?: TokenSources | undefined;
  /** The replicas that share the cooldown; undefined: none. */
  readonly replicas?: Replicas | undefined;
  /** Called when a call takes units, and for each result: what a later process is to know has changed. */
  readonly onChange?: (() => void) | undefined;
  /** The units of a learned limit that replicas share; undefined: none are shared. */
  readonly unitsOf?: ((limit: MeterKey) => LearnedUnits) | undefined;
}

/** Limits calls of one credential, or of one scope of it: by the strictest of its windows, its learned meters and its cooldown. */
export class Limiter {
  readonly cooldown: Cooldown;
  readonly #sources: TokenSources;
  #windows: readonly Window[];
  /** A list and not a map: there are few, and each attempt asks them all several times. */
  #meters: Meter[] = [];
  /** Meters that a test proved wrong. They count again after a refusal. */
  #distrusted: Meter[] = [];
  #meterTests = new ProbeTimes();
  /** Admitted calls, and those of them that have left. */
  #admitted = 0;
  #started = 0;
  /** Attempts that had left and have a result. */
  #finished = 0;
  readonly #onChange: LimiterOptions['onChange'];
  /** When the last reply came. */
  #lastReplyAt = -Infinity;
  /** Replies since the last one with quota headers. */
  #repliesWithoutQuota = 0;
  #heldUntil = -Infinity;
  readonly #unitsOf: LimiterOptions['unitsOf'];
  readonly #replicas: Replicas;

  constructor({
    windows,
    random,
    served,
    whole,
    sources = (all) => all.map((window) => new Gcra(window)),
    replicas,
    onChange,
    unitsOf: learned,
  }: LimiterOptions) {
    this.#onChange = onChange;
    this.#unitsOf = learned;
    this.#replicas = replicas ?? ALONE;
    this.cooldown = new Cooldown(random, served, whole, replicas);
    this.#sources = sources;
    this.#windows = this.#sourced(windows);
  }

  #sourced(windows: readonly QuotaWindow[]): readonly Window[] {
    const sources = this.#sources(windows);
    return windows.map(({ counts, limit, name, periodMs }, i) => {
      const tokens = sources[i] as TokenSource;
      const { burst } = tokens;
      return { name, limit: Math.max(limit, burst), periodMs, counts, tokens, burst };
    });
  }

  /** The configured windows change. What was learned stays. */
  follow(windows: readonly QuotaWindow[]): void {
    this.#windows = this.#sourced(windows);
  }

  /** Units of its windows are leased, so they come only to calls that say that they wait (`wanted`). */
  get isLeased(): boolean {
    return this.#windows[0]?.tokens.wanted !== undefined;
  }

  /** The number of calls admitted so far. */
  get admitted(): number {
    return this.#admitted;
  }

  get meters(): readonly Meter[] {
    return this.#meters;
  }

  get windows(): readonly Window[] {
    return this.#windows;
  }

  /** When an attempt may leave after `ahead` like it, at `now` or later. Infinity: that depends on a probe. */
  readyAt(ahead: number, cost: number, now: number, uncovered = false): number {
    const cooldownAt = this.cooldown.readyAt(ahead, now, this.#rampPaceMs(now), uncovered);
    return Math.max(cooldownAt, this.#heldUntil, this.countedAt(ahead, cost, now));
  }

  /** No call leaves before `until`: replicas may know of a limit. */
  hold(until: number): void {
    this.#heldUntil = until;
  }

  /** As `readyAt`, from confirmed limits only. */
  knownAt(ahead: number, cost: number, now: number, uncovered = false): number {
    const cooldownAt = this.cooldown.knownAt(ahead, now, this.#rampPaceMs(now), uncovered);
    return Math.max(cooldownAt, this.countedAt(ahead, cost, now));
  }

  /** As `readyAt`, from windows and meters only. */
  countedAt(ahead: number, cost: number, now: number): number {
    let at = this.#windowsAt(ahead, cost, now);
    for (const meter of this.#meters) {
      const units = unitsOf(meter.unit, cost);
      at = Math.max(at, meter.readyAt(ahead * units, units, now));
    }
    return at;
  }

  /**
   * When an attempt may test the meters that hold it; Infinity if something else holds it. A call is sent as a test instead of
   * being refused because of a meter, or of waiting while no reply has come for `quietMs`. A meter may be wrong.
   */
  meterTestAt(cost: number, now: number, quietMs: number): number {
    if (
      this.#heldUntil > now ||
      this.cooldown.readyAt(0, now, 0) > now ||
      this.#windowsAt(0, cost, now) > now
    )
      return Infinity;
    return this.countedAt(0, cost, now) <= now
      ? now
      : Math.max(now, this.#meterTests.at, this.#lastReplyAt + quietMs);
  }

  /**
   * Reserves tokens. Call at `readyAt` or later, or at `meterTestAt`. `uncovered`: as a call whose scope no evidence covers.
   * `testsMeters`: as a test of meters (`meterTestAt`).
   */
  take(cost: number, now: number, uncovered: boolean, testsMeters: boolean): Reservation {
    const tests = testsMeters && this.countedAt(0, cost, now) > now;
    if (tests) this.#meterTests.probed(now, this.#replicas.count);
    const receipts = this.#takeUnits(cost, now);
    for (const meter of this.#meters) meter.take(unitsOf(meter.unit, cost), now);
    this.#admitted++;
    this.#onChange?.();
    const probe = this.cooldown.admit(now, uncovered);
    const windows = this.#windows;
    return new Reservation(this, now, { cost, probe, testsMeters: tests, windows, receipts });
  }

  /** How many calls wait, and the cost of the first of them. */
  wanted(calls: number, cost: number, now: number): void {
    for (const { counts, tokens } of this.#windows) {
      const units = unitsOf(counts, cost);
      tokens.wanted?.(calls * units, units);
    }
    for (const meter of this.#meters) {
      const units = unitsOf(meter.unit, cost);
      meter.wanted?.(calls * units, units, now);
    }
  }

  /** Whether the attempt must wait again, because of a limit learned since it was admitted. */
  holds(reservation: Reservation, now: number): boolean {
    if (this.cooldown.isActive) return !reservation.probe;
    return !reservation.testsMeters && this.#overdrawn(reservation.cost, now);
  }

  /** Call when the attempt leaves. */
  start(reservation: Reservation, now: number): void {
    reservation.sentAt = now;
    reservation.mark = ++this.#started;
  }

  /** Call when an attempt has a result, before anything is learned from it. */
  finish({ sentAt }: Reservation): void {
    if (sentAt !== undefined) this.#finished++;
  }

  /** Call if nothing of the attempt reached the upstream. */
  refund(reservation: Reservation, now: number): void {
    this.#onChange?.();
    for (const [i, window] of reservation.windows.entries())
      window.tokens.refund(takenOf(window, reservation.cost), reservation.receipts?.[i]);
    for (const meter of this.#meters)
      meter.refund(unitsOf(meter.unit, reservation.cost), reservation.at, reservation.sentAt);
    // An attempt that had left stays counted, because later marks build on the count.
    if (reservation.sentAt === undefined) this.#admitted--;
    reservation.releaseProbe(now);
  }

  /** Call when the reply of an attempt that left has stated its real cost. */
  correct({ at, cost, sentAt, windows }: Reservation, actual: number, now: number): void {
    this.#onChange?.();
    for (const window of windows)
      if (window.counts === 'cost') window.tokens.correct(takenOf(window, cost), actual);
    const times = { takenAt: at, leftAt: sentAt ?? now };
    for (const meter of this.#meters) if (meter.unit === 'cost') meter.correct(cost, actual, times, now);
  }

  /** How many have been let through that the upstream cannot have seen when it answered `taken`. */
  unseen(reservation: Reservation): number {
    const { mark, sentAt } = reservation;
    return this.#admitted - (sentAt === undefined ? this.#started : mark);
  }

  /** As `learn`, of a reading that another replica has seen, of an attempt that left at `startedAt`. */
  learnRemote(reading: QuotaReading, startedAt: number, now: number): void {
    const repliedAt = this.#lastReplyAt;
    this.learn(reading, { startedAt, unseen: this.#admitted - this.#finished, cost: 1 }, now);
    // It came to another replica. Here, it ends no wait for a reply.
    this.#lastReplyAt = repliedAt;
  }

  /** The used units of the windows that are counted here. */
  debts(now: number): readonly Debt[] {
    return this.#windows.flatMap(({ counts, periodMs, tokens }) => {
      const debt = tokens.debt?.(now);
      return debt === undefined ? [] : { counts, periodMs, ...debt };
    });
  }

  /** Units of the windows that an earlier process has used. */
  owe(debts: readonly Debt[], now: number): void {
    for (const window of this.#windows)
      for (const debt of debts) if (isSameWindow(debt, window)) window.tokens.owe?.(debt.units, now);
  }

  /** The limits that the upstream has stated, with a known reset. */
  readings(now: number): readonly QuotaReading[] {
    return this.#meters.flatMap((meter) => meter.reading?.(now) ?? []);
  }

  /** True if the reading is news for other replicas: of a limit or a window that was not known, or of the end of its units. */
  learn(reading: QuotaReading, { startedAt, unseen, cost }: CallContext, now: number): boolean {
    this.#lastReplyAt = now;
    // A meter that was proved wrong is trusted again once it reports something else.
    if (reading.remaining !== 0) this.#distrusted = without(this.#distrusted, reading);
    if (meterOf(reading, this.#distrusted) !== undefined) return false;
    const meter = meterOf(reading, this.#meters) ?? this.#added(reading);
    if (meter === undefined) return false;
    const known = statedRest(meter, now);
    const units = Math.min(unitsOf(meter.unit, cost), reading.limit ?? Infinity);
    const unanswered = (this.#admitted - this.#finished) * units;
    meter.learn(reading, { startedAt, unseen: unseen * units, unanswered }, now);
    // Without a reset, or from a window that is over, a reading is of no use, here and at other replicas.
    if (statedRest(meter, now) === undefined) return false;
    return known === undefined || (reading.remaining === 0 && known > 0);
  }

  #added(reading: QuotaReading): Meter | undefined {
    if (this.#meters.length >= MOST_METERS) return undefined;
    const meter = this.#newMeter(reading);
    this.#meters.push(meter);
    return meter;
  }

  #newMeter(reading: QuotaReading): Meter {
    const units = this.#unitsOf?.(reading);
    if (reading.continuous)
      return units === undefined ? new FlowMeter(reading) : new SharedFlowMeter(reading, units);
    const own = new WindowMeter(reading);
    return units === undefined ? own : new SharedMeter(own, units);
  }

  /** Call for the result of an attempt, after its reading was learned. A test says nothing about the rate of a meter. */
  observe({ cost, sentAt, testsMeters }: Reservation, refused: boolean, now: number): void {
    if (sentAt === undefined || testsMeters) return;
    for (const meter of this.#meters) meter.observe(unitsOf(meter.unit, cost), sentAt, refused, now);
  }

  /** Removes the meter of a reading that does not hold here. */
  forget(reading: QuotaReading): void {
    this.#meters = without(this.#meters, reading);
  }

  /** Call for each reply. Meters are forgotten after `FORGOTTEN_AFTER` replies without quota headers. */
  countReply(ofQuota: boolean): void {
    this.#repliesWithoutQuota = ofQuota ? 0 : this.#repliesWithoutQuota + 1;
    if (this.#repliesWithoutQuota < FORGOTTEN_AFTER) return;
    this.#meters = [];
    this.#distrusted = [];
  }

  /** An attempt was not refused; `reservation`: its tokens of this limiter. */
  answered(startedAt: number, reservation: Reservation | undefined, now: number): void {
    this.#onChange?.();
    this.#lastReplyAt = now;
    this.cooldown.answered(startedAt, now);
    if (reservation?.testsMeters !== true) return;
    for (const meter of this.#meters) {
      if (!meter.testAnswered(unitsOf(meter.unit, reservation.cost), now)) continue;
      this.#distrusted.push(meter);
      this.#meters = without(this.#meters, meter);
      this.#meterTests = new ProbeTimes();
    }
  }

  /** Call for a refused attempt: the quota headers of its reply are trusted. */
  trustReadings(now: number): void {
    this.#onChange?.();
    this.#lastReplyAt = now;
    this.#distrusted = [];
  }

  /** Call for a refused attempt. True if the refusal starts a cooldown. */
  refused(throttling: Throttling, now: number): boolean {
    // A meter that knows its reset needs no estimated cooldown.
    if (throttling.cause === 'throttled' && this.exhausted(now)) return false;
    return this.cooldown.refused(throttling, now);
  }

  /** Whether a meter says that nothing is left until its reset. */
  exhausted(now: number): boolean {
    return this.meters.some((meter) => meter.resetMs(now) !== undefined && meter.remaining(now) === 0);
  }

  #windowsAt(ahead: number, cost: number, now: number): number {
    let at = now;
    for (const { counts, tokens } of this.#windows) {
      const units = unitsOf(counts, cost);
      at = Math.max(at, tokens.readyAt(ahead * Math.min(units, tokens.burst), units, now));
    }
    return at;
  }

  #takeUnits(cost: number, now: number): unknown[] | undefined {
    let receipts: unknown[] | undefined;
    for (const { counts, tokens } of this.#windows) {
      const receipt = tokens.take(unitsOf(counts, cost), now);
      if (this.isLeased) receipts = receipts === undefined ? [receipt] : [...receipts, receipt];
    }
    return receipts;
  }

  #overdrawn(cost: number, now: number): boolean {
    for (const meter of this.#meters) if (meter.overdrawn(unitsOf(meter.unit, cost), now)) return true;
    return false;
  }

  #rampPaceMs(now: number): number {
    if (this.cooldown.isOff) return 0;
    let pace = 0;
    for (const meter of this.#meters) {
      if (meter.unit === 'calls') pace = Math.max(pace, meter.paceMs(now));
    }
    return pace;
  }
}

const unitsOf = (counts: QuotaWindow['counts'], cost: number): number => (counts === 'calls' ? 1 : cost);

/** The units that a call took of a window, which may have another burst by now. */
const takenOf = ({ burst, counts }: Window, cost: number): number => Math.min(unitsOf(counts, cost), burst);

/** Units that are left, as the upstream has stated for the current window; undefined if it has not. */
const statedRest = (meter: Meter, now: number): number | undefined =>
  meter.isGuessed === true ? undefined : meter.remaining(now);

export type MeterKey = Pick<Meter, 'bucket' | 'policy'>;

function meterOf({ bucket, policy }: MeterKey, meters: readonly Meter[]): Meter | undefined {
  for (const meter of meters) if (meter.bucket === bucket && meter.policy === policy) return meter;
  return undefined;
}

function without(meters: Meter[], key: MeterKey): Meter[] {
  const found = meterOf(key, meters);
  return found === undefined ? meters : meters.filter((meter) => meter !== found);
}
