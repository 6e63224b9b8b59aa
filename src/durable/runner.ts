import { shuttingDown } from '../proxy/errors.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { nextTurn } from '../runtime/event-loop.ts';
import { ClockJumps } from './clock-jumps.ts';
import type { ClaimedJob } from './job.ts';
import type { DurableRoute } from './route.ts';
import { LostClaims } from './lost-claims.ts';
import { type AttemptFeedback, SlowStart } from './slow-start.ts';
import { StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';

/** A request that this process is running. */
export interface RunningJob {
  readonly job: ClaimedJob;
  readonly signal: Abort;
  /** A client or operator has cancelled it. */
  cancelled: boolean;
  /** Resolves when its result is stored. */
  ended: Promise<void>;
}

/** The place of an attempt among those of its route. */
interface Place {
  readonly giveUp: () => void;
  readonly end: (feedback: AttemptFeedback) => void;
}

export interface RunnerDeps {
  readonly clock: Clock;
  readonly store: Pick<Store, 'claim' | 'claimed' | 'nextDueAt' | 'setBack' | 'wallTime'>;
  /** Monotonic milliseconds of the last failure of the store. A runner without room does not ask the store itself. */
  readonly storeFailedAt: () => number;
  /** Id of this process, new at each start. The ids of its claims begin with it. */
  readonly owner: string;
  /** Time on the clock of leases. Undefined: the store's own clock. */
  readonly leaseNow: () => number | undefined;
  /** Maximum time between two polls of the store, because other processes add requests, too. */
  readonly pollMs: number;
  /** Routes of the running configuration, and of callbacks. */
  readonly routes: Iterable<DurableRoute>;
  /**
   * Runs a claimed request up to its settlement. Rejects with a StoreError if that could not be stored, and because
   * of a bug. Calls `succeeded` when the attempt has succeeded, before its result is stored.
   */
  readonly run: (running: RunningJob, succeeded: () => void) => Promise<AttemptFeedback>;
  /** Reports how many waits began by a clock that was set back since. */
  readonly onSetBack: (count: number) => void;
  readonly onBug: (error: unknown) => void;
}

/** Due times follow the wall clock. A timer notices neither a change of the clock nor a suspended process. */
export const LONGEST_SLEEP_MS = 60_000;

/** A smaller step back of the clock lengthens a wait by at most this. */
const SET_BACK_MS = 5_000;

/** Interval to the next claim after the store failed, or if due requests could not be claimed. */
const RETRY_MS = 1_000;

/** Maximum for one claim. The rest is claimed by the next one. */
const MAX_CLAIM = 64;

/** Maximum for all routes, because each attempt holds a connection. */
const MAX_RUNNING = 1_000;

/** Bytes of all running request bodies. A claim assumes that each body is as long as its route allows. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Time that a claim may take beyond its attempt: the commit, and differences between clocks. */
const LEASE_GRACE_MS = 15_000;

/**
 * Pause of reclaiming after the store was unreachable. Other processes could not store their results either, and they
 * need this time to do so.
 */
const RECLAIM_AFTER_MS = 15_000;

const SHUTTING_DOWN = shuttingDown('sent_unknown');

/**
 * Claims due requests while the slow start has room, and runs them. Sleeps until the next one is due or `wake` is
 * called.
 *
 * - running → draining: nothing more is claimed; running attempts may finish
 * - draining → stopped: running attempts are aborted, and their leases run out
 */
export class Runner {
  readonly #deps: RunnerDeps;
  readonly #running = new Map<string, RunningJob>();
  readonly #slowStarts = new Map<string, SlowStart>();
  #bodyBytes = 0;
  readonly #onIdle: Array<() => void> = [];
  #timer: Timer | undefined;
  #looking = false;
  #lookAgain = false;
  #stopped = false;
  #aborted = false;
  #claims = 0;
  /** Claims that failed. They may be committed nevertheless, or be committed later. */
  readonly #lost = new LostClaims();
  /** Requests that were due at this time were covered by a claim. */
  #claimedUpTo = 0;
  readonly #jumps: ClockJumps;
  /** True at the start, too: the clock may have been set while no process ran. */
  #setBack = true;

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
    this.#jumps = new ClockJumps(deps.clock);
  }

  get size(): number {
    return this.#running.size;
  }

  running(id: string): RunningJob | undefined {
    return this.#running.get(id);
  }

  /** Call this when a request may be due. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#looking) this.#lookAgain = true;
    else void this.#look();
  }

  /** Stops claiming. Resolves when nothing is running. */
  drain(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    if (this.#running.size === 0 && !this.#looking) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Aborts the running attempts. Their leases show that their outcome is unknown. */
  cut(): void {
    this.#aborted = true;
    for (const { signal } of this.#running.values()) signal.abort(SHUTTING_DOWN);
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    this.#looking = true;
    this.#timer?.cancel();
    try {
      let full: boolean;
      do {
        // Results that are stored together free their places in one turn, and one claim fills them.
        await nextTurn();
        this.#lookAgain = false;
        await this.#followClock();
        full = await this.#fill();
      } while (this.#lookAgain && !this.#stopped);
      // Nothing can be claimed, whatever is due. The end of an attempt wakes the runner.
      if (full) this.#wakeAfter(RETRY_MS);
      else if (!this.#stopped) await this.#sleep();
    } catch (error) {
      if (!(error instanceof StoreError)) this.#deps.onBug(error);
      this.#wakeAfter(RETRY_MS);
    }
    this.#looking = false;
    if (this.#lookAgain) this.wake();
    this.#notifyIdle();
  }

  /** With several clocks on one store, the one that is ahead counts, because the other may be wrong. */
  async #followClock(): Promise<void> {
    const { clock, leaseNow, onSetBack, store } = this.#deps;
    if (this.#jumps.look() < -SET_BACK_MS) this.#setBack = true;
    if (!this.#setBack) return;
    const shared = leaseNow() === undefined;
    const now = shared ? Math.max(clock.wallTime(), await store.wallTime()) : clock.wallTime();
    const count = await store.setBack(now);
    this.#setBack = false;
    if (count > 0) onSetBack(count);
  }

  /** Claims until there is no room (true), or nothing is due (false). */
  async #fill(): Promise<boolean> {
    const { clock, leaseNow, owner, store, storeFailedAt } = this.#deps;
    while (!this.#stopped) {
      await this.#findLost();
      const { except, limit, leaseMs } = this.#room();
      const now = clock.wallTime();
      // Also without room: the end of a running attempt wakes the runner.
      this.#claimedUpTo = now;
      if (limit === 0) return true;
      const lease = { leaseNow: leaseNow(), leaseMs, running: [...this.#running.keys()] };
      const reclaims = clock.now() >= storeFailedAt() + RECLAIM_AFTER_MS;
      const id = `${owner}.${++this.#claims}`;
      const jobs = await store
        .claim({ owner: id, now, ...lease, reclaims, limit, except })
        .catch((error: unknown) => {
          this.#lost.add(id, clock.now());
          throw error;
        });
      for (const job of jobs) this.#start(job);
      if (jobs.length < limit) return false;
    }
    return false;
  }

  /** Begins the requests of a claim whose answer was lost. Otherwise, their leases would end as attempts without outcome. */
  async #findLost(): Promise<void> {
    const { clock, leaseNow, store } = this.#deps;
    const owners = this.#lost.due(clock.now());
    if (owners.length === 0) return;
    const { leaseMs } = this.#room();
    const jobs = await store.claimed({ owners, leaseNow: leaseNow(), leaseMs });
    this.#lost.answered(jobs, clock.now());
    for (const job of jobs) this.#start(job);
  }

  /** The least free room of all routes, so that each claimed request can begin at once. Full routes are excepted. */
  #room(): { except: string[]; limit: number; leaseMs: number } {
    const except: string[] = [];
    let limit = Math.min(MAX_CLAIM, MAX_RUNNING - this.#running.size);
    let leaseMs = LEASE_GRACE_MS;
    let routes = 0;
    let longest = 1;
    for (const { name, options, room, headTimeoutMs, bodyTimeoutMs } of this.#deps.routes) {
      routes++;
      leaseMs = Math.max(leaseMs, headTimeoutMs + bodyTimeoutMs + LEASE_GRACE_MS);
      const free = this.#slowStartOf(name).free({ concurrency: options.concurrency, room: room() });
      if (free === 0) {
        except.push(name);
        continue;
      }
      limit = Math.min(limit, free);
      longest = Math.max(longest, options.maxBodyBytes);
    }
    // Without routes, requests of removed routes still have to be ended.
    const full = routes > 0 && except.length === routes;
    const left = MAX_BODY_BYTES - this.#bodyBytes;
    if (full || left <= 0) limit = 0;
    return { except, limit: Math.min(limit, Math.max(1, Math.floor(left / longest))), leaseMs };
  }

  #slowStartOf(route: string): SlowStart {
    let slowStart = this.#slowStarts.get(route);
    if (slowStart === undefined) this.#slowStarts.set(route, (slowStart = new SlowStart()));
    return slowStart;
  }

  #start(job: ClaimedJob): void {
    const running: RunningJob = {
      job,
      signal: new Abort(),
      cancelled: false,
      ended: Promise.resolve(),
    };
    this.#running.set(job.id, running);
    const place = this.#placeOn(job.route);
    this.#bodyBytes += job.body.length;
    // The claim was in progress during the abort: the request goes back unsent.
    if (this.#aborted) running.signal.abort(SHUTTING_DOWN);
    running.ended = this.#carryOut(running, place);
  }

  /** Never rejects. */
  async #carryOut(running: RunningJob, place: Place): Promise<void> {
    let feedback: AttemptFeedback = 'none';
    try {
      feedback = await this.#deps.run(running, place.giveUp);
    } catch (error) {
      this.#deps.onBug(error);
    }
    place.end(feedback);
    this.#end(running);
  }

  /** Takes a place of the route. */
  #placeOn(route: string): Place {
    const slowStart = this.#slowStartOf(route);
    let held = true;
    slowStart.take();
    return {
      giveUp: () => {
        if (!held || !slowStart.giveUp()) return;
        held = false;
        this.wake();
      },
      end: (feedback) => {
        if (held) slowStart.release(feedback);
        else slowStart.settled(feedback);
      },
    };
  }

  #end(running: RunningJob): void {
    const { id, body } = running.job;
    // The next attempt may have begun while the end of this one was reported.
    if (this.#running.get(id) === running) this.#running.delete(id);
    this.#bodyBytes -= body.length;
    this.wake();
    this.#notifyIdle();
  }

  #notifyIdle(): void {
    if (!this.#stopped || this.#running.size > 0 || this.#looking) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  async #sleep(): Promise<void> {
    const { clock, pollMs, store } = this.#deps;
    const dueAt = await store.nextDueAt();
    const ms = dueAt === undefined ? LONGEST_SLEEP_MS : Math.max(0, dueAt - clock.wallTime());
    // A due request that was not claimed belongs to a full route. The end of one of its attempts wakes the runner.
    const wait = dueAt !== undefined && dueAt <= this.#claimedUpTo ? RETRY_MS : ms;
    this.#wakeAfter(Math.min(wait, pollMs, LONGEST_SLEEP_MS));
  }

  #wakeAfter(ms: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.timer(ms, () => this.wake());
  }
}
