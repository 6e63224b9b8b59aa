import type { Random } from '../runtime/random.ts';
import { headerOf, type RawHeaders } from './headers.ts';
import { httpDateMs, sentWallMs } from './http-date.ts';
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

/**
 * What is added to a wait that the upstream asks for: up to a tenth, where a tenth is 50 ms at least and 5 s at most. Callers
 * that got the same Retry-After would otherwise all return at the same moment.
 */
export function askedSpreadMs(waitMs: number, random: Random): number {
  return random() * Math.min(5_000, Math.max(50, 0.1 * waitMs));
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
  return Math.max(0, at - (sentWallMs(headers, nowWallMs) ?? nowWallMs));
}
