import { askedSpreadMs } from '../../http/retry-after.ts';
import type { GateCause } from '../../proxy/events.ts';
import type { Random } from '../../runtime/random.ts';
import { Evidence } from './evidence.ts';
import { gapMs, ProbeTimes } from './probe-times.ts';
import { rampRate } from './ramp.ts';
import type { Throughput } from './throughput.ts';

/** The first wait after a refusal that does not say how long; it doubles up to the longest. */
const UNASKED_MIN_MS = 100;
const UNASKED_MAX_MS = 2_000;

/** The longest such wait grows with the age of the closure, up to a minute: an upstream that is closed for long is asked seldom. */
const UNASKED_SHARE = 0.1;
const UNASKED_LONGEST_MS = 60_000;

/** A Retry-After beyond this is asked about once an hour: one probe costs little, and a wrong header must not stop us for a year. */
const LONGEST_CLOSED_MS = 3_600_000;

/** For how long a quota is taken for exhausted that no waiting brings back (billing, a spent budget). */
const PERMANENT_MS = 5 * 60_000;

/** For this long at least, and as long as calls wait: to let them all go at once would be too much again. */
const RAMP_MS = 5000;

/** A Retry-After is rounded up to whole seconds: what is answered in the last of them does not prove it wrong. */
const ROUNDING_MS = 1000;

/** Where an API refuses at random, a closure that ends so soon was bad luck. */
const SHORT_MS = 5000;

/** A reply that says "too many". */
export interface Closing {
  readonly cause: GateCause;
  /** What the upstream asked for; undefined: nothing. */
  readonly askedMs?: number | undefined;
  /** When the attempt left that was refused. */
  readonly startedAt: number;
  /** What the call asked for. */
  readonly scope: string;
}

/**
 * - `open`: all pass → `closed` when refusals are evidence of a limit.
 * - `closed`: probes pass, the first after a second at most, then ever more seldom → `open` when one is answered before `until`, because
 *   the belief was wrong, or soon and the API refuses at random; otherwise `paced`.
 * - `paced`: one at a time, sooner and sooner → `open` after five seconds and when nobody waits, `closed` when refusals are evidence of a limit.
 */
type State =
  | { readonly name: 'open' }
  | {
      readonly name: 'closed';
      /** Until when, by the upstream's word or our guess. */
      readonly until: number;
      /** The same without what is added to spread the callers. */
      readonly named: number;
      readonly cause: GateCause;
      readonly probeAt: number;
      readonly probes: number;
      /** Probes that were refused: the belief is firm. */
      readonly failed: number;
    }
  | { readonly name: 'paced'; readonly since: number };

type Closed = Extract<State, { name: 'closed' }>;

const OPEN: State = { name: 'open' };

/** Holds back the callers of a quota when some of them were refused. */
export class Gate {
  readonly #random: Random;
  readonly #served: Throughput;
  readonly #evidence: Evidence;
  #state: State = OPEN;
  /** Refusals without a word on how long since the last answer. */
  #unasked = 0;
  #passedAt = -Infinity;
  /** Answers a second when it closed. */
  #servedBefore = 0;
  #closedAt = -Infinity;
  /** For scopes that the evidence does not cover. */
  #strangers = new ProbeTimes();

  /** `served`: the answers so far that were not refused. `whole`: it is for all scopes of a credential. */
  constructor(random: Random, served: Throughput, whole = false) {
    this.#random = random;
    this.#served = served;
    this.#evidence = new Evidence(whole);
  }

  /** `paced` counts as open: calls pass. */
  get closed(): boolean {
    return this.#state.name === 'closed';
  }

  get isOpen(): boolean {
    return this.#state.name === 'open';
  }

  /** Why none passes; undefined while calls pass. */
  get cause(): GateCause | undefined {
    return 'cause' in this.#state ? this.#state.cause : undefined;
  }

  /** How long it stays closed if no probe is answered before; undefined while calls pass. */
  closedMs(now: number): number | undefined {
    return this.#state.name === 'closed' ? Math.max(0, this.#state.until - now) : undefined;
  }

  /** Nobody knows how long it stays closed: nobody waits for it longer than for a moment. */
  get isUnknown(): boolean {
    return this.cause === 'throttled';
  }

  /** Whether the evidence does not cover `scope`. */
  isStranger(scope: string): boolean {
    return this.closed && !this.#evidence.covers(scope);
  }

