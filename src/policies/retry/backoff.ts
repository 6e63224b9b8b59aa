import { askedSpreadMs } from '../../http/retry-after.ts';
import type { Random } from '../../runtime/random.ts';
import { grown, growthMs } from './growth.ts';
import type { BackoffOptions } from './options.ts';

/** Which wait of a call this is. */
export interface BackoffStep {
  /** 1 for the wait before the first retry. */
  readonly retry: number;
  /** The backoff before this one (not a wait that the upstream asked for), 0 for the first; only `decorrelated` looks at it. */
  readonly previousMs: number;
  /** The failure was a 429, 503 or 529: `overloadedBaseMs` takes the place of `baseMs`. */
  readonly overloaded: boolean;
}

/** What a wait can be: every draw lies between `minMs` and `maxMs`, half of them below `medianMs`. */
export interface WaitRange {
  readonly minMs: number;
  readonly medianMs: number;
  readonly maxMs: number;
}

/** Node's timers fire at once when asked for more than this, so a backoff stays below it whatever `maxMs` says. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** How far one decorrelated wait may reach beyond the one before (AWS, "Exponential Backoff and Jitter"). */
const DECORRELATED_REACH = 3;

/**
 * The longest wait before retry number `retry` (1-based), in milliseconds: what `kind` grows to, before jitter, and never
 * more than `maxMs`. Decorrelated jitter grows by itself, whatever the kind.
 */
export function backoffCeilingMs(retry: number, options: BackoffOptions, overloaded: boolean): number {
  const max = longest(options);
  if (options.jitter === 'decorrelated')
    return Math.min(max, grown(base(options, overloaded), DECORRELATED_REACH ** retry));
  return Math.min(max, growthMs(options.kind, retry, { ...options, baseMs: base(options, overloaded) }));
}

/** One draw of the wait before a retry, in milliseconds: at least 0, at most `maxMs`, spread even where the growth has reached the cap. */
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

/** The wait before a retry: Retry-After is a floor, never a cap, and what lies above it is spread by a tenth (50 ms to 5 s). */
export function retryDelayMs(wait: {
  readonly backoffMs: number;
  readonly retryAfterMs: number | undefined;
  readonly random: Random;
}): number {
  if (wait.retryAfterMs === undefined) return wait.backoffMs;
  return Math.max(wait.retryAfterMs, wait.backoffMs) + askedSpreadMs(wait.retryAfterMs, wait.random);
}

/**
 * What the wait before retry number `retry` can be. Exact, but for the median of decorrelated jitter, which has no closed form:
 * there it is good to about 2 %. See `decorrelatedMedian`.
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

/** The least that a decorrelated wait can be. */
function lowest(options: BackoffOptions, overloaded: boolean): number {
  return Math.min(base(options, overloaded), longest(options));
}

/** `min(max, U(lowest, 3 · previous))`; the first wait follows one of `lowest`. */
function decorrelated(previousMs: number, roll: number, lowestMs: number, maxMs: number): number {
  const previous = Math.min(maxMs, Math.max(lowestMs, previousMs));
  return Math.min(maxMs, lowestMs + roll * (DECORRELATED_REACH * previous - lowestMs));
}

/** Quantiles that stand for a distribution. */
const QUANTILES = 64;
/** By then the distribution no longer changes for any base and cap in use. */
const SETTLED_AFTER = 400;

/**
 * The distribution of each wait is carried to the next as 64 equally likely values: each is drawn from with 64 evenly
 * spaced rolls, and of the 4096 sorted results every 64th stands for the new distribution. No randomness, so that the same
 * configuration always prints the same schedule.
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
