import { headersOf, type RawHeaders } from '../http/headers.ts';
import { preferencesOf } from '../http/preferences.ts';
import { ProxyError } from './errors.ts';

/** What clients may ask for, and how much of it. */
export interface OverrideLimits {
  /** The most attempts; undefined: not to be asked for. */
  readonly attempts: number | undefined;
  /** The longest total timeout; undefined: not to be asked for. */
  readonly timeoutMs: number | undefined;
  readonly retryOn: boolean;
  readonly idempotent: boolean;
  /** `Prefer: wait=N` and `x-request-timeout-ms` may shorten the total timeout. */
  readonly wait: boolean;
}

/** What a client asked for its call, within the limits. */
export interface CallOverrides {
  readonly attempts: number | undefined;
  readonly timeoutMs: number | undefined;
  /** Statuses worth another attempt, in place of the route's. */
  readonly retryOn: ReadonlySet<number> | undefined;
  /** Whether the call may be sent again when it is unknown what became of it, whatever its method. */
  readonly idempotent: boolean | undefined;
  /** The client waits no longer than this. */
  readonly waitMs: number | undefined;
}

/**
 * Reads the fields by which a client overrides what its route says; undefined where there is none that counts. What is
 * beyond a limit is taken back to it. Throws `bad_request`, naming the field, for a value that cannot be understood.
 */
export function readOverrides(headers: RawHeaders, limits: OverrideLimits): CallOverrides | undefined {
  const read = <T>(name: string, allowed: boolean, parse: (text: string) => T): T | undefined => {
    const found = allowed ? headersOf(headers, name) : [];
    return found.length === 0 ? undefined : parse(found.join(', ').trim());
  };
  const { attempts = 0, timeoutMs = 0 } = limits;
  const asked: CallOverrides = {
    attempts: read('breakwater-attempts', attempts > 0, (text) => Math.min(attempts, attemptsIn(text))),
    timeoutMs: read('breakwater-timeout', timeoutMs > 0, (text) => Math.min(timeoutMs, durationIn(text))),
    retryOn: read('breakwater-retry-on', limits.retryOn, statusesIn),
    idempotent: read('breakwater-idempotent', limits.idempotent, booleanIn),
    waitMs: least(
      read('x-request-timeout-ms', limits.wait, millisecondsIn),
      limits.wait ? preferredWaitMs(headers) : undefined,
    ),
  };
  return Object.values(asked).every((value) => value === undefined) ? undefined : asked;
}

/** How long a call may take: the route's time or the one that was asked for, and never longer than its client waits. */
export function totalTimeoutMs(routeMs: number, asked: CallOverrides | undefined): number {
  return Math.min(asked?.timeoutMs ?? routeMs, asked?.waitMs ?? Infinity);
}

/** What was asked for, as it stands in metrics (the names) and in the log. */
export function shownOverrides(asked: CallOverrides): [name: string, value: string][] {
  const { attempts, timeoutMs, retryOn, idempotent, waitMs } = asked;
  const all = {
    attempts,
    timeout_ms: timeoutMs,
    retry_on: retryOn && ([...retryOn].join() || 'none'),
    idempotent,
    wait_ms: waitMs,
  };
  return Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
}

function attemptsIn(text: string): number {
  const attempts = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return attempts >= 1 ? attempts : bad('breakwater-attempts', text, 'a whole number, at least 1');
}

const UNITS: ReadonlyMap<string, number> = new Map(Object.entries({ ms: 1, s: 1_000, m: 60_000 }));

function durationIn(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(digits ?? 0) * (UNITS.get(unit) ?? 0);
  return ms >= 1
    ? ms
    : bad('breakwater-timeout', text, 'a duration of at least 1ms, such as 500ms, 2.5s or 1m');
}

function statusesIn(text: string): ReadonlySet<number> {
  if (text === 'none') return new Set();
  const statuses = text.split(',').map((item) => (/^[45]\d\d$/.test(item.trim()) ? Number(item) : 0));
  return statuses.includes(0)
    ? bad('breakwater-retry-on', text, 'statuses from 400 to 599, such as 404, 503, or none')
    : new Set(statuses);
}

function booleanIn(text: string): boolean {
  return text === 'true' || (text === 'false' ? false : bad('breakwater-idempotent', text, 'true or false'));
}

function millisecondsIn(text: string): number {
  const ms = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  return ms >= 1 ? ms : bad('x-request-timeout-ms', text, 'a whole number of milliseconds, at least 1');
}

/** RFC 7240 §4.3, in whole seconds. Preferences that are not understood are to be ignored, so none is refused; the first counts. */
function preferredWaitMs(headers: RawHeaders): number | undefined {
  const seconds = preferencesOf(headers)?.waitSeconds ?? 0;
  return seconds === 0 ? undefined : seconds * 1_000;
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function bad(name: string, found: string, wanted: string): never {
  const shown = found.length > 40 ? `${found.slice(0, 40)}…` : found;
  throw new ProxyError('bad_request', `the header ${name} has the value "${shown}"; write ${wanted}`);
}
