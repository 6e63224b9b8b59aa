import type { GateCause } from '../../proxy/events.ts';
import type { Random } from '../../runtime/random.ts';
import type { Throughput } from './throughput.ts';

/** The first wait after a throttled reply that does not say how long, and the longest; it doubles in between. */
const UNASKED_MIN_MS = 100;
const UNASKED_MAX_MS = 2_000;

/** A Retry-After beyond this is asked about once an hour: one probe costs little, and an absurd header must not shut us up for a year. */
const LONGEST_CLOSED_MS = 3_600_000;

/** How long a quota is taken for exhausted that no waiting brings back (billing, a spent budget). */
const PERMANENT_MS = 5 * 60_000;

/** Right after the probe calls go at half the rate that the upstream served before it was too much, a second, and at least this. */
const FIRST_SHARE = 0.5;
const FIRST_RATE = 10;

/** The rate doubles every second up to what was served before (or this), and grows by a tenth a second from there. */
const KNEE_RATE = 20;
const GROWTH = 1.1;

/** For this long at least, and as long as calls wait: to let them all go at once would be too much again. */
const RAMP_MS = 5000;

/** Calls a second, `sinceMs` after the probe was answered, to an upstream that served `served` a second before. */
function rampRate(sinceMs: number, served: number): number {
  const first = Math.max(FIRST_RATE, FIRST_SHARE * served);
  const knee = Math.max(KNEE_RATE, served);
  const doubled = first * 2 ** (sinceMs / 1000);
  return doubled < knee ? doubled : knee * GROWTH ** (sinceMs / 1000 - Math.log2(knee / first));
}

/** As after a Retry-After in a retry: a tenth on top, so that all who were told the same do not come at the same moment. */
function jitterMs(waitMs: number, random: Random): number {
  return random() * Math.min(5000, Math.max(50, 0.1 * waitMs));
}

/** Why and for how long to close. */
export interface Closing {
  readonly cause: GateCause;
  /** What the upstream asked for; undefined: nothing. */
  readonly askedMs?: number | undefined;
  /** When the attempt left that was throttled. */
  readonly startedAt: number;
}

/**
 * - `open`: all pass → `closed` when a reply says "too many".
 * - `closed`: none passes until `until` → `probing` with the first that passes then.
 * - `probing`: one is on its way, none else passes → `paced` when it is answered, `closed` when it is throttled
 *   too, and again due at once when it says nothing (never sent, client gone).
 * - `paced`: one at a time, sooner and sooner → `open` after five seconds and when nobody waits.
 */
type State =
  | { readonly name: 'open' }
  | { readonly name: 'closed'; readonly until: number; readonly cause: GateCause }
  | { readonly name: 'probing'; readonly cause: GateCause }
  | { readonly name: 'paced'; readonly since: number };

const OPEN: State = { name: 'open' };

/** Closes for all callers of a quota when one of them was told to wait. */
export class Gate {
  readonly #random: Random;
  #state: State = OPEN;
  /** Since when nothing was throttled without a word on how long. */
  #unasked = 0;
  #passedAt = -Infinity;
  /** Answers a second when it closed. */
  #servedBefore = 0;
  /** Answers that were not throttled. */
  readonly #served: Throughput;
  #closedAt = -Infinity;

  /** `served`: what the upstream answered so far. */
  constructor(random: Random, served: Throughput) {
    this.#random = random;
    this.#served = served;
  }

  /** `paced` counts as open: calls pass. */
  get closed(): boolean {
    return this.#state.name === 'closed' || this.#state.name === 'probing';
  }

  get isOpen(): boolean {
    return this.#state.name === 'open';
  }

  /** Why none passes; undefined while calls pass. */
  get cause(): GateCause | undefined {
    return 'cause' in this.#state ? this.#state.cause : undefined;
  }

  /** Until a probe may pass; 0 while one is under way, undefined while calls pass. */
  closedMs(now: number): number | undefined {
    if (!this.closed) return undefined;
    return this.#state.name === 'closed' ? Math.max(0, this.#state.until - now) : 0;
  }

  /** Nobody knows how long it stays closed: to wait for it longer than for a moment is in vain. */
  get isUnknown(): boolean {
    return this.cause === 'throttled';
  }

  /**
   * When one may pass once `ahead` have passed before it; Infinity while that hangs on the probe. `paceMs`: what else is
   * known to be too fast.
   */
  readyAt(ahead: number, now: number, paceMs: number): number {
    switch (this.#state.name) {
      case 'open':
        return -Infinity;
      case 'closed':
        return this.#state.until;
      case 'probing':
        return Infinity;
      case 'paced':
        return this.#passedAt + (ahead + 1) * Math.max(paceMs, this.#rampMs(now - this.#state.since));
    }
  }

  /** One passes, at `readyAt` or later. True: it is the probe, and must be settled. */
  pass(now: number): boolean {
    this.#passedAt = now;
    if (this.#state.name !== 'closed') return false;
    this.#state = { name: 'probing', cause: this.#state.cause };
    return true;
  }

  /** An attempt was answered and not throttled. */
  answered(probe: boolean, now: number): void {
    this.#served.count(now);
    if (probe && this.#state.name === 'probing') this.#state = { name: 'paced', since: now };
    if (this.#state.name === 'open' || this.#state.name === 'paced') this.#unasked = 0;
  }

  /** The probe came to nothing: the next one takes its place. */
  voided(now: number): void {
    if (this.#state.name !== 'probing') return;
    this.#state = { name: 'closed', until: now, cause: this.#state.cause };
  }

  /** True when it was open before: to be closed again on its way there is the same story going on. */
  close({ cause, askedMs, startedAt }: Closing, now: number): boolean {
    const { isOpen, closed } = this;
    const waitMs = this.#waitMs(cause, askedMs, startedAt);
    if (waitMs === undefined) return false;
    const until = now + waitMs + jitterMs(waitMs, this.#random);
    if (this.#state.name === 'closed' && this.#state.until >= until) return false;
    if (!closed) {
      this.#closedAt = now;
      this.#servedBefore = this.#served.perSecond(now);
    }
    this.#state = { name: 'closed', until, cause };
    return isOpen;
  }

  /** Undefined: what was on its way when it closed says nothing new. */
  #waitMs(cause: GateCause, askedMs: number | undefined, startedAt: number): number | undefined {
    if (cause === 'permanent') return PERMANENT_MS;
    if (askedMs !== undefined && askedMs > 0) return Math.min(askedMs, LONGEST_CLOSED_MS);
    if (startedAt <= this.#closedAt || this.#state.name === 'closed') return undefined;
    return Math.min(UNASKED_MAX_MS, UNASKED_MIN_MS * 2 ** Math.min(this.#unasked++, 20));
  }

  #rampMs(sinceMs: number): number {
    return 1000 / rampRate(sinceMs, this.#servedBefore);
  }

  /** Nobody waits. */
  idle(now: number): void {
    if (this.#state.name === 'paced' && now - this.#state.since >= RAMP_MS) this.#state = OPEN;
  }
}
