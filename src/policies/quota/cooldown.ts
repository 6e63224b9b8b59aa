import { askedSpreadMs } from '../../http/retry-after.ts';
import type { CooldownCause } from '../../proxy/events.ts';
import type { Random } from '../../runtime/random.ts';
import { ALONE, type CooldownReport, type Replicas } from './cooldown-report.ts';
import { Evidence } from './evidence.ts';
import { gapMs, ProbeTimes } from './probe-times.ts';
import { rampRate } from './ramp.ts';
import type { Throughput } from './throughput.ts';

/** The first cooldown after a refusal without Retry-After. It doubles up to the longest. */
const UNASKED_MIN_MS = 100;
const UNASKED_MAX_MS = 2_000;

/** The longest such cooldown grows with the age of the limit, up to a minute. A limit that lasts is probed less often. */
const UNASKED_SHARE = 0.1;
const UNASKED_LONGEST_MS = 60_000;

/** A longer Retry-After is probed once an hour. One probe costs little, and a wrong header must not stop calls for a year. */
const LONGEST_CLOSED_MS = 3_600_000;

/** The cooldown for a quota that waiting does not restore (billing, a spent budget). */
const PERMANENT_MS = 5 * 60_000;

/** The shortest ramp. A longer one lasts until no call waits: all queued calls at once would exceed the limit again. */
const RAMP_MS = 5000;

/** A Retry-After is rounded up to whole seconds. An answer within its last second does not prove it wrong. */
const ROUNDING_MS = 1000;

/** If an API refuses at random, a cooldown that ends this soon was bad luck. */
const SHORT_MS = 5000;

/** A reply that says "too many". */
export interface Throttling {
  readonly cause: CooldownCause;
  /** The wait that the upstream asked for; undefined if none. */
  readonly askedMs?: number | undefined;
  /** When the refused attempt left. */
  readonly startedAt: number;
  /** The scope of the refused call. */
  readonly scope: string;
}

/** The process that has seen the refusals that started a cooldown. `before`: an earlier one. */
export type Seer = 'this' | 'replica' | 'before';

/**
 * - `off`: every call passes → `active` when refusals are evidence of a limit
 * - `active`: only probes pass, the first within a second, then at growing intervals → `off` if an early answer to a probe shows
 *   that the limit was wrong; `ramp` after a later answer
 * - `ramp`: calls pass at a growing rate → `off` after five seconds, once no call waits; `active` when refusals are evidence of a limit
 */
type State =
  | { readonly name: 'off' }
  | {
      readonly name: 'active';
      /** The end, as the upstream named it or as estimated here. */
      readonly until: number;
      /** `until` without the addition that spreads the callers. */
      readonly named: number;
      readonly cause: CooldownCause;
      readonly probeAt: number;
      readonly probes: number;
      /** Refused probes. With one or more the limit is confirmed. */
      readonly failed: number;
      /** When the first attempt left that was refused. */
      readonly leftAt: number;
      /** The process that has seen the refusals. */
      readonly seenBy: Seer;
    }
  | { readonly name: 'ramp'; readonly since: number };

type Active = Extract<State, { name: 'active' }>;

const OFF: State = { name: 'off' };

/** Which replica may probe, until when. */
interface ProbeLease {
  readonly mine: boolean;
  readonly until: number;
}

/** The end must move by this much before other replicas are informed: a named wait is rounded to seconds. */
const NOTABLE_MS = 1000;

/** A report of the end of a cooldown is of use for this long. */
const REPORTED_MS = 5000;

/** Holds back the callers of a quota after refusals. */
export class Cooldown {
  readonly #random: Random;
  readonly #served: Throughput;
  readonly #evidence: Evidence;
  #state: State = OFF;
  /** Refusals without Retry-After since the last answer. */
  #unnamedWaits = 0;
  #passedAt = -Infinity;
  /** Answers per second when the cooldown started. */
  #servedBefore = 0;
  #activeSince = -Infinity;
  /** For scopes that the evidence does not cover. */
  #uncoveredProbes = new ProbeTimes();
  readonly #replicas: Replicas;
  /** When the latest attempt left that was answered while calls passed. A refusal of an earlier one is no news. */
  #answeredFrom = -Infinity;
  #endedAt = -Infinity;
  #lease: ProbeLease | undefined;

