import { askedSpreadMs } from '../../http/retry-after.ts';
import type { Random } from '../../runtime/random.ts';
import { grown, growthMs } from './growth.ts';
import type { BackoffOptions } from './options.ts';

/** The position of a wait within its call. */
export interface BackoffStep {
  /** 1 for the wait before the first retry. */
  readonly retry: number;
  /** Milliseconds of the previous backoff, without a wait that the upstream asked for; 0 for the first. Only `decorrelated` uses it. */
  readonly previousMs: number;
  /** The failure was a 429, 503 or 529: `overloadedBaseMs` takes the place of `baseMs`. */
  readonly overloaded: boolean;
}

/** The range of a wait: every draw is between `minMs` and `maxMs`, half of them below `medianMs`. */
export interface WaitRange {
  readonly minMs: number;
  readonly medianMs: number;
  readonly maxMs: number;
}

/** The longest backoff, even if `maxMs` is longer: a timer of node with a longer delay fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A decorrelated wait is at most this multiple of the one before (AWS, "Exponential Backoff and Jitter"). */
const DECORRELATED_REACH = 3;

/**
 * The longest wait before retry number `retry` (1-based), in milliseconds: the growth of `kind` before jitter, at most
 * `maxMs`. Decorrelated jitter has a growth of its own, whatever the kind.
 */
export function backoffCeilingMs(retry: number, options: BackoffOptions, overloaded: boolean): number {
  const max = longest(options);
  if (options.jitter === 'decorrelated')
    return Math.min(max, grown(base(options, overloaded), DECORRELATED_REACH ** retry));
  return Math.min(max, growthMs(options.kind, retry, { ...options, baseMs: base(options, overloaded) }));
}

/** One draw of the wait before a retry, in milliseconds, 0 to `maxMs`. Jitter applies after the cap, so capped waits are spread too. */
export function backoffMs(step: BackoffStep, options: BackoffOptions, random: Random): number {
  const ceiling = backoffCeilingMs(step.retry, options, step.overloaded);
  switch (options.jitter) {
    case 'none':
      return ceiling;
    case 'full':
      return random() * ceiling;
    case 'equal':
      return ceiling / 2 + random() * (ceiling / 2);
    case 'decorrelated':
      return decorrelated(step.previousMs, random(), lowest(options, step.overloaded), longest(options));
  }
}

/** The wait before a retry, in milliseconds. Retry-After is a floor, not a cap; a tenth of it (50 ms to 5 s) is added as spread. */
export function retryDelayMs(wait: {
  readonly backoffMs: number;
  readonly retryAfterMs: number | undefined;
  readonly random: Random;
}): number {
  if (wait.retryAfterMs === undefined) return wait.backoffMs;
  return Math.max(wait.retryAfterMs, wait.backoffMs) + askedSpreadMs(wait.retryAfterMs, wait.random);
}

/**
 * The range of the wait before retry number `retry`. Exact, except for the median of decorrelated jitter: it has no closed form and
 * is accurate to about 2 % (`decorrelatedMedian`).
 */
export function waitRange(retry: number, options: BackoffOptions, overloaded: boolean): WaitRange {
  const maxMs = backoffCeilingMs(retry, options, overloaded);
  switch (options.jitter) {
    case 'none':
      return { minMs: maxMs, medianMs: maxMs, maxMs };
    case 'full':
      return { minMs: 0, medianMs: maxMs / 2, maxMs };
    case 'equal':
      return { minMs: maxMs / 2, medianMs: 0.75 * maxMs, maxMs };
    case 'decorrelated': {
      const minMs = lowest(options, overloaded);
      return { minMs, medianMs: decorrelatedMedian(retry, minMs, longest(options)), maxMs };
    }
  }
}

function base(options: BackoffOptions, overloaded: boolean): number {
  return overloaded ? options.overloadedBaseMs : options.baseMs;
}

function longest(options: BackoffOptions): number {
  return Math.min(options.maxMs, LONGEST_TIMER_MS);
}

/** The shortest decorrelated wait. */
function lowest(options: BackoffOptions, overloaded: boolean): number {
  return Math.min(base(options, overloaded), longest(options));
}

/** `min(max, U(lowest, 3 · previous))`; the first wait follows one of `lowest`. */
function decorrelated(previousMs: number, roll: number, lowestMs: number, maxMs: number): number {
  const previous = Math.min(maxMs, Math.max(lowestMs, previousMs));
  return Math.min(maxMs, lowestMs + roll * (DECORRELATED_REACH * previous - lowestMs));
}

/** Number of quantiles that approximate a distribution. */
const QUANTILES = 64;
/** After this many waits the distribution no longer changes, for any base and cap in use. */
const SETTLED_AFTER = 400;

/**
 * Approximates the distribution of each wait by 64 equally likely values. Each value is continued with 64 evenly spaced rolls;
 * every 64th of the 4096 sorted results is a value of the next distribution. It uses no randomness, so that one
 * configuration always prints one schedule.
 */
function decorrelatedMedian(retry: number, lowestMs: number, maxMs: number): number {
  let waits = new Float64Array(QUANTILES).fill(lowestMs);
  const draws = new Float64Array(QUANTILES * QUANTILES);
  for (let step = 1; step <= Math.min(retry, SETTLED_AFTER); step++) {
    for (let i = 0; i < draws.length; i++) {
      const roll = ((i % QUANTILES) + 0.5) / QUANTILES;
      draws[i] = decorrelated(waits[Math.floor(i / QUANTILES)] ?? 0, roll, lowestMs, maxMs);
    }
    draws.sort();
    waits = waits.map((_, i) => draws[i * QUANTILES + QUANTILES / 2] ?? 0);
  }
  return ((draws[draws.length / 2 - 1] ?? 0) + (draws[draws.length / 2] ?? 0)) / 2;
}
