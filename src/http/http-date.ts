import { headerOf, type RawHeaders } from './headers.ts';

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

/**
 * Milliseconds since the epoch of an HTTP-date in any of its three forms (RFC 9110 §5.6.7). Undefined: the text is no such date.
 * All code that reads a date of a header asks it: `Date.parse` takes far more, and not always for what was meant. The name of
 * the day is not checked, and case does not count.
 */
export function httpDateMs(value: string, nowWallMs: number): number | undefined {
  for (const form of DATE_FORMS) {
    const fields = form.exec(value)?.groups;
    if (fields !== undefined) return epochMs(fields, nowWallMs);
  }
  return undefined;
}

/** When a message was sent, by its `Date`; undefined where it has none that is valid. */
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
