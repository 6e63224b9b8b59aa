import { isDeepStrictEqual } from 'node:util';
import type { SlotResult } from '../../proxy/events.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Observer } from '../../telemetry/call-record.ts';
import type { Health } from '../health.ts';
import type { Job } from '../job.ts';
import { firstState } from '../bound-target.ts';
import type { DurableRoute } from '../route.ts';
import { StoreError } from '../store/db.ts';
import type { Store } from '../store/store.ts';
import { parseCron, type Slots } from './cron.ts';
import { dueSlot } from './due-slot.ts';
import type { ScheduleOptions } from './options.ts';
import { runOf } from './run.ts';

export interface SchedulerDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly health: Health;
  readonly logger: Pick<Logger, 'error' | 'info' | 'warn'>;
  readonly observer: Pick<Observer, 'stateChanged'>;
  readonly route: (name: string) => DurableRoute | undefined;
  /** Called after a run was stored. */
  readonly submitted: () => void;
}

/** A schedule that this process watches. */
export interface ActiveSchedule {
  readonly options: ScheduleOptions;
  readonly slots: Slots;
  /** Wall-clock milliseconds. Moved back when the clock is set back. */
  since: number;
  /** A future slot that has already run, and that was logged. */
  ahead: number | undefined;
  timer: Timer | undefined;
}

/** A changed clock, or a suspended machine, is noticed within this time. */
const LONGEST_SLEEP_MS = 60_000;

/** Interval to the next try after the store failed. */
const RETRY_MS = 1_000;

/** Name of a schedule among the paused routes. A route's name always contains a slash, so the two cannot collide. */
export const pausedName = (schedule: string): string => `schedule:${schedule}`;

/** Creates the requests of all schedules. Each slot runs once, however many processes share the store. */
export class Scheduler {
  readonly #deps: SchedulerDeps;
  #schedule: ReadonlyMap<string, ActiveSchedule> = new Map();
  #stopped = false;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  get all(): ReadonlyMap<string, ActiveSchedule> {
    return this.#schedule;
  }

  /** Schedules with unchanged options continue. */
  setUp(schedules: readonly ScheduleOptions[]): void {
    const before = this.#schedule;
    this.#schedule = new Map(
      schedules.map((options) => {
        const known = before.get(options.name);
        return [
          options.name,
          isDeepStrictEqual(known?.options, options) && known ? known : this.#activate(options),
        ];
      }),
    );
    for (const [name, schedule] of before)
      if (this.#schedule.get(name) !== schedule) schedule.timer?.cancel();
    for (const [name, schedule] of this.#schedule)
      if (before.get(name) !== schedule) void this.#look(schedule);
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#schedule.values()) timer?.cancel();
  }

  /** Creates a manual run. Undefined if it would overlap an unfinished one. Rejects with a StoreError. */
  async run({ options }: ActiveSchedule): Promise<string | undefined> {
    const { health, store, submitted } = this.#deps;
    if (options.overlap === 'skip' && (await this.#unfinishedRun(options.name)) !== undefined)
      return undefined;
    const job = this.#job(options, undefined);
    await health.accepting(store.submit(job));
    submitted();
    return job.id;
  }

  #activate(options: ScheduleOptions): ActiveSchedule {
    const since = this.#deps.clock.wallTime();
    const slots = parseCron(options.cron, options.timezone);
    return { options, since, slots, ahead: undefined, timer: undefined };
  }

  /** Never rejects. */
  async #look(schedule: ActiveSchedule): Promise<void> {
    let wait: number;
    try {
      await this.#runDueSlot(schedule);
      const now = this.#deps.clock.wallTime();
      wait = (schedule.slots.next(now) ?? Number.POSITIVE_INFINITY) - now;
    } catch (error) {
      if (!(error instanceof StoreError)) this.#deps.logger.error({ error }, 'a schedule failed: a bug');
      wait = RETRY_MS;
    }
    if (this.#stopped || this.#schedule.get(schedule.options.name) !== schedule) return;
    schedule.timer = this.#deps.clock.timer(
      Math.min(wait, LONGEST_SLEEP_MS),
      () => void this.#look(schedule),
    );
  }

  /** Creates the run of the due slot, unless another process has taken the slot. */
  async #runDueSlot(schedule: ActiveSchedule): Promise<void> {
    const { clock, health, store, submitted } = this.#deps;
    const { options, slots } = schedule;
    const { name, catchup } = options;
    const now = clock.wallTime();
    const { due: lastSlotAt, ahead } = await health.reading(store.lastSlot(name, now));
    this.#checkClock(schedule, ahead, now);
    const slotAt = dueSlot(slots, { catchup, lastSlotAt, watchedSince: schedule.since }, now);
    if (slotAt === undefined || this.#stopped) return;
    const result = await this.#resultOf(options);
    // A skipped slot is taken too, so that no process runs it later.
    const job = result === 'started' ? this.#job(options, slotAt) : undefined;
    if (!(await health.accepting(store.submitSlot(name, slotAt, job)))) return;
    this.#report(options, slotAt, result);
    if (job !== undefined) submitted();
  }

  /**
   * Warns of slots that ran while a clock was ahead. They do not run again and do not count as the last slot, so that
   * earlier slots run by the corrected clock.
   */
  #checkClock(schedule: ActiveSchedule, ahead: number | undefined, now: number): void {
    schedule.since = Math.min(schedule.since, now);
    if (ahead !== undefined && ahead !== schedule.ahead) {
      const { name, route } = schedule.options;
      const slot = new Date(ahead).toISOString();
      const message = `schedule ${name}: the future slot ${slot} has already run, because the clock was ahead here or in another process; earlier slots run by the corrected clock`;
      this.#deps.logger.warn({ schedule: name, route, slot }, message);
    }
    schedule.ahead = ahead;
  }

  async #resultOf({ name, overlap }: ScheduleOptions): Promise<SlotResult> {
    const { health, store } = this.#deps;
    if ((await health.reading(store.paused())).includes(pausedName(name))) return 'paused';
    if (overlap === 'skip' && (await this.#unfinishedRun(name)) !== undefined) return 'overlap';
    return 'started';
  }

  async #unfinishedRun(name: string): Promise<Job | undefined> {
    const { health, store } = this.#deps;
    const status = ['queued', 'running', 'waiting'] as const;
    const [job] = await health.reading(store.list({ kind: 'scheduled', parent: name, status, limit: 1 }));
    return job;
  }

  #job(options: ScheduleOptions, slotAt: number | undefined) {
    const { clock, route } = this.#deps;
    const configured = route(options.route);
    const deadlineMs = configured?.options.deadlineMs ?? 86_400_000;
    const state = configured === undefined ? {} : firstState(configured);
    return runOf(options, { slotAt, now: clock.wallTime(), deadlineMs, state });
  }

  #report({ name, route }: ScheduleOptions, slotAt: number, result: SlotResult): void {
    const { logger, observer } = this.#deps;
    observer.stateChanged('', { type: 'schedule_slot', scope: name, result });
    if (result === 'started') return;
    const slot = new Date(slotAt).toISOString();
    const why = result === 'paused' ? 'the schedule is paused' : 'the previous run is still in progress';
    logger.info({ schedule: name, route, slot, result }, `schedule ${name}: slot ${slot} is skipped: ${why}`);
  }
}
