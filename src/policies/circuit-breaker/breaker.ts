import type { BreakerCause, BreakerState } from '../../proxy/events.ts';
import type { Random } from '../../runtime/random.ts';
import { FailureRun } from './failure-run.ts';
import type { BreakerOptions } from './options.ts';
import { type FailureDetail, type Judge, Permit, type Verdict } from './permit.ts';
import { probeWaitMs } from './probe-wait.ts';
import { OutcomeWindow } from './window.ts';

/** What a breaker tells about itself. */
export interface BreakerObserver {
  changed(from: BreakerState, to: BreakerState, cause: BreakerCause): void;
  /** A result came from before the last change, and was not counted. */
  stale(): void;
}

/**
 * - closed → open: `failure_rate`, `slow_rate`, `connect_failures`, `consecutive_failures`
 * - open → half_open: `wait_over`
 * - half_open → closed: `probes_succeeded`
 * - half_open → open: `probe_failed`, `probe_hung`
 * - open → half_open: `probe_answered`, by a probe that was taken for hung, or by an attempt whose silence helped to open it
 * - any → closed or open, and forced → closed: `forced`
 *
 * `since` is the beginning of the outage; only closing ends it. `until` is Infinity where an operator forced it.
 * `successes` counts good probes in a row. A probe that hangs changes nothing about it, for it may still be answered.
 */
type State = { readonly name: 'closed' } | Open | HalfOpen;

interface Open {
  readonly name: 'open';
  readonly since: number;
  readonly until: number;
  readonly successes: number;
}

interface HalfOpen {
  readonly name: 'half_open';
  readonly since: number;
  /** Those without a verdict. */
  readonly probes: readonly Permit[];
  /** Of the newest. */
  readonly leaseEndsAt: number;
  readonly successes: number;
}

interface Ended {
  readonly verdict: Verdict;
  readonly now: number;
}

/** How long a probe may go without a verdict before another is sent, where nobody says what is usual. */
const PROBE_LEASE_MS = 2_000;

