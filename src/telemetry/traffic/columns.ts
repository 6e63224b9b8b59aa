import { type AttemptEnd, type ErrorCode, factsOf } from '../../proxy/error-table.ts';
import type { CallOutcome } from '../call-outcome.ts';

/** Calls by their outcome. */
export const OUTCOMES = [
  'ok',
  'rescued',
  'fallback',
  'upstream_error',
  'failed',
  'rejected',
  'client_gone',
  'bug',
] as const satisfies readonly CallOutcome[];

/** Attempts by their result. `connect`: no connection. `broken`: no valid or whole reply. `cut`: this proxy or the client stopped. */
export const RESULTS = ['ok', '4xx', '429', '5xx', 'connect', 'timeout', 'broken', 'cut'] as const;

/** Calls that the proxy refused, by the reason of the error table. `other` is the last. */
export const REFUSALS = ['breaker', 'quota', 'concurrency', 'other'] as const;

/** Buckets of the time to the head. The first ends at 1 ms, and each next one at 1.5 times the end before it: up to 5 minutes. */
const TIMES = 32;
const GROWTH = Math.log(1.5);

/** Position of each kind of column in an interval. */
const RESULTS_AT = OUTCOMES.length;
const REFUSALS_AT = RESULTS_AT + RESULTS.length;
const TIMES_AT = REFUSALS_AT + REFUSALS.length;
/** Bits of `OPEN`, `HALF_OPEN`, `COOLDOWN`: the states that were seen in the interval. */
export const STATES_AT = TIMES_AT + TIMES;
/** Number of columns of an interval. */
export const WIDTH = STATES_AT + 1;

export const OPEN = 1;
export const HALF_OPEN = 2;
export const COOLDOWN = 4;

const OUTCOME_COLUMN: ReadonlyMap<string, number> = new Map(OUTCOMES.map((name, index) => [name, index]));
const RESULT_COLUMN: ReadonlyMap<string, number> = new Map(
  RESULTS.map((name, index) => [name, RESULTS_AT + index]),
);

export const outcomeColumn = (outcome: CallOutcome): number => OUTCOME_COLUMN.get(outcome) ?? 0;

type AttemptKind = (typeof RESULTS)[number];

const ENDS: ReadonlyMap<AttemptEnd, AttemptKind> = new Map([
  ['none', 'cut'],
  ['unconnected', 'connect'],
  ['broken', 'broken'],
  ['invalid', 'broken'],
  ['overdue', 'timeout'],
  ['stalled', 'timeout'],
  ['cut_short', 'cut'],
  ['client_left', 'cut'],
]);

export function resultColumn(result: number | ErrorCode): number {
  return RESULT_COLUMN.get(kindOf(result)) ?? RESULTS_AT;
}

function kindOf(result: number | ErrorCode): AttemptKind {
  if (typeof result !== 'number') {
    const { attempt, blame } = factsOf(result);
    // The time of the whole call was too short for the upstream.
    return attempt === 'cut_short' && blame === 'upstream' ? 'timeout' : (ENDS.get(attempt) ?? 'cut');
  }
  if (result < 400) return 'ok';
  if (result >= 500) return '5xx';
  return result === 429 ? '429' : '4xx';
}

const REFUSAL_COLUMN: ReadonlyMap<string, number> = new Map(
  REFUSALS.map((name, index) => [name, REFUSALS_AT + index]),
);
const OTHER_REFUSAL = TIMES_AT - 1;

export function refusalColumn(error: ErrorCode | 'bug' | undefined): number {
  const facts = error === undefined || error === 'bug' ? undefined : factsOf(error);
  if (facts === undefined || !('gaveUp' in facts)) return OTHER_REFUSAL;
  return REFUSAL_COLUMN.get(facts.gaveUp) ?? OTHER_REFUSAL;
}

export function timeColumn(ms: number): number {
  const bucket = ms <= 1 ? 0 : Math.ceil(Math.log(ms) / GROWTH);
  return TIMES_AT + Math.min(TIMES - 1, bucket);
}

/** The columns of one kind, by name. */
export const COLUMNS = {
  outcomes: OUTCOMES.map((name, index) => [name, index] as const),
  attempts: RESULTS.map((name, index) => [name, RESULTS_AT + index] as const),
  refusals: REFUSALS.map((name, index) => [name, REFUSALS_AT + index] as const),
};

/**
 * The time in ms that the share `q` of the calls of an interval did not exceed, at most a third wrong; undefined without a call.
 * `counts`: one count for each column.
 */
export function quantile(counts: Uint32Array, q: number): number | undefined {
  let total = 0;
  for (let bucket = 0; bucket < TIMES; bucket++) total += counts[TIMES_AT + bucket] ?? 0;
  if (total === 0) return undefined;
  let below = 0;
  for (let bucket = 0; bucket < TIMES; bucket++) {
    const here = counts[TIMES_AT + bucket] ?? 0;
    if (here > 0 && below + here >= q * total)
      return Math.exp((bucket - 1 + (q * total - below) / here) * GROWTH);
    below += here;
  }
  return undefined;
}
