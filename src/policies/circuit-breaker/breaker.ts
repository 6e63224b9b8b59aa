import type { BreakerCause, BreakerState } from '../../proxy/events.ts';
import type { Random } from '../../runtime/random.ts';
import { FailureRun } from './failure-run.ts';
import type { BreakerOptions } from './options.ts';
import { type FailureDetail, type PermitIssuer, Permit, type PermitResult } from './permit.ts';
import { probeWaitMs } from './probe-wait.ts';
import { OutcomeWindow } from './window.ts';

/** Receives the changes of a breaker. */
export interface BreakerObserver {
  changed(from: BreakerState, to: BreakerState, cause: BreakerCause): void;
  /** A result was ignored, because its permit was issued before the last change. */
  stale(): void;
}

/**
 * - closed → open: `failure_rate`, `slow_rate`, `connect_failures`, `consecutive_failures`
 * - open → half_open: `wait_over`
 * - half_open → closed: `probes_succeeded`
 * - half_open → open: `probe_failed`, `probe_hung`
 * - open → half_open: `probe_answered`, by a probe that seemed to hang, or by an attempt whose silence helped to open it
 * - any → closed or open, and forced → closed: `forced`
 *
 * `since` is the start of the outage. `until` is Infinity if an operator forced the state. `successes` counts successful probes in
 * a row; a probe that hangs does not reset it, because it may still be answered.
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
  /** Probes without a result. */
  readonly probes: readonly Permit[];
  /** When the lease of the newest probe ends. */
  readonly leaseEndsAt: number;
  readonly successes: number;
}

interface ProbeEnd {
  readonly result: PermitResult;
  readonly now: number;
}

/** The default lease: after this time without a result of a probe, another probe is sent. */
const PROBE_LEASE_MS = 2_000;

