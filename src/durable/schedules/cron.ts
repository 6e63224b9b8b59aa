import { Cron } from 'croner';

/** The moments of a cron expression in a time zone. Moments are wall-clock milliseconds since 1970. */
export interface Slots {
  /** The first one after `after`; undefined when there is none any more. */
  readonly next: (after: number) => number | undefined;
  /** The last one at or before `at`; undefined when there was none. */
  readonly latest: (at: number) => number | undefined;
}

/**
 * Reads a cron expression of five fields (minute hour day month weekday; with six the first is the second) and an IANA time
 * zone. Throws an Error that says what is wrong with either.
 */
export function parseCron(expression: string, timezone: string): Slots {
  // Without a function to run, croner only calculates.
  const cron = new Cron(expression, { timezone, mode: '5-or-6-parts', paused: true });
  // croner looks the time zone up only when it needs one.
  cron.nextRun(new Date(0));
  return {
    next: (after) => cron.nextRun(new Date(after))?.getTime(),
    // Its reference is exclusive.
    latest: (at) => cron.previousRuns(1, new Date(at + 1))[0]?.getTime(),
  };
}
