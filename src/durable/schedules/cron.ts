import { Cron } from 'croner';

/** The times of a cron expression in a time zone, in wall-clock milliseconds since 1970. */
export interface Slots {
  /** The first slot after `after`. Undefined if there is none. */
  readonly next: (after: number) => number | undefined;
  /** The last slot at or before `at`. Undefined if there was none. */
  readonly latest: (at: number) => number | undefined;
}

/**
 * Parses a cron expression and an IANA time zone. Five fields are minute, hour, day, month, weekday; a sixth in front
 * is the second. Throws an Error with the reason if either is not valid.
 */
export function parseCron(expression: string, timezone: string): Slots {
  // Without a function to run, croner only calculates times.
  const cron = new Cron(expression, { timezone, mode: '5-or-6-parts', paused: true });
  // croner checks the time zone only when it calculates.
  cron.nextRun(new Date(0));
  return {
    next: (after) => cron.nextRun(new Date(after))?.getTime(),
    // The time passed to croner is exclusive.
    latest: (at) => cron.previousRuns(1, new Date(at + 1))[0]?.getTime(),
  };
}
