import { digits } from './digits.ts';
import { httpDateMs } from './http-date.ts';

/**
 * The format of the time at which a quota is full. `auto` detects it. `go_duration`: 1m30.951s. `minute_date`: an ISO date
 * truncated to the minute, so the reset can be at any time within that minute.
 */
export type ResetAs =
  | 'auto'
  | 'go_duration'
  | 'epoch_s'
  | 'epoch_ms'
  | 'delta_s'
  | 'delta_ms'
  | 'date'
  | 'minute_date';

/** The longest plausible time to a reset. A longer one was misread. */
const LONGEST_RESET_MS = 31 * 24 * 3_600_000;

/** A reset may be this long in the past, because of a wrong clock or a slow reply. An earlier one is invalid. */
const LATE_MS = 60_000;

const MINUTE_MS = 60_000;

/** Two times of the wall clock, in milliseconds since the epoch. */
export interface ReplyTimes {
  readonly nowWallMs: number;
  /** The reply's `Date`, to which its times relate; undefined if absent. */
  readonly sentWallMs: number | undefined;
}

/** Milliseconds from the arrival of the reply to the reset, between 0 and 31 days; undefined if the value is not plausible. */
export function resetAfterMs(text: string, as: ResetAs, times: ReplyTimes): number | undefined {
  const value = text.trim();
  const ms = as === 'auto' ? guessed(value, times) : READERS[as](value, times);
  if (ms === undefined || Number.isNaN(ms) || ms > LONGEST_RESET_MS || ms < -LATE_MS) return undefined;
  return Math.max(0, ms);
}

type Read = (value: string, times: ReplyTimes) => number | undefined;

const READERS: Readonly<Record<Exclude<ResetAs, 'auto'>, Read>> = {
  go_duration: goDurationMs,
  delta_s: (value) => delta(value, 1000),
  delta_ms: (value) => delta(value, 1),
  epoch_s: (value, times) => until(delta(value, 1000), times),
  epoch_ms: (value, times) => until(delta(value, 1), times),
  date: (value, times) => until(dateMs(value, times), times),
  minute_date: (value, times) => {
    const left = until(dateMs(value, times), times);
    // Within the named minute, the reset may still be ahead.
    return left !== undefined && left <= 0 && left > -MINUTE_MS ? left + MINUTE_MS : left;
  },
};

/** Numbers from these on are times, not durations: 1e9 s and 1e12 ms are September 2001. */
const SMALLEST_EPOCH_S = 1e9;
const SMALLEST_EPOCH_MS = 1e12;

function guessed(value: string, times: ReplyTimes): number | undefined {
  const number = delta(value, 1);
  if (number === undefined) return goDurationMs(value) ?? READERS.date(value, times);
  if (number >= SMALLEST_EPOCH_MS) return until(number, times);
  return number >= SMALLEST_EPOCH_S ? until(number * 1000, times) : delta(value, 1000);
}

function until(atWallMs: number | undefined, { nowWallMs, sentWallMs }: ReplyTimes): number | undefined {
  return atWallMs === undefined ? undefined : atWallMs - (sentWallMs ?? nowWallMs);
}

const DECIMAL = /^\d+(?:\.\d+)?$/;

/** Rounds to 0.001 ms, because 2.01 · 1000 is 2009.9999999999998. */
function delta(value: string, unitMs: number): number | undefined {
  const number = digits(value) ?? (DECIMAL.test(value) ? Number(value) : undefined);
  if (number === undefined) return undefined;
  const ms = number * unitMs;
  return Number.isInteger(ms) ? ms : Number(ms.toFixed(3));
}

const GO_UNITS: ReadonlyMap<string, number> = new Map(
  Object.entries<number>({
    h: 3_600_000,
    m: 60_000,
    s: 1000,
    ms: 1,
    us: 1e-3,
    µs: 1e-3,
    ns: 1e-6,
  }),
);
const GO_DURATION = /^(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+$/;
const GO_PART = /(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/gy;

/** Parses a duration like Go's `time.ParseDuration`, without a sign. */
function goDurationMs(value: string): number | undefined {
  if (!GO_DURATION.test(value)) return undefined;
  let ms = 0;
  for (const [, digits, unit = ''] of value.matchAll(GO_PART))
    ms += Number(digits) * (GO_UNITS.get(unit) ?? NaN);
  return Number(ms.toFixed(3));
}

/** RFC 3339 with optional seconds. A date without a zone is not accepted, because its time is ambiguous. */
const ISO = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)$/;

/** The format of JavaScript's `Date.toString`: Tue Feb 16 2021 09:02:42 GMT+0100 (Central European Standard Time) */
const JS_DATE = /^([A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4})(?: \(.*\))?$/;

function dateMs(value: string, { nowWallMs }: ReplyTimes): number | undefined {
  const text = ISO.test(value) ? value.toUpperCase() : JS_DATE.exec(value)?.[1];
  return text === undefined ? httpDateMs(value, nowWallMs) : Date.parse(text);
}