/**
 * A circuit breaker without I/O or timers: ask for a permit, then say how it went. What time brings about it
 * catches up with when asked, as of the moment it was due; asking oneself changes nothing.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #random: Random;
  readonly #observer: BreakerObserver;
  readonly #window: OutcomeWindow;
  readonly #run = new FailureRun();
  #state: State = { name: 'closed' };
  /** Counts changes of state, so that a late answer can be told from a present one. */
  #epoch = 0;
  #forced = false;

  constructor(options: BreakerOptions, random: Random, observer: BreakerObserver) {
    this.#options = options;
    this.#random = random;
    this.#observer = observer;
    this.#window = new OutcomeWindow(options.windowMs);
  }

  /** True while an operator holds the state. */
  get forced(): boolean {
    return this.#forced;
  }

  state(now: number): BreakerState {
    this.#advance(now);
    return this.#state.name;
  }

  /** When it makes sense to ask again; 0 when a permit can be had now. */
  retryAfterMs(now: number): number {
    this.#advance(now);
    const { minWaitMs, maxWaitMs } = this.#options;
    const state = this.#state;
    switch (state.name) {
      case 'closed':
        return 0;
      case 'open':
        return this.#forced ? maxWaitMs : state.until - now;
      case 'half_open':
        return this.#hasRoom(state) ? 0 : minWaitMs;
    }
  }

  /**
   * A permit to be settled exactly once, or undefined: the upstream must not be touched. A probe without a verdict after
   * `leaseMs` is followed by another.
   */
  tryAcquire(now: number, leaseMs: number = PROBE_LEASE_MS): Permit | undefined {
    this.#advance(now);
    const state = this.#state;
    if (state.name === 'closed') return new Permit(this.#judge, this.#epoch, now);
    if (state.name === 'open' || !this.#hasRoom(state)) return undefined;
    const probe = new Permit(this.#judge, this.#epoch, now, state.since);
    this.#become({ ...state, probes: [...state.probes, probe], leaseEndsAt: now + leaseMs });
    return probe;
  }

  /** The first probe goes alone. Once one is answered well, the others that are needed go beside each other. */
  #hasRoom({ probes, successes }: HalfOpen): boolean {
    return probes.length < (successes === 0 ? 1 : this.#options.probes - successes);
  }

  /** `open` and `closed` hold until `auto`, which starts anew as closed: what was seen before says little. */
  force(to: 'open' | 'closed' | 'auto', now: number): void {
    if (to === 'auto' && !this.#forced) return;
    this.#forced = to !== 'auto';
    this.#window.clear();
    this.#run.clear();
    if (to === 'open') this.#become({ name: 'open', since: now, until: Infinity, successes: 0 }, 'forced');
    else this.#become({ name: 'closed' }, 'forced');
  }

  /** Does what time alone brings about. */
  #advance(now: number): void {
    const state = this.#state;
    if (state.name === 'closed') return;
    if (state.name === 'open') {
      if (now >= state.until) this.#halfOpen(state, 'wait_over');
      return;
    }
    const newest = state.probes.at(-1);
    if (newest === undefined || now <= state.leaseEndsAt) return;
    // A body may take longer than a lease, and holding the place until its end would keep a well upstream closed off.
    const answered = state.probes.find((probe) => probe.answered);
    if (answered === undefined) this.#probeHung(state, newest);
    else answered.succeed(now);
    this.#advance(now);
  }

  readonly #settle: Judge['settle'] = (permit, verdict, now, failure) => {
    const state = this.#state;
    // A probe is heard for as long as its outage lasts, even if it was taken for hung.
    const heard = state.name !== 'closed' && permit.probeOf === state.since;
    if (heard && !this.#forced) return this.#probeEnded(state, permit, { verdict, now });
    if (permit.epoch !== this.#epoch) {
      if (verdict !== 'ignored') this.#observer.stale();
    } else if (!this.#forced && verdict !== 'ignored') {
      this.#record(now, this.#isSlow(permit.latencyMs(now)), failure);
    }
  };

  /**
   * An attempt that counts as a failure because of its silence has been answered well. It now counts as a success. If its silence
   * helped to open the breaker, it counts as a successful probe: the upstream is slow, and not down.
   */
  readonly #redeem: Judge['redeem'] = (permit, failedAt, now) => {
    const state = this.#state;
    if (this.#forced) return this.#observer.stale();
    if (state.name !== 'closed' && failedAt <= state.since)
      return this.#probeEnded(state, permit, SUCCESS(now));
    if (permit.epoch !== this.#epoch) return this.#observer.stale();
    this.#window.redeem(failedAt, now);
    this.#run.clear();
  };

  readonly #judge: Judge = { settle: this.#settle, redeem: this.#redeem };

  #probeEnded(state: Open | HalfOpen, permit: Permit, { verdict, now }: Ended): void {
    const good = verdict === 'success' && !this.#isSlow(permit.latencyMs(now));
    if (good) return this.#probeSucceeded(state, permit);
    // Of one that hung, silence has been counted.
    if (state.name !== 'half_open' || !state.probes.includes(permit)) return;
    if (verdict === 'ignored') this.#become({ ...state, probes: without(state.probes, permit) });
    else this.#open(now, 'probe_failed');
  }

  #record(now: number, slow: boolean, failure: FailureDetail | undefined): void {
    this.#window.record(now, failure !== undefined, slow);
    if (failure === undefined) this.#run.clear();
    else this.#run.add(now, failure.connect === true);
    const cause = this.#causeToOpen();
    if (cause !== undefined) this.#open(now, cause);
  }

  #causeToOpen(): BreakerCause | undefined {
    const { connectFailures, consecutiveFailures, minRequests, failureRate, slow: slowLimit } = this.#options;
    if (this.#run.connectFailures >= connectFailures) return 'connect_failures';
    if (this.#run.failures >= consecutiveFailures) return 'consecutive_failures';
    const { attempts, failures, slow } = this.#window.total;
    if (attempts < minRequests) return undefined;
    if (failures / attempts >= failureRate) return 'failure_rate';
    if (slowLimit !== undefined && slow / attempts >= slowLimit.rate) return 'slow_rate';
    return undefined;
  }

  #isSlow(latencyMs: number): boolean {
    return this.#options.slow !== undefined && latencyMs > this.#options.slow.durationMs;
  }

  #probeSucceeded(state: Open | HalfOpen, permit: Permit): void {
    const successes = state.successes + 1;
    if (successes >= this.#options.probes) {
      this.#window.clear();
      this.#run.clear();
      return this.#become({ name: 'closed' }, 'probes_succeeded');
    }
    if (state.name === 'open') return this.#halfOpen({ ...state, successes }, 'probe_answered');
    this.#become({ ...state, probes: without(state.probes, permit), successes });
  }

  /** The wait for the next probe counts from the beginning of the one that hangs, which is a wait too. */
  #probeHung({ since, leaseEndsAt, successes }: HalfOpen, { startedAt }: Permit): void {
    const wait = probeWaitMs(startedAt - since, this.#options, this.#random);
    const until = Math.max(leaseEndsAt, startedAt + wait);
    this.#become({ name: 'open', since, until, successes }, 'probe_hung');
  }

  #halfOpen({ since, successes }: Open, cause: BreakerCause): void {
    this.#become({ name: 'half_open', since, successes, probes: [], leaseEndsAt: 0 }, cause);
  }

  #open(now: number, cause: BreakerCause): void {
    const since = this.#state.name === 'closed' ? now : this.#state.since;
    const wait = probeWaitMs(now - since, this.#options, this.#random);
    this.#become({ name: 'open', since, until: now + wait, successes: 0 }, cause);
  }

  /** The only way to a new state. A new name begins a new epoch, and needs a cause. */
  #become(next: State, cause?: BreakerCause): void {
    const from = this.#state.name;
    this.#state = next;
    if (from === next.name || cause === undefined) return;
    this.#epoch++;
    this.#observer.changed(from, next.name, cause);
  }
}

const SUCCESS = (now: number): Ended => ({ verdict: 'success', now });

function without(probes: readonly Permit[], ended: Permit): readonly Permit[] {
  return probes.filter((probe) => probe !== ended);
}
