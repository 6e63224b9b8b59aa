/** The parameters of the growth of a wait. */
interface Growing {
  /** The first wait, in milliseconds. */
  readonly baseMs: number;
  /** Of kind `exponential`. */
  readonly factor: number;
  /** Of kind `list`. */
  readonly listMs: readonly number[];
}

const GOLDEN_RATIO = (1 + Math.sqrt(5)) / 2;

/**
 * The wait before retry number `retry` (1-based) by kind, in milliseconds, before cap and jitter. A new kind needs one entry
 * here and one in `config/keys/backoff.ts`, where the compiler asks for it.
 */
const GROWTH = {
  exponential: (retry, { baseMs, factor }) => grown(baseMs, factor ** (retry - 1)),
  linear: (retry, { baseMs }) => baseMs * retry,
  constant: (_, { baseMs }) => baseMs,
  // Binet's formula: 1, 1, 2, 3, 5 … exact to the 70th, and no loop for a huge retry number.
  fibonacci: (retry, { baseMs }) => grown(baseMs, Math.round(GOLDEN_RATIO ** retry / Math.sqrt(5))),
  // A list has no base, so an overload does not change it.
  list: (retry, { listMs }) => listMs[Math.min(retry, listMs.length) - 1] ?? 0,
} as const satisfies Record<string, (retry: number, from: Growing) => number>;

export type BackoffKind = keyof typeof GROWTH;

export const BACKOFF_KINDS = Object.keys(GROWTH) as readonly BackoffKind[];

/** The wait before retry number `retry` (1-based), in milliseconds, before cap and jitter. */
export const growthMs = (kind: BackoffKind, retry: number, from: Growing): number =>
  GROWTH[kind](retry, from);

/** `baseMs · times`, where 0 · Infinity is 0: a huge retry number overflows the growth, and a zero base stays zero. */
export function grown(baseMs: number, times: number): number {
  return baseMs === 0 || times === 0 ? 0 : baseMs * times;
}
