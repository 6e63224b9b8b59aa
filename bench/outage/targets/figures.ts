import { phase } from '../../../src/simulate/figures.ts';
import type { Run } from '../../../src/simulate/simulate.ts';
import { percentile } from '../../lib/stats.ts';

/** The target that has the fault. */
export const FAULTY = 'a';

/** From here on, the fault or its end is known. */
const LEARNING_MS = 5_000;

/** Shares are from 0 to 1. */
export interface TargetFigures {
  /** Of the requests that arrive during the fault, and of those that arrive after it. */
  readonly success: number;
  readonly successAfter: number;
  /** Attempts per request during the fault. */
  readonly attempts: number;
  /** Share of the faulty target in all attempts, from 5 s after the start of the fault, and from 5 s after its end. */
  readonly share: number;
  readonly shareAfter: number;
  /** Times of the requests that arrive during the fault, in milliseconds. */
  readonly p99Ms: number;
  /** Calls that got a 429. */
  readonly limited: number;
}

export function targetFigures(run: Run): TargetFigures {
  const { faultAtMs, faultMs, endMs } = run.scenario;
  const over = faultAtMs + faultMs;
  const { success, attemptsPerRequest } = phase(run, faultAtMs, over);
  const times = run.calls.filter(({ atMs }) => atMs >= faultAtMs && atMs < over).map(({ ms }) => ms);
  return {
    success,
    successAfter: phase(run, over, endMs).success,
    attempts: attemptsPerRequest,
    share: shareOf(run, faultAtMs + LEARNING_MS, over),
    shareAfter: shareOf(run, over + LEARNING_MS, endMs),
    p99Ms: percentile(times, 0.99),
    limited: run.calls.filter(({ failure }) => failure === 'status_429').length,
  };
}

function shareOf({ reached }: Run, fromMs: number, toMs: number): number {
  const attempts = reached.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  return attempts.filter(({ target }) => target === FAULTY).length / attempts.length;
}
