import type { Random } from '../runtime/random.ts';
import { fieldPairs, headerOf, type RawHeaders } from './headers.ts';
import { httpDateMs, sentWallMs } from './http-date.ts';
import type { Reply } from './reply.ts';

/** The longest plausible wait. A longer one is a mistake or an epoch timestamp. */
const LONGEST_WAIT_MS = 365 * 24 * 3_600_000;

type Parse = (value: string, headers: RawHeaders, nowWallMs: number) => number | undefined;

/** Headers that ask for a wait, the most precise first. `unitMs`: of the number in it. */
const SOURCES: readonly (readonly [name: string, parse: Parse, unitMs: number])[] = [
  ['grpc-retry-pushback-ms', decimal, 1],
  ['retry-after-ms', decimal, 1],
  ['x-ms-retry-after-ms', decimal, 1],
  ['x-amz-retry-after', decimal, 1],
  ['retry-after', secondsOrDate, 1_000],
];

/**
 * The wait that the headers of a reply ask for, in milliseconds from its arrival, between 0 and a year; undefined if none.
 * An invalid value (negative, empty, beyond a year) counts as absent. A date (RFC 9110 §10.2.3) is compared with the reply's
 * `Date`, so that the two clocks need not agree.
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

/** The wait that a reply asks for: by its headers, else by an error rule of its API. */
export function askedWaitMs(
  { headers, classification }: Pick<Reply, 'headers' | 'classification'>,
  nowWallMs: number,
): number | undefined {
  return retryAfterMs(headers, nowWallMs) ?? classification?.retryAfterMs;
}

/** The headers with this wait in each field that asks for one. Rounded up: to seconds in Retry-After. */
export function withRetryAfter(headers: RawHeaders, ms: number): RawHeaders {
  const units = new Map(SOURCES.map(([name, , unitMs]) => [name, unitMs]));
  return fieldPairs(headers).flatMap(([name, value]) => {
    const unitMs = units.get(name.toLowerCase());
    return [name, unitMs === undefined ? value : String(Math.ceil(ms / unitMs))];
  });
}

/**
 * A random addition to a requested wait, uniform from 0 to 10 % of it. The upper end is at least 50 ms and at most 5 s.
 * Otherwise, all callers with the same Retry-After would return at the same time.
 */
export function askedSpreadMs(waitMs: number, random: Random): number {
  return random() * Math.min(5_000, Math.max(50, 0.1 * waitMs));
}

/** Decimal digits. `Number` would also accept '', '0x10', '1e9' and 'Infinity'. */
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
  return Math.max(0, at - (sentWallMs(headers, nowWallMs) ?? nowWallMs));
}