  /**
   * `served`: answers that were not refused. `whole`: the cooldown is for all scopes of a credential. `replicas`: the others that
   * share the cooldown.
   */
  constructor(random: Random, served: Throughput, whole = false, replicas = ALONE) {
    this.#random = random;
    this.#served = served;
    this.#evidence = new Evidence(whole);
    this.#replicas = replicas;
  }

  /** False during the ramp, because calls pass. */
  get isActive(): boolean {
    return this.#state.name === 'active';
  }

  get isOff(): boolean {
    return this.#state.name === 'off';
  }

  /** The cause of the cooldown; undefined while calls pass. */
  get cause(): CooldownCause | undefined {
    return 'cause' in this.#state ? this.#state.cause : undefined;
  }

  /** Milliseconds until its end if no probe is answered before; undefined while calls pass. */
  remainingMs(now: number): number | undefined {
    return this.#state.name === 'active' ? Math.max(0, this.#state.until - now) : undefined;
  }

  /** The process that has seen the refusals. */
  get seenBy(): Seer {
    return this.#state.name === 'active' ? this.#state.seenBy : 'this';
  }

  /** True if the upstream did not name its length. Calls wait only briefly for such a cooldown. */
  get isUnknown(): boolean {
    return this.cause === 'throttled';
  }

  /** Whether the evidence does not cover `scope`. */
  isUncovered(scope: string): boolean {
    return this.isActive && !this.#evidence.covers(scope);
  }

  /**
   * When a call may pass after `ahead` others; Infinity while that depends on a probe. `paceMs`: the shortest interval between
   * calls that meters allow. `uncovered`: see `isUncovered`.
   */
  readyAt(ahead: number, now: number, paceMs: number, uncovered = false): number {
    const state = this.#state;
    switch (state.name) {
      case 'off':
        return -Infinity;
      case 'active':
        return this.#probeAt(state, ahead, now, uncovered);
      case 'ramp':
        return this.#passedAt + (ahead + 1) * Math.max(paceMs, this.#rampMs(state.since, now));
    }
  }

  #probeAt({ probeAt }: Active, ahead: number, now: number, uncovered: boolean): number {
    const leasedAt = this.#lease?.mine === false ? this.#lease.until : -Infinity;
    if (uncovered && this.#uncoveredProbes.due(now)) return leasedAt > now ? leasedAt : -Infinity;
    return ahead === 0 ? Math.max(probeAt, leasedAt) : Infinity;
  }

  /**
   * As `readyAt` for a confirmed limit, otherwise -Infinity. A call that cannot wait so long is refused, and no call may be
   * refused because of a limit that no probe has tested.
   */
  knownAt(ahead: number, now: number, paceMs: number, uncovered = false): number {
    const state = this.#state;
    if (state.name !== 'active') return this.readyAt(ahead, now, paceMs);
    const firm = state.cause === 'permanent' || state.failed > 0;
    // After the end that the upstream named, the probe under way decides, possibly at once.
    if (!firm || state.cause === 'throttled' || state.until <= now) return -Infinity;
    const at = this.readyAt(ahead, now, paceMs, uncovered);
    return at === Infinity ? Math.max(state.probeAt, state.until) : at;
  }

