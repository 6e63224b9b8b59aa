import { headersOf, type RawHeaders } from '../http/headers.ts';
import { preferencesOf } from '../http/preferences.ts';
import { PRIORITIES, type Priority } from './client.ts';
import { ProxyError } from './errors.ts';
import type { Fault } from './fault.ts';

/** The settings that clients may override, and their limits. */
export interface OverrideLimits {
  /** The most attempts; undefined: cannot be overridden. */
  readonly attempts: number | undefined;
  /** The longest total timeout; undefined: cannot be overridden. */
  readonly timeoutMs: number | undefined;
  readonly retryOn: boolean;
  readonly idempotent: boolean;
  /** `Prefer: wait=N` and `x-request-timeout-ms` may shorten the total timeout. */
  readonly wait: boolean;
  readonly priority: boolean;
  /** `breakwater-fault` asks for a fault. */
  readonly fault?: true | undefined;
}

/** The overrides of a client for one call, within the limits. */
export interface CallOverrides {
  readonly attempts: number | undefined;
  readonly timeoutMs: number | undefined;
  /** Statuses that are retried, instead of the route's. */
  readonly retryOn: ReadonlySet<number> | undefined;
  /** Whether the call may be sent again if the outcome of an attempt is unknown, whatever its method. */
  readonly idempotent: boolean | undefined;
  /** The longest time that the client waits, in milliseconds. */
  readonly waitMs: number | undefined;
  readonly priority: Priority | undefined;
  /** The fault that the client asks for. */
  readonly fault?: Fault | undefined;
}

/**
 * Reads the headers by which a client overrides settings of its route; undefined if there are none that are allowed. A value
 * beyond its limit is reduced to the limit. Throws `bad_request` with the header's name for an invalid value.
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
    priority: read('breakwater-priority', limits.priority, priorityIn),
    waitMs: least(
      read('x-request-timeout-ms', limits.wait, millisecondsIn),
      limits.wait ? preferredWaitMs(headers) : undefined,
    ),
    ...(limits.fault && { fault: read('breakwater-fault', true, faultIn) }),
  };
  return Object.values(asked).every((value) => value === undefined) ? undefined : asked;
}

/** The total timeout of a call in milliseconds: the route's or the client's, but never longer than the client waits. */
export function totalTimeoutMs(routeMs: number, asked: CallOverrides | undefined): number {
  return Math.min(asked?.timeoutMs ?? routeMs, asked?.waitMs ?? Infinity);
}

/** The overrides as shown in metrics (names only) and in the log. */
export function shownOverrides(asked: CallOverrides): [name: string, value: string][] {
  const { attempts, fault, timeoutMs, retryOn, idempotent, waitMs, priority } = asked;
  const all = {
    attempts,
    timeout_ms: timeoutMs,
    retry_on: retryOn && ([...retryOn].join() || 'none'),
    idempotent,
    wait_ms: waitMs,
    priority,
    fault: fault && String(fault.end),
  };
  return Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
}

function attemptsIn(text: string): number {
  const attempts = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return attempts >= 1 ? attempts : bad('breakwater-attempts', text, 'a whole number, at least 1');
}

const FAULT = 'one of 503 (a status), reset, stall and delay=2s, or delay=2s, 503';

/** The longest delay that a client may ask for. */
const LONGEST_DELAY_MS = 600_000;

function faultIn(text: string): Fault {
  const parts = text.split(',').map((part) => part.trim());
  const delay = parts[0]?.startsWith('delay=') === true ? parts.shift()?.slice('delay='.length) : undefined;
  const [then, ...more] = parts;
  if (more.length > 0 || (then === undefined && delay === undefined)) bad('breakwater-fault', text, FAULT);
  const delayMs = delay === undefined ? 0 : Math.min(LONGEST_DELAY_MS, durationIn(delay, 'breakwater-fault'));
  return { delayMs, end: then === undefined ? 'pass' : faultEnd(then) };
}

function faultEnd(text: string): Fault['end'] {
  if (text === 'reset' || text === 'stall') return text;
  return /^[2-5]\d\d$/.test(text) ? Number(text) : bad('breakwater-fault', text, FAULT);
}

const UNITS: ReadonlyMap<string, number> = new Map(Object.entries({ ms: 1, s: 1_000, m: 60_000 }));

function durationIn(text: string, header = 'breakwater-timeout'): number {
  const [, digits, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(digits ?? 0) * (UNITS.get(unit) ?? 0);
  return ms >= 1 ? ms : bad(header, text, 'a duration of at least 1ms, such as 500ms, 2.5s or 1m');
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

function priorityIn(text: string): Priority {
  return (
    PRIORITIES.find((priority) => priority === text) ??
    bad('breakwater-priority', text, PRIORITIES.join(', '))
  );
}

function millisecondsIn(text: string): number {
  const ms = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  return ms >= 1 ? ms : bad('x-request-timeout-ms', text, 'a whole number of milliseconds, at least 1');
}

/** RFC 7240 §4.3, in whole seconds. An invalid preference must be ignored, so none is refused. The first one counts. */
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