/**
 * A circuit breaker without I/O or timers: take a permit for each attempt and report its result. Changes that are due by time
 * happen with the next call of a method, as of the moment when they were due.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #random: Random;
  readonly #observer: BreakerObserver;
  readonly #window: OutcomeWindow;
  readonly #run = new FailureRun();
  #state: State = { name: 'closed' };
  /** Counts changes of state, so that late results can be recognized. */
  #epoch = 0;
  #forced = false;

  constructor(options: BreakerOptions, random: Random, observer: BreakerObserver) {
    this.#options = options;
    this.#random = random;
    this.#observer = observer;
    this.#window = new OutcomeWindow(options.windowMs);
  }

  /** True while an operator forces the state. */
  get forced(): boolean {
    return this.#forced;
  }

  state(now: number): BreakerState {
    this.#advance(now);
    return this.#state.name;
  }

  /** Milliseconds after which a permit may be available; 0 if one is available now. */
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
   * A permit, whose result must be reported; undefined: nothing must be sent to the upstream. Another probe follows a probe
   * without a result after `leaseMs`.
   */
  tryAcquire(now: number, leaseMs: number = PROBE_LEASE_MS): Permit | undefined {
    this.#advance(now);
    const state = this.#state;
    if (state.name === 'closed') return new Permit(this.#issuer, this.#epoch, now);
    if (state.name === 'open' || !this.#hasRoom(state)) return undefined;
    const probe = new Permit(this.#issuer, this.#epoch, now, state.since);
    this.#become({ ...state, probes: [...state.probes, probe], leaseEndsAt: now + leaseMs });
    return probe;
  }

  /** The first probe runs alone. After one success, the other required probes run at the same time. */
  #hasRoom({ probes, successes }: HalfOpen): boolean {
    return probes.length < (successes === 0 ? 1 : this.#options.probes - successes);
  }

  /** `open` and `closed` hold until `auto`, which starts closed with empty counts: older results say little. */
  force(to: 'open' | 'closed' | 'auto', now: number): void {
    if (to === 'auto' && !this.#forced) return;
    this.#forced = to !== 'auto';
    this.#window.clear();
    this.#run.clear();
    if (to === 'open') this.#become({ name: 'open', since: now, until: Infinity, successes: 0 }, 'forced');
    else this.#become({ name: 'closed' }, 'forced');
  }

  /** Makes the changes that are due by time. */
  #advance(now: number): void {
    const state = this.#state;
    if (state.name === 'closed') return;
    if (state.name === 'open') {
      if (now >= state.until) this.#halfOpen(state, 'wait_over');
      return;
    }
    const newest = state.probes.at(-1);
    if (newest === undefined || now <= state.leaseEndsAt) return;
    // A body may take longer than a lease. Waiting for its end would block calls to a healthy upstream.
    const answered = state.probes.find((probe) => probe.answered);
    if (answered === undefined) this.#probeHung(state, newest);
    else answered.succeed(now);
    this.#advance(now);
  }

  readonly #settle: PermitIssuer['settle'] = (permit, result, now, failure) => {
    const state = this.#state;
    // The result of a probe counts as long as its outage lasts, even if the probe seemed to hang.
    const counts = state.name !== 'closed' && permit.probeOf === state.since;
    if (counts && !this.#forced) return this.#probeEnded(state, permit, { result, now });
    if (permit.epoch !== this.#epoch) {
      if (result !== 'ignored') this.#observer.stale();
    } else if (!this.#forced && result !== 'ignored') {
      this.#record(now, permit, failure);
    }
  };

  /**
   * An attempt that was counted as failed because of its silence has succeeded. It is no longer a failure. If its silence helped
   * to open the breaker, it counts as a successful probe: the upstream is slow, not down.
   */
  readonly #redeem: PermitIssuer['redeem'] = (permit, failedAt, now) => {
    const state = this.#state;
    if (this.#forced) return this.#observer.stale();
    if (state.name !== 'closed' && failedAt <= state.since)
      return this.#probeEnded(state, permit, SUCCESS(now));
    if (permit.epoch !== this.#epoch) return this.#observer.stale();
    this.#window.redeem(failedAt, now);
    this.#run.clear();
  };

  /**
   * A stream that was counted as a success has failed. It is a failure now: the time of its first event may be long over. A probe
   * whose first event has closed the breaker is the first failure of the new epoch.
   */
  readonly #revoke: PermitIssuer['revoke'] = ({ epoch, probe, startedAt }, now) => {
    const issued = probe ? epoch + 1 : epoch;
    if (this.#forced || issued !== this.#epoch || this.#state.name !== 'closed')
      return this.#observer.stale();
    this.#window.revoke(now);
    this.#run.add(now, false, startedAt);
    this.#openIfDue(now);
  };

  readonly #issuer: PermitIssuer = { settle: this.#settle, redeem: this.#redeem, revoke: this.#revoke };

  #probeEnded(state: Open | HalfOpen, permit: Permit, { result, now }: ProbeEnd): void {
    const good = result === 'success' && !this.#isSlow(permit.latencyMs(now));
    if (good) return this.#probeSucceeded(state, permit);
    // The silence of a probe that hung was counted already.
    if (state.name !== 'half_open' || !state.probes.includes(permit)) return;
    if (result === 'ignored') this.#become({ ...state, probes: without(state.probes, permit) });
    else this.#open(now, 'probe_failed');
  }

  #record(now: number, permit: Permit, failure: FailureDetail | undefined): void {
    this.#window.record(now, failure !== undefined, this.#isSlow(permit.latencyMs(now)));
    if (failure === undefined) this.#run.clear();
    else if (failure.overtaken !== true) this.#run.add(now, failure.connect === true, permit.startedAt);
    this.#openIfDue(now);
  }

  #openIfDue(now: number): void {
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

  /** The wait for the next probe starts with the probe that hangs, because that time is a wait too. */
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

  /** Every change of state happens here. A new name starts a new epoch and needs a cause. */
  #become(next: State, cause?: BreakerCause): void {
    const from = this.#state.name;
    this.#state = next;
    if (from === next.name || cause === undefined) return;
    this.#epoch++;
    this.#observer.changed(from, next.name, cause);
  }
}

const SUCCESS = (now: number): ProbeEnd => ({ result: 'success', now });

function without(probes: readonly Permit[], ended: Permit): readonly Permit[] {
  return probes.filter((probe) => probe !== ended);
}
