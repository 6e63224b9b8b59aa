import { headerOf, type RawHeaders } from './headers.ts';
import type { Reply } from './reply.ts';

/** A wait longer than this is a mistake or an epoch timestamp, not a wish. */
const LONGEST_WAIT_MS = 365 * 24 * 3_600_000;

type Parse = (value: string, headers: RawHeaders, nowWallMs: number) => number | undefined;

/** Most precise first; headers that say when a quota resets would follow, as they are the weakest hint. */
const SOURCES: readonly (readonly [name: string, parse: Parse])[] = [
  ['grpc-retry-pushback-ms', decimal],
  ['retry-after-ms', decimal],
  ['x-ms-retry-after-ms', decimal],
  ['x-amz-retry-after', decimal],
  ['retry-after', secondsOrDate],
];

/**
 * How long a reply asks its caller to wait, in milliseconds from its arrival, between 0 and a year; undefined when it
 * does not say. A header that makes no sense (negative, empty, beyond a year) counts as absent. Dates (RFC 9110
 * §10.2.3) are measured against the reply's own `Date`, so that the two clocks need not agree.
 */
export function retryAfterMs(headers: RawHeaders, nowWallMs: number): number | undefined {
  for (const [name, parse] of SOURCES) {
    const value = headerOf(headers, name);
    if (value === undefined) continue;
    const ms = parse(value.trim(), headers, nowWallMs);
    if (ms !== undefined && ms <= LONGEST_WAIT_MS) return ms;
  }
  return undefined;
}

/** How long a reply asks its caller to wait: by its head, else by the rules of its API. */
export function askedWaitMs(
  { headers, verdict }: Pick<Reply, 'headers' | 'verdict'>,
  nowWallMs: number,
): number | undefined {
  return retryAfterMs(headers, nowWallMs) ?? verdict?.retryAfterMs;
}

/** Digits only: `Number` would also take '', '0x10', '1e9' and 'Infinity'. */
const DECIMAL = /^\d+(?:\.\d+)?$/;

function decimal(value: string): number | undefined {
  return DECIMAL.test(value) ? Number(value) : undefined;
}

function secondsOrDate(value: string, headers: RawHeaders, nowWallMs: number): number | undefined {
  const seconds = decimal(value);
  // Rounded, because 2.01 · 1000 is 2009.9999999999998.
  if (seconds !== undefined) return Math.round(seconds * 1000);
  const at = httpDateMs(value, nowWallMs);
  if (at === undefined) return undefined;
  const date = headerOf(headers, 'date');
  const sentAt = date === undefined ? undefined : httpDateMs(date.trim(), nowWallMs);
  return Math.max(0, at - (sentAt ?? nowWallMs));
}

/** Month names, three letters each: the index of a name is three times the month. */
const MONTHS = 'janfebmaraprmayjunjulaugsepoctnovdec';

const DATE_FORMS: readonly RegExp[] = [
  // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
  /^[a-z]{3}, (?<day>\d\d) (?<month>[a-z]{3}) (?<year>\d{4}) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) gmt$/i,
  // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
  /^[a-z]{6,9}, (?<day>\d\d)-(?<month>[a-z]{3})-(?<year>\d\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) gmt$/i,
  // asctime: Sun Nov  6 08:49:37 1994
  /^[a-z]{3} (?<month>[a-z]{3}) (?<day>[ \d]\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) (?<year>\d{4})$/i,
];

/** Milliseconds since the epoch of an HTTP-date in any of its three forms (RFC 9110 §5.6.7). The day's name is not checked. */
export function httpDateMs(value: string, nowWallMs: number): number | undefined {
  for (const form of DATE_FORMS) {
    const fields = form.exec(value)?.groups;
    if (fields !== undefined) return epochMs(fields, nowWallMs);
  }
  return undefined;
}

function epochMs(fields: Record<string, string>, nowWallMs: number): number | undefined {
  const number = (name: string) => Number(fields[name]);
  const month = MONTHS.indexOf(String(fields['month']).toLowerCase()) / 3;
  const [day, hour, minute, second] = [number('day'), number('hour'), number('minute'), number('second')];
  const year = fields['year']?.length === 2 ? fullYear(number('year'), nowWallMs) : number('year');
  const midnight = Date.UTC(year, month, day);
  const exists = Number.isInteger(month) && day >= 1 && midnight < Date.UTC(year, month + 1, 1);
  // Second 60 is a leap second, which the grammar allows.
  if (!exists || hour > 23 || minute > 59 || second > 60) return undefined;
  return midnight + ((hour * 60 + minute) * 60 + second) * 1000;
}

/** The year nearest to now with these last two digits; none is more than 50 years ahead (RFC 9110 §5.6.7). */
function fullYear(lastTwo: number, nowWallMs: number): number {
  const thisYear = new Date(nowWallMs).getUTCFullYear();
  const ahead = (((lastTwo - thisYear) % 100) + 100) % 100;
  return thisYear + (ahead > 50 ? ahead - 100 : ahead);
}
