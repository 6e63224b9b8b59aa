import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import { CONNECT_MS, type EngineOptions, type FleetEngine, type Muster, SEEN_MS } from './engine.ts';
import { Lease, RETURN_MS } from './lease.ts';
import { LeasedWindow, type WindowHost } from './leased-window.ts';
import type { LeaseRequest } from './ledger.ts';
import { planOf, type WindowLimit } from './plan.ts';

/** An engine that takes longer is treated as absent. No call waits longer for it. */
const PATIENCE_MS = 50;

/** A timer that is later than this shows that this process was busy: it may have sent the request at the end of that time. */
const BUSY_MS = 10;

const HEARTBEAT_MS = 1_000;

/** A slow engine has a heartbeat after this time, whether the last one was answered or not. So all replicas notice soon that it is fast again. */
const PROBE_MS = 250;

/** A connection on which nothing was answered for this long is given up. */
const DEAD_MS = 3_000;

/** The end of a process waits for the engine for this long at most. */
const LEAVING_MS = 1_000;

/** The waits between two connections that failed: from the first to the longest, at least half of it. Connecting takes some time, too. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = RETURN_MS / 2;

/** The most windows whose state is kept. The least recently used one is forgotten first. */
const MOST_WINDOWS = 10_000;

/** Why units do not come from the engine. `slow`: it took longer than 50 ms. `failed`: it answered with an error. */
type AwayCause = 'starting' | 'unreachable' | 'lost' | 'slow' | 'failed';

export interface FleetState {
  /** Undefined: the engine is used. */
  readonly away: AwayCause | undefined;
  /** The error of the engine, without secrets. */
  readonly detail?: string | undefined;
}

/** How round trips ended. */
export type RoundTrip = 'ok' | 'late' | 'failed';

export interface FleetDeps {
  readonly clock: Clock;
  /** Real milliseconds, which go on while the process is stopped. */
  readonly real: () => number;
  readonly random: Random;
  /** Calls back when everything is read that has arrived. */
  readonly afterReading: (callback: () => void) => void;
  /** Opens a connection. */
  readonly open: (options: Pick<EngineOptions, 'giveUp' | 'onMessage' | 'onLost'>) => Promise<FleetEngine>;
  /** A name that no other replica has. */
  readonly replica: string;
  /** How many replicas there are, until the engine has said it. */
  readonly expected: number;
  readonly onState: (state: FleetState) => void;
  /** The engine has lost its data. */
  readonly onNewEngine?: (() => void) | undefined;
}

/** Receivers of the reply of the engine. One of `heard` and `lost` is called, and `late` before it if that takes long. */
interface Outcome<T> {
  readonly heard: (answer: T) => void;
  readonly late: () => void;
  readonly lost: () => void;
}

/** The replica that tells it, the topic, and the text. */
type News = readonly [replica: string, topic: string, text: string];

/** The connection of this replica with the others: the windows that they share, and whether the engine can be used. */
export class Fleet implements WindowHost {
  readonly roundTrips: Record<RoundTrip, number> = { ok: 0, late: 0, failed: 0 };
  readonly #deps: FleetDeps;
  readonly #windows = new LRUCache<string, LeasedWindow>({ max: MOST_WINDOWS });
  readonly #timers = new Map<LeasedWindow, Timer>();
  readonly #listeners = new Map<string, (text: string) => void>();
  #engine: FleetEngine | undefined;
  /** The engine has answered a heartbeat on this connection. */
  #worked = false;
  #state: FleetState = { away: 'starting' };
  #replicas: number;
  /** The replicas before the engine lost its data, which it does not know of before `until`. */
  #recalled = { replicas: 1, until: -Infinity };
  #generation: string | undefined;
  #failures = 0;
  /** When the running heartbeat was sent; undefined if none runs. */
  #beatAt: number | undefined;
  /** The next heartbeat, or the next connection. */
  #next: Timer | undefined;
  /** Ends the waits for heartbeats and for a connection. */
  readonly #waits = new Set<() => void>();
  #closed = false;

  constructor(deps: FleetDeps) {
    this.#deps = deps;
    this.#replicas = deps.expected;
  }

  get state(): FleetState {
    return this.#state;
  }

  get away(): boolean {
    return this.#state.away !== undefined;
  }

  /** Also while it is slow. */
  get connected(): boolean {
    return this.#engine !== undefined;
  }

  get replicas(): number {
    return this.#replicas;
  }

  real(): number {
    return this.#deps.real();
  }

  /** Connects. Resolves when the engine has answered, or could not be reached at once. Calls are served either way. */
  async start(): Promise<void> {
    await this.#connect();
  }

