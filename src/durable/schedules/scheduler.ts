import { isDeepStrictEqual } from 'node:util';
import type { SlotResult } from '../../proxy/events.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Observer } from '../../telemetry/call-record.ts';
import type { Health } from '../health.ts';
import type { Job } from '../job.ts';
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
  /** There is something new to run. */
  readonly submitted: () => void;
}

/** A schedule as it is schedule here. */
export interface ActiveSchedule {
  readonly options: ScheduleOptions;
  readonly slots: Slots;
  /** Earlier than it was, once the clock has been set back. */
  since: number;
  /** The slot yet to come that was run already, and that the log has told of. */
  ahead: number | undefined;
  timer: Timer | undefined;
}

/** A clock that is set, or a computer that sleeps, is noticed within this. */
const LONGEST_SLEEP_MS = 60_000;

/** A store that fails is asked again after this. */
const RETRY_MS = 1_000;

/** What a schedule is called where routes are paused. No upstream's route has such a name: it would hold a slash. */
export const pausedName = (schedule: string): string => `schedule:${schedule}`;

/** Makes the requests of all schedules, each slot's once, whoever else works on the same store. */
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

  /** Those that did not change go on. */
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

  /** A run now, besides its slots. Undefined where one goes on that it must not overlap; rejects with a StoreError. */
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

  /** Makes the run of the slot that is due, if any, unless another process was first. */
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
    // What is skipped is taken too, so that nobody runs it later.
    const job = result === 'started' ? this.#job(options, slotAt) : undefined;
    if (!(await health.accepting(store.submitSlot(name, slotAt, job)))) return;
    this.#report(options, slotAt, result);
    if (job !== undefined) submitted();
  }

  /**
   * Slots that were run while a clock was ahead are not run again, and do not count as the last: the slots before them go
   * on by the corrected time.
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
    const deadlineMs = route(options.route)?.options.deadlineMs ?? 86_400_000;
    return runOf(options, { slotAt, now: clock.wallTime(), deadlineMs });
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
