import { headerOf, type RawHeaders } from './headers.ts';

/** Month names of three letters. The position of a name is three times its month, from 0. */
const MONTHS = 'janfebmaraprmayjunjulaugsepoctnovdec';

const DATE_FORMS: readonly RegExp[] = [
  // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
  /^[a-z]{3}, (?<day>\d\d) (?<month>[a-z]{3}) (?<year>\d{4}) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) gmt$/i,
  // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
  /^[a-z]{6,9}, (?<day>\d\d)-(?<month>[a-z]{3})-(?<year>\d\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) gmt$/i,
  // asctime: Sun Nov  6 08:49:37 1994
  /^[a-z]{3} (?<month>[a-z]{3}) (?<day>[ \d]\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) (?<year>\d{4})$/i,
];

/**
 * Parses an HTTP-date in any of its three forms (RFC 9110 §5.6.7) to milliseconds since the epoch; undefined if invalid.
 * Used for every date in headers, because `Date.parse` accepts and misreads other text. The day name is not checked, and
 * case is ignored.
 */
export function httpDateMs(value: string, nowWallMs: number): number | undefined {
  for (const form of DATE_FORMS) {
    const fields = form.exec(value)?.groups;
    if (fields !== undefined) return epochMs(fields, nowWallMs);
  }
  return undefined;
}

/** The time of a message by its `Date`; undefined if absent or invalid. */
export function sentWallMs(headers: RawHeaders, nowWallMs: number): number | undefined {
  const date = headerOf(headers, 'date');
  return date === undefined ? undefined : httpDateMs(date.trim(), nowWallMs);
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
