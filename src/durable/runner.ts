import { shuttingDown } from '../proxy/errors.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { ClockJumps } from './clock-jumps.ts';
import type { ClaimedJob } from './job.ts';
import type { DurableRoute } from './route.ts';
import { type AttemptFeedback, SlowStart } from './slow-start.ts';
import { StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';

/** A request that runs here. */
export interface RunningJob {
  readonly job: ClaimedJob;
  readonly signal: Abort;
  /** A person wants it ended. */
  cancelled: boolean;
  /** Settles when what came of it is kept. */
  ended: Promise<void>;
}

export interface RunnerDeps {
  readonly clock: Clock;
  readonly store: Pick<Store, 'claim' | 'nextDueAt' | 'setBack' | 'wallTime'>;
  /** This process, anew at each start. */
  readonly owner: string;
  /** The clock of leases; undefined: the store's own. */
  readonly leaseNow: () => number | undefined;
  /** Other processes put requests into this store too: it is asked again after so long at most. */
  readonly pollMs: number;
  /** Those of the running configuration, and of callbacks. */
  readonly routes: Iterable<DurableRoute>;
  /** Runs a claimed request up to its settlement. Rejects with a StoreError where that could not be kept, else never. */
  readonly run: (running: RunningJob) => Promise<AttemptFeedback>;
  /** So many requests waited by a clock that was set back since. */
  readonly onSetBack: (count: number) => void;
  readonly onBug: (error: unknown) => void;
}

/** Due times go by the wall clock. A timer follows neither a clock that was set nor a process that stood still. */
export const LONGEST_SLEEP_MS = 60_000;

/** A clock that was set back by less puts off a wait by no more. */
const SET_BACK_MS = 5_000;

/** The store is asked again after this when it failed, or when what is due could not be had. */
const RETRY_MS = 1_000;

/** More are fetched in a second look. */
const MAX_CLAIM = 64;

/** Of all routes: each attempt holds a connection. */
const MAX_RUNNING = 1_000;

/** Request bodies of all that runs. A claim asks for no more than fit, each taken to be as long as its route allows. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** What a claim may take longer than its attempt: the commit, and clocks that disagree. */
const LEASE_GRACE_MS = 15_000;

/**
 * A store that was out of reach was so for others too. Their attempts went on meanwhile: whoever lives writes what came
 * of them first, and only then is the rest abandoned.
 */
const RECLAIM_AFTER_MS = 15_000;

const SHUTTING_DOWN = shuttingDown('sent_unknown');

/**
 * Takes due requests out of the store, as many as there are free slowStart, and runs them. Sleeps until the next is due or
 * until it is told of a new one.
 *
 * - running → draining: nothing new is claimed; what runs may end
 * - draining → stopped: what still runs is cut, and left to the store
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
  /** By the monotonic clock; nothing is taken over before. */
  #reclaimsAt = Number.NEGATIVE_INFINITY;
  /** What was due then has been asked for. */
  #claimedUpTo = 0;
  readonly #jumps: ClockJumps;
  /** At the start too: the clock may have been set while nothing ran here. */
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

  /** Something may be due. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#looking) this.#lookAgain = true;
    else void this.#look();
  }

  /** Claims nothing more; resolves when nothing runs. */
  drain(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    if (this.#running.size === 0 && !this.#looking) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Cuts what still runs: the store knows that it was under way. */
  cut(): void {
    this.#aborted = true;
    for (const { signal } of this.#running.values()) signal.abort(SHUTTING_DOWN);
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    this.#looking = true;
    this.#timer?.cancel();
    try {
      do {
        this.#lookAgain = false;
        await this.#followClock();
        await this.#fill();
      } while (this.#lookAgain && !this.#stopped);
      if (!this.#stopped) await this.#sleep();
    } catch (error) {
      if (error instanceof StoreError) this.#reclaimsAt = this.#deps.clock.now() + RECLAIM_AFTER_MS;
      else this.#deps.onBug(error);
      this.#wakeAfter(RETRY_MS);
    }
    this.#looking = false;
    if (this.#lookAgain) this.wake();
    this.#notifyIdle();
  }

  /** Where several clocks work on a store, the one that is ahead is believed: the other may be the one that is wrong. */
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

  /** Claims until all slowStart are taken or nothing is due. */
  async #fill(): Promise<void> {
    const { clock, leaseNow, owner, store } = this.#deps;
    while (!this.#stopped) {
      const { except, limit, leaseMs } = this.#room();
      const now = clock.wallTime();
      // Without room too: the end of what runs wakes us.
      this.#claimedUpTo = now;
      if (limit === 0) return;
      const lease = { leaseNow: leaseNow(), leaseMs, running: [...this.#running.keys()] };
      const reclaims = clock.now() >= this.#reclaimsAt;
      const jobs = await store.claim({ owner, now, ...lease, reclaims, limit, except });
      for (const job of jobs) this.#start(job);
      if (jobs.length < limit) return;
    }
  }

  /** As many as every route that is not full has room for, so that whatever is claimed can begin at once. */
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
    // Without any route there are still those to be ended whose route is gone.
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
    this.#slowStartOf(job.route).take();
    this.#bodyBytes += job.body.length;
    // It was being claimed when all was cut: it goes back unsent.
    if (this.#aborted) running.signal.abort(SHUTTING_DOWN);
    running.ended = this.#deps
      .run(running)
      .catch((error: unknown): AttemptFeedback => {
        this.#deps.onBug(error);
        return 'none';
      })
      .then((feedback) => this.#end(running, feedback));
  }

  #end({ job }: RunningJob, feedback: AttemptFeedback): void {
    this.#running.delete(job.id);
    this.#slowStartOf(job.route).release(feedback);
    this.#bodyBytes -= job.body.length;
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
    // What was due and could not be had belongs to a full route: the end of one of its attempts wakes us.
    const wait = dueAt !== undefined && dueAt <= this.#claimedUpTo ? RETRY_MS : ms;
    this.#wakeAfter(Math.min(wait, pollMs, LONGEST_SLEEP_MS));
  }

  #wakeAfter(ms: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.timer(ms, () => this.wake());
  }
}