  /**
   * When one may pass once `ahead` have passed before it; Infinity while that hangs on the probes before. `paceMs`: what else is known to
   * be too fast. `stranger`: see `isStranger`.
   */
  readyAt(ahead: number, now: number, paceMs: number, stranger = false): number {
    const state = this.#state;
    switch (state.name) {
      case 'open':
        return -Infinity;
      case 'closed':
        if (stranger && this.#strangers.due(now)) return -Infinity;
        return ahead === 0 ? state.probeAt : Infinity;
      case 'paced':
        return this.#passedAt + (ahead + 1) * Math.max(paceMs, this.#rampMs(state.since, now));
    }
  }

  /**
   * The same as far as it is known, for those who could not wait so long: -Infinity where it is not. Nobody is refused for a belief that no
   * probe has tested.
   */
  knownAt(ahead: number, now: number, paceMs: number, stranger = false): number {
    const state = this.#state;
    if (state.name !== 'closed') return this.readyAt(ahead, now, paceMs);
    const firm = state.cause === 'permanent' || state.failed > 0;
    // Past its end by the upstream's own word only the probe under way can tell, and it may do so at once.
    if (!firm || state.cause === 'throttled' || state.until <= now) return -Infinity;
    const at = this.readyAt(ahead, now, paceMs, stranger);
    return at === Infinity ? Math.max(state.probeAt, state.until) : at;
  }

  /** One passes, at `readyAt` or later. True: it is a probe, and must be settled. */
  pass(now: number, stranger = false): boolean {
    const state = this.#state;
    this.#passedAt = now;
    if (state.name !== 'closed') return false;
    if (now < state.probeAt && stranger) this.#strangers.probed(now);
    else this.#state = { ...state, probes: state.probes + 1, probeAt: now + gapMs(state.probes + 1) };
    return true;
  }

  /** An attempt that left at `startedAt` was not refused. */
  answered(startedAt: number, now: number): void {
    const state = this.#state;
    if (state.name !== 'closed') {
      this.#evidence.served(startedAt);
      this.#unasked = 0;
      return;
    }
    // What was on its way when it closed says nothing about now.
    if (startedAt <= this.#closedAt) return;
    const luck = now - this.#closedAt <= SHORT_MS && this.#evidence.isUsual(state.failed);
    const wrong = luck || isWrong(state, now);
    if (wrong) this.#evidence.served(startedAt);
    else this.#evidence.forget();
    this.#state = wrong ? OPEN : { name: 'paced', since: now };
    this.#unasked = 0;
  }

  /** The probe came to nothing: the next one takes its place. */
  voided(now: number): void {
    if (this.#state.name !== 'closed') return;
    this.#state = { ...this.#state, probeAt: Math.min(this.#state.probeAt, now) };
  }

  /** An attempt was refused. True when the gate was open and is closed by it. */
  refused(closing: Closing, now: number): boolean {
    const state = this.#state;
    const onItsWay = closing.startedAt <= this.#closedAt;
    if (state.name === 'closed') {
      this.#state = onItsWay ? this.#longer(state, closing, now) : this.#failed(state, closing, now);
      this.#evidence.confirmed(closing.scope);
      return false;
    }
    if (onItsWay) return false;
    const { scope, startedAt } = closing;
    const enough = this.#evidence.refused(scope, startedAt, now, this.#served.perSecond(now));
    // Between answers one refusal is no limit while calls are paced either: a random one would close the gate again and again.
    if (!enough && closing.cause !== 'permanent') return false;
    this.#close(closing, now);
    return state.name === 'open';
  }

  /** Nobody waits. */
  idle(now: number): void {
    if (this.#state.name === 'paced' && now - this.#state.since >= RAMP_MS) this.#state = OPEN;
  }

  #close(closing: Closing, now: number): void {
    const { cause } = closing;
    this.#closedAt = now;
    this.#servedBefore = this.#served.perSecond(now);
    this.#strangers = new ProbeTimes();
    const { named, until } = this.#end(closing, now);
    const soon = now + gapMs(0) + askedSpreadMs(gapMs(0), this.#random);
    const probeAt = cause === 'throttled' ? until : Math.min(until, soon);
    this.#state = { name: 'closed', until, named, cause, probeAt, probes: 0, failed: 0 };
  }

  /** What was on its way when it closed knows at most of a later end. */
  #longer(state: Closed, { askedMs, cause }: Closing, now: number): Closed {
    if (askedMs === undefined) return state;
    const named = now + Math.min(askedMs, LONGEST_CLOSED_MS);
    if (named <= state.until) return state;
    return { ...state, until: named, named, cause: state.cause === 'throttled' ? cause : state.cause };
  }

  #failed(state: Closed, closing: Closing, now: number): Closed {
    const { named, until } = this.#end(closing, now);
    const { cause } = closing;
    const probeAt = cause === 'throttled' ? until : Math.min(until, now + gapMs(state.probes));
    return { ...state, until, named, cause, probeAt, failed: state.failed + 1 };
  }

  #end({ cause, askedMs }: Closing, now: number): Pick<Closed, 'named' | 'until'> {
    const waitMs = this.#waitMs(cause, askedMs, now);
    return { named: now + waitMs, until: now + waitMs + askedSpreadMs(waitMs, this.#random) };
  }

  #waitMs(cause: GateCause, askedMs: number | undefined, now: number): number {
    if (cause === 'permanent') return PERMANENT_MS;
    if (askedMs !== undefined && askedMs > 0) return Math.min(askedMs, LONGEST_CLOSED_MS);
    const longest = Math.max(UNASKED_MAX_MS, UNASKED_SHARE * (now - this.#closedAt));
    const doubled = UNASKED_MIN_MS * 2 ** Math.min(this.#unasked++, 20);
    return Math.min(UNASKED_LONGEST_MS, longest, doubled);
  }

  #rampMs(since: number, now: number): number {
    return 1000 / rampRate(now - since, this.#servedBefore, this.#served.perSecond(now));
  }
}

/** Its end was not near, or only a guess that no probe has tested. */
function isWrong({ named, cause, failed }: Closed, now: number): boolean {
  return now < named - ROUNDING_MS || (cause === 'throttled' && failed === 0);
}
