import type { BreakerCause, BreakerState } from '../../proxy/events.ts';
import type { Random } from '../../runtime/random.ts';
import { FailureRun } from './failure-run.ts';
import type { BreakerOptions } from './options.ts';
import { type FailureDetail, Permit, type Settle } from './permit.ts';
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
 * - any → closed or open, and forced → closed: `forced`
 *
 * `since` is the beginning of the outage; only closing ends it. `until` is Infinity where an operator forced it.
 */
type State =
  | { readonly name: 'closed' }
  | { readonly name: 'open'; readonly since: number; readonly until: number }
  | HalfOpen;

interface HalfOpen {
  readonly name: 'half_open';
  readonly since: number;
  readonly probe: Permit | undefined;
  readonly leaseEndsAt: number;
  readonly successes: number;
}

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
        return state.probe === undefined ? 0 : minWaitMs;
    }
  }

  /** A permit to be settled exactly once, or undefined: the upstream must not be touched. */
  tryAcquire(now: number): Permit | undefined {
    this.#advance(now);
    const state = this.#state;
    if (state.name === 'closed') return new Permit(this.#settle, this.#epoch, now, false);
    if (state.name === 'open' || state.probe !== undefined) return undefined;
    const probe = new Permit(this.#settle, this.#epoch, now, true);
    this.#become({ ...state, probe, leaseEndsAt: now + this.#options.probeLeaseMs });
    return probe;
  }

  /** `open` and `closed` hold until `auto`, which starts anew as closed: what was seen before says little. */
  force(to: 'open' | 'closed' | 'auto', now: number): void {
    if (to === 'auto' && !this.#forced) return;
    this.#forced = to !== 'auto';
    this.#window.clear();
    this.#run.clear();
    if (to === 'open') this.#become({ name: 'open', since: now, until: Infinity }, 'forced');
    else this.#become({ name: 'closed' }, 'forced');
  }

  /** Does what time alone brings about. */
  #advance(now: number): void {
    const state = this.#state;
    if (state.name === 'closed') return;
    if (state.name === 'open') {
      if (now >= state.until) this.#halfOpen(state.since);
    } else if (state.probe !== undefined && now > state.leaseEndsAt) {
      // A body may take longer than a lease, and holding the place until its end would keep a well upstream closed off.
      if (state.probe.answered) return state.probe.succeed(now);
      this.#open(state.leaseEndsAt, 'probe_hung');
      this.#advance(now);
    }
  }

  readonly #settle: Settle = (permit, verdict, now, failure) => {
    if (permit.epoch !== this.#epoch) {
      if (verdict !== 'ignored') this.#observer.stale();
      return;
    }
    if (this.#forced) return;
    const state = this.#state;
    const slow = this.#isSlow(permit.latencyMs(now));
    if (state.name === 'half_open') {
      if (verdict === 'ignored') this.#become({ ...state, probe: undefined });
      else if (verdict === 'failure' || slow) this.#open(now, 'probe_failed', failure);
      else this.#probeSucceeded(state);
    } else if (verdict !== 'ignored') {
      this.#record(now, slow, failure);
    }
  };

  #record(now: number, slow: boolean, failure: FailureDetail | undefined): void {
    this.#window.record(now, failure !== undefined, slow);
    if (failure === undefined) this.#run.clear();
    else this.#run.add(now, failure.connect === true);
    const cause = this.#causeToOpen();
    if (cause !== undefined) this.#open(now, cause, failure);
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

  #probeSucceeded(state: HalfOpen): void {
    const successes = state.successes + 1;
    if (successes < this.#options.probes) return this.#become({ ...state, probe: undefined, successes });
    this.#window.clear();
    this.#run.clear();
    this.#become({ name: 'closed' }, 'probes_succeeded');
  }

  #halfOpen(since: number): void {
    const fresh = { probe: undefined, leaseEndsAt: 0, successes: 0 };
    this.#become({ name: 'half_open', since, ...fresh }, 'wait_over');
  }

  #open(now: number, cause: BreakerCause, failure?: FailureDetail): void {
    const since = this.#state.name === 'closed' ? now : this.#state.since;
    const wait = probeWaitMs(now - since, failure?.retryAfterMs, this.#options, this.#random);
    this.#become({ name: 'open', since, until: now + wait }, cause);
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