  /** Whether a call may pass only as a probe for which this replica has no lease yet. Call at `readyAt` or later. */
  needsLease(now: number): boolean {
    if (this.#replicas === ALONE || this.#state.name !== 'active') return false;
    return this.#lease === undefined || this.#lease.until <= now;
  }

  /** The result of a request for the lease. Undefined `waitMs`: this replica has it, for `ms`. Otherwise another one, for `waitMs`. */
  leased(waitMs: number | undefined, ms: number, now: number): void {
    const mine = waitMs === undefined;
    if (this.#state.name === 'active') this.#lease = { mine, until: now + (mine ? ms : waitMs) };
    else if (mine) this.#replicas.released();
  }

  /** Call at `readyAt` or later. True: the call is a probe, whose result must be reported. */
  admit(now: number, uncovered = false): boolean {
    const state = this.#state;
    this.#passedAt = now;
    if (state.name !== 'active') return false;
    if (now < state.probeAt && uncovered) this.#uncoveredProbes.probed(now);
    else this.#state = { ...state, probes: state.probes + 1, probeAt: now + gapMs(state.probes + 1) };
    return true;
  }

  /** Call for an attempt that left at `startedAt` and was not refused. */
  answered(startedAt: number, now: number): void {
    const state = this.#state;
    if (state.name !== 'active') {
      this.#evidence.served(startedAt);
      this.#unnamedWaits = 0;
      this.#answeredFrom = Math.max(this.#answeredFrom, startedAt);
      return;
    }
    // An attempt that left before the cooldown says nothing about the present.
    if (startedAt <= this.#activeSince) return;
    const luck = now - this.#activeSince <= SHORT_MS && this.#evidence.isUsual(state.failed);
    const wrong = luck || isWrong(state, now);
    if (wrong) this.#evidence.served(startedAt);
    else this.#evidence.forget();
    this.#over(!wrong, startedAt, now);
    this.#replicas.changed();
    this.#release();
  }

  #over(ramp: boolean, answeredFrom: number, now: number): void {
    this.#state = ramp ? { name: 'ramp', since: now } : OFF;
    this.#unnamedWaits = 0;
    this.#answeredFrom = Math.max(this.#answeredFrom, answeredFrom);
    this.#endedAt = now;
  }

  /** Another replica may probe now. */
  #release(): void {
    const mine = this.#lease?.mine === true;
    this.#lease = undefined;
    if (mine) this.#replicas.released();
  }

  /** The probe ended without a result. The next call becomes the probe. */
  releaseProbe(now: number): void {
    if (this.#state.name !== 'active') return;
    this.#state = { ...this.#state, probeAt: Math.min(this.#state.probeAt, now) };
    if (this.#lease?.mine === true) this.#release();
  }

  /** An attempt was refused. True when the cooldown was open and is closed by it. */
  refused(throttling: Throttling, now: number): boolean {
    const state = this.#state;
    const { scope, startedAt } = throttling;
    const onItsWay = startedAt <= this.#activeSince;
    if (state.name === 'active') {
      this.#confirmed(state, throttling, onItsWay, now);
      return false;
    }
    if (onItsWay) return false;
    // Bad luck of one replica holds back the calls of all.
    const perSecond = this.#served.perSecond(now) * this.#replicas.count;
    const enough = this.#evidence.refused(scope, startedAt, now, perSecond);
    // During the ramp too, one refusal between answers is no limit. Otherwise random refusals would restart the cooldown repeatedly.
    if (!enough && throttling.cause !== 'permanent') return false;
    this.#start(throttling, now);
    this.#replicas.changed();
    return state.name === 'off';
  }

  #confirmed(state: Active, throttling: Throttling, onItsWay: boolean, now: number): void {
    const next = onItsWay ? this.#longer(state, throttling, now) : this.#failed(state, throttling, now);
    this.#state = next;
    this.#evidence.confirmed(throttling.scope);
    if (!onItsWay || next.named - state.named > NOTABLE_MS) this.#replicas.changed();
    if (!onItsWay) this.#release();
  }

  /** The news for other replicas; undefined if there is none. */
  report(now: number): CooldownReport | undefined {
    const state = this.#state;
    if (state.name !== 'active')
      return now - this.#endedAt > REPORTED_MS
        ? undefined
        : { name: 'over', ramp: state.name === 'ramp', leftMsAgo: now - this.#answeredFrom };
    const { cause, failed, leftAt, named, probeAt, probes, until } = state;
    return {
      name: 'active',
      cause,
      ms: Math.max(0, until - now),
      namedMs: Math.max(0, named - now),
      probeMs: Math.max(0, probeAt - now),
      probes,
      failed,
      leftMsAgo: now - leftAt,
      scopes: this.#evidence.scopes,
    };
  }

  /** Applies the report of another replica, or of an earlier process. True if a cooldown starts by it. */
  apply(report: CooldownReport, now: number, seenBy: Seer = 'replica'): boolean {
    const leftAt = now - report.leftMsAgo;
    if (report.name === 'over') {
      if (this.#state.name !== 'active' || leftAt <= this.#activeSince) return false;
      this.#evidence.forget();
      this.#over(report.ramp, leftAt, now);
      this.#lease = undefined;
      return false;
    }
    const wasActive = this.#state.name === 'active';
    // Calls of this replica were answered later, so the refusals were bad luck, or the limit is over.
    if (!wasActive && leftAt <= this.#answeredFrom && report.cause !== 'permanent') return false;
    this.#applyActive(report, { leftAt, seenBy }, now);
    return !wasActive;
  }

  #applyActive(
    report: Extract<CooldownReport, { name: 'active' }>,
    from: Pick<Active, 'leftAt' | 'seenBy'>,
    now: number,
  ): void {
    const before = this.#state;
    const { cause, failed, probes } = report;
    const [until, named, probeAt] = [now + report.ms, now + report.namedMs, now + report.probeMs];
    for (const scope of report.scopes) this.#evidence.confirmed(scope);
    if (before.name !== 'active') {
      this.#begin(now);
      this.#state = { name: 'active', until, named, cause, probeAt, probes, failed, ...from };
    } else if (failed > before.failed) {
      // The result of a probe is newer than everything that is known here.
      this.#state = { ...before, until, named, cause, probeAt, probes, failed };
    } else if (until > before.until) {
      const known = before.cause === 'throttled' ? cause : before.cause;
      this.#state = { ...before, until, named, cause: known };
    }
    if (this.#lease?.mine === false) this.#lease = undefined;
    this.#unnamedWaits = Math.max(this.#unnamedWaits, failed + 1);
  }

  /** Call when the queue is empty. */
  idle(now: number): void {
    if (this.#state.name === 'ramp' && now - this.#state.since >= RAMP_MS) this.#state = OFF;
  }

  #begin(now: number): void {
    this.#activeSince = now;
    this.#servedBefore = this.#served.perSecond(now);
    this.#uncoveredProbes = new ProbeTimes();
    this.#lease = undefined;
  }

  #start(throttling: Throttling, now: number): void {
    const { cause } = throttling;
    const leftAt = Math.min(throttling.startedAt, this.#evidence.firstLeftAt);
    this.#begin(now);
    const { named, until } = this.#end(throttling, now);
    const soon = now + gapMs(0) + askedSpreadMs(gapMs(0), this.#random);
    const probeAt = cause === 'throttled' ? until : Math.min(until, soon);
    this.#state = {
      name: 'active',
      until,
      named,
      cause,
      probeAt,
      probes: 0,
      failed: 0,
      leftAt,
      seenBy: 'this',
    };
  }

  /** A refusal of an attempt that left before the cooldown can only move its end to a later time. */
  #longer(state: Active, { askedMs, cause }: Throttling, now: number): Active {
    if (askedMs === undefined) return state;
    const named = now + Math.min(askedMs, LONGEST_CLOSED_MS);
    if (named <= state.until) return state;
    return { ...state, until: named, named, cause: state.cause === 'throttled' ? cause : state.cause };
  }

  #failed(state: Active, throttling: Throttling, now: number): Active {
    const { named, until } = this.#end(throttling, now);
    const { cause } = throttling;
    const probeAt = cause === 'throttled' ? until : Math.min(until, now + gapMs(state.probes));
    return { ...state, until, named, cause, probeAt, failed: state.failed + 1 };
  }

  #end({ cause, askedMs }: Throttling, now: number): Pick<Active, 'named' | 'until'> {
    const waitMs = this.#waitMs(cause, askedMs, now);
    return { named: now + waitMs, until: now + waitMs + askedSpreadMs(waitMs, this.#random) };
  }

  #waitMs(cause: CooldownCause, askedMs: number | undefined, now: number): number {
    if (cause === 'permanent') return PERMANENT_MS;
    if (askedMs !== undefined && askedMs > 0) return Math.min(askedMs, LONGEST_CLOSED_MS);
    const longest = Math.max(UNASKED_MAX_MS, UNASKED_SHARE * (now - this.#activeSince));
    const doubled = UNASKED_MIN_MS * 2 ** Math.min(this.#unnamedWaits++, 20);
    return Math.min(UNASKED_LONGEST_MS, longest, doubled);
  }

  #rampMs(since: number, now: number): number {
    const replicas = this.#replicas.count;
    return 1000 / rampRate(now - since, this.#servedBefore, this.#served.perSecond(now), replicas);
  }
}

/** True if its end was not near, or if the end was an estimate that no probe had tested. */
function isWrong({ named, cause, failed }: Active, now: number): boolean {
  return now < named - ROUNDING_MS || (cause === 'throttled' && failed === 0);
}
