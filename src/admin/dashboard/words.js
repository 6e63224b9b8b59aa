/* Formats numbers and times for people. Pure: the caller passes the current time. */

/** @import { Reason } from './types.d.ts' */

const UNITS = /** @type {const} */ ([
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
]);

/**
 * `340 ms`, `12 s`, `3 min 20 s`, `2 d 4 h`: at most two units.
 * @param {number} ms
 */
export function duration(ms) {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1).replace('.0', '')} s`;
  const at = UNITS.findIndex(([size]) => ms >= size);
  const [size, unit] = UNITS[at] ?? [1_000, 's'];
  const [lower, lowerUnit] = UNITS[at + 1] ?? [0, ''];
  const whole = Math.floor(ms / size);
  const rest = lower === 0 ? 0 : Math.floor((ms % size) / lower);
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${lowerUnit}`;
}

/**
 * The time until `at`; a past time is due.
 * @param {number} at
 * @param {number} now
 */
export function countdown(at, now) {
  const left = at - now;
  if (left > -1_000)
    return left <= 0 ? 'now' : `in ${duration(left < 10_000 ? Math.ceil(left / 1_000) * 1_000 : left)}`;
  return `due for ${duration(wholeSeconds(-left))}`;
}

/**
 * @param {number} at
 * @param {number} now
 */
export function ago(at, now) {
  const passed = now - at;
  return passed < 1_000 ? 'just now' : `${duration(wholeSeconds(passed))} ago`;
}

/** @param {number} ms */
const wholeSeconds = (ms) => Math.floor(ms / 1_000) * 1_000;

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** @param {number} bytes */
export function size(bytes) {
  const power = Math.min(SIZES.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${SIZES[power]}`;
}

/** @param {number} value */
export function count(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** `99.5 %`; never rounded up to 100 %. @param {number} share 0 to 1. */
export function percent(share) {
  const tenths = Math.floor(share * 1_000) / 10;
  return `${tenths >= 99 && tenths < 100 ? tenths.toFixed(1) : Math.floor(tenths)} %`;
}

/** `3 ms`, `1.2 s`, `40 s`. @param {number} ms */
export function shortDuration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : duration(ms);
}

/** Texts for the reasons of waits and ends. @type {Readonly<Record<Reason, string>>} */
const REASONS = {
  backoff: 'backoff',
  retry_after: 'Retry-After',
  breaker_open: 'breaker open',
  quota: 'quota',
  budget: 'retry budget',
  concurrency: 'concurrency limit',
  address: 'address forbidden',
  auth: 'no credential',
  target: 'no target in service',
  credentials: 'credentials not readable',
  paused: 'route paused',
  not_before: 'not before',
  key: 'earlier request of its key',
  polling: 'polling',
  exhausted: 'attempts used up',
  deadline: 'deadline passed',
  not_retryable: 'not retryable',
  condition_failed: 'condition failed',
  unknown_outcome: 'outcome unknown',
  unwritable: 'result not stored',
  cancelled: 'cancelled',
};

/** Unknown reasons are shown unchanged. @param {string | undefined} reason */
export function because(reason) {
  if (reason === undefined) return '';
  return Object.hasOwn(REASONS, reason) ? REASONS[/** @type {Reason} */ (reason)] : reason;
}