  /**
   * Asks the engine something else than units. Resolves with undefined if the engine is away, fails, or does not answer within 50 ms.
   * The engine may have done it. `whileSlow`: asks also while the engine is slow, so that each question may take 50 ms.
   */
  async ask<T>(
    question: (engine: FleetEngine) => Promise<T>,
    whileSlow = false,
  ): Promise<{ readonly answer: T } | undefined> {
    const engine = this.#engine;
    const { away } = this.#state;
    if (engine === undefined || (away !== undefined && !(whileSlow && away === 'slow'))) return undefined;
    return new Promise((resolve) => {
      this.#request(engine, question(engine), {
        heard: (answer) => resolve({ answer }),
        late: () => resolve(undefined),
        lost: () => resolve(undefined),
      });
    });
  }

  /** Sends `text` to the other replicas that listen to `topic`. It may be lost. At most 3 500 characters. */
  tell(topic: string, text: string): void {
    const news: News = [this.#deps.replica, topic, text];
    void this.post((engine) => engine.publish(JSON.stringify(news)));
  }

  /**
   * As `ask`, however long it takes, and while the engine is slow too. No call may wait for it. Resolves with undefined if there is no
   * connection, or the engine fails.
   */
  async post<T>(question: (engine: FleetEngine) => Promise<T>): Promise<{ readonly answer: T } | undefined> {
    const engine = this.#engine;
    if (engine === undefined) return undefined;
    try {
      const answer = await question(engine);
      this.roundTrips.ok++;
      return { answer };
    } catch {
      this.roundTrips.failed++;
      return undefined;
    }
  }

  /** Calls back with each text that another replica tells about `topic`. */
  listen(topic: string, listener: (text: string) => void): void {
    this.#listeners.set(topic, listener);
  }

  /** The window of this key, with the units that it holds. The newest user is woken. */
  window(key: string, limit: WindowLimit, wake: () => void, plan = planOf(limit)): LeasedWindow {
    const name = `${key} ${limit.limit}/${limit.periodMs}/${limit.burst}`;
    let window = this.#windows.get(name);
    if (window === undefined) {
      window = new LeasedWindow(name, { limit, plan, lease: new Lease(plan, this.#deps.random) }, this);
      this.#windows.set(name, window);
    }
    window.wake = wake;
    return window;
  }

  send(window: LeasedWindow, request: LeaseRequest): void {
    const engine = this.#engine;
    if (engine === undefined) return window.lost(request);
    const sentAt = this.real();
    this.#request(engine, engine.lease(window.key, request), {
      heard: (reply) => window.heard(request, reply, sentAt),
      late: () => window.late(request),
      lost: () => window.lost(request),
    });
  }

  /** Waits for a reply of the engine. */
  #request<T>(engine: FleetEngine, reply: Promise<T>, { heard, late, lost }: Outcome<T>): void {
    let pending = true;
    const timer = this.#patience(() => {
      if (!pending) return;
      pending = false;
      this.roundTrips.late++;
      late();
      this.#doubt('slow');
    });
    const ended = (how: RoundTrip): boolean => {
      timer.cancel();
      if (pending) this.roundTrips[how]++;
      const inTime = pending;
      pending = false;
      return inTime;
    };
    reply.then(
      (answer) => {
        ended('ok');
        heard(answer);
      },
      (error: unknown) => {
        const inTime = ended('failed');
        lost();
        if (inTime && engine === this.#engine) this.#doubt('failed', error);
      },
    );
  }

  #heardNews(message: string): void {
    const news = newsOf(message);
    if (news === undefined || news[0] === this.#deps.replica) return;
    this.#listeners.get(news[1])?.(news[2]);
  }

  remind(window: LeasedWindow, ms: number): void {
    this.#timers.get(window)?.cancel();
    const timer = this.#deps.clock.timer(ms, () => {
      this.#timers.delete(window);
      window.ask();
    });
    this.#timers.set(window, timer);
  }

  /** Gives back what is held, and ends the connection. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#next?.cancel();
    for (const stop of this.#waits) stop();
    for (const timer of this.#timers.values()) timer.cancel();
    const engine = this.#engine;
    if (engine === undefined) return;
    for (const window of this.#windows.values()) window.giveUp();
    const left = engine.leave(this.#deps.replica).catch(() => undefined);
    // No call waits for it, and units that do not come back are lost to the others.
    await Promise.race([left, new Promise<void>((resolve) => this.#deps.clock.timer(LEAVING_MS, resolve))]);
    this.#engine = undefined;
    await engine.close().catch(() => undefined);
  }

  /**
   * A busy process sends a request late, and reads its sockets late. Time in which it was busy does not count, and what has arrived
   * by then is read first.
   */
  #patience(callback: () => void): Timer {
    let timer: Timer | undefined;
    const wait = () => {
      const end = this.real() + PATIENCE_MS;
      timer = this.#deps.clock.timer(PATIENCE_MS, () => {
        if (this.real() - end > BUSY_MS) wait();
        else this.#deps.afterReading(callback);
      });
    };
    wait();
    return { cancel: () => timer?.cancel() };
  }

  async #connect(): Promise<void> {
    const giveUp = new AbortController();
    const stop = () => giveUp.abort(new Error('it did not answer'));
    const timer = this.#deps.clock.timer(CONNECT_MS, stop);
    this.#waits.add(stop);
    try {
      let lost: Error | undefined;
      let opened: FleetEngine | undefined;
      const engine = await this.#deps.open({
        giveUp: giveUp.signal,
        onMessage: (message) => this.#heardNews(message),
        onLost: (error) => {
          lost ??= error;
          if (opened !== undefined && opened === this.#engine) this.#lost(error);
        },
      });
      if (lost !== undefined) throw lost;
      opened = engine;
      if (this.#closed) return await engine.close();
      this.#engine = engine;
      this.#worked = false;
    } catch (error) {
      return this.#unreachable(error);
    } finally {
      timer.cancel();
      this.#waits.delete(stop);
    }
    await this.#beat();
  }

  #unreachable(error: unknown): void {
    if (this.#closed) return;
    this.#turn({ away: 'unreachable', detail: reasonOf(error) });
    this.#connectLater();
  }

  #connectLater(): void {
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++);
    this.#next = this.#deps.clock.timer(
      waitMs * (0.5 + 0.5 * this.#deps.random()),
      () => void this.#connect(),
    );
  }

  #lost(error: Error): void {
    const engine = this.#engine;
    if (engine === undefined || this.#closed) return;
    this.#engine = undefined;
    this.#beatAt = undefined;
    this.#next?.cancel();
    for (const stop of this.#waits) stop();
    engine.close().catch(() => undefined);
    this.#turn({ away: 'lost', detail: reasonOf(error) });
    // An engine can accept connections and refuse all else: it has no memory left, or is read-only.
    if (this.#worked) void this.#connect();
    else this.#connectLater();
  }

  /** A request failed. The next heartbeat, which is sent at once, says whether the engine can be used. */
  #doubt(away: AwayCause, error?: unknown): void {
    this.#turn({ away, detail: error === undefined ? undefined : reasonOf(error) });
    if (this.#beatAt === undefined) void this.#beat();
  }

  async #beat(): Promise<void> {
    const engine = this.#engine;
    if (engine === undefined || this.#closed) return;
    const sentAt = this.real();
    this.#beatAt = sentAt;
    const late = this.#patience(() => this.#turn({ away: 'slow' }));
    const dead = this.#deps.clock.timer(DEAD_MS, () => this.#lost(new Error('it did not answer')));
    const stop = () => {
      late.cancel();
      dead.cancel();
    };
    this.#waits.add(stop);
    this.#beatAfter(PROBE_MS);
    try {
      const muster = await engine.muster(this.#deps.replica);
      if (engine === this.#engine) this.#mustered(muster, sentAt);
    } catch (error) {
      if (engine === this.#engine) this.#lost(error instanceof Error ? error : new Error(reasonOf(error)));
    } finally {
      stop();
      this.#waits.delete(stop);
    }
  }

  #beatAfter(ms: number): void {
    this.#next?.cancel();
    this.#next = this.#deps.clock.timer(ms, () => void this.#beat());
  }

  #mustered({ replicas, generation }: Muster, sentAt: number): void {
    const isLast = this.#beatAt === sentAt;
    if (isLast) this.#beatAt = undefined;
    this.#failures = 0;
    this.#worked = true;
    const isNew = this.#generation !== undefined && this.#generation !== generation;
    this.#generation = generation;
    if (isNew) this.#recalled = { replicas: this.#replicas, until: this.real() + SEEN_MS };
    this.#replicas = Math.max(replicas, this.#recalledReplicas);
    const isSlow = this.real() - sentAt > PATIENCE_MS && this.away;
    this.#turn({ away: isSlow ? 'slow' : undefined });
    if (isNew) this.#announce();
    if (isLast) this.#beatAfter(isSlow ? PROBE_MS : HEARTBEAT_MS);
  }

  /** How many replicas there were before the engine lost its data, until all have come back to it. */
  get #recalledReplicas(): number {
    return this.real() < this.#recalled.until ? this.#recalled.replicas : 1;
  }

  #announce(): void {
    for (const window of this.#windows.values()) window.announce();
    this.#deps.onNewEngine?.();
  }

  /** Waiting calls get their units from somewhere else now. */
  #turn(state: FleetState): void {
    if (state.away === this.#state.away) return;
    const wasAway = this.away;
    this.#state = state;
    this.#deps.onState(state);
    if (wasAway === this.away) return;
    for (const window of this.#windows.values()) {
      window.wake();
      window.ask();
    }
  }
}

/** Others may write to the channel too. */
function newsOf(message: string): News | undefined {
  try {
    const news: unknown = JSON.parse(message);
    const valid = Array.isArray(news) && news.length === 3 && news.every((part) => typeof part === 'string');
    return valid ? (news as unknown as News) : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
