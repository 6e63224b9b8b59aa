import { formatDuration } from '../fields/format.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import { checkFallback } from './fallback.ts';
import type { Settings } from './context.ts';
import { checkHedge } from './hedge.ts';
import { type Inherited, isWritten, type Origin, replace } from './inherit.ts';

interface Pair {
  readonly low: string;
  readonly high: string;
  readonly unit: 'duration' | 'count';
  /** The one that is adjusted if it is built-in and the other is written. */
  readonly adjusts: 'low' | 'high';
}

/** Pairs of settings whose low one must not be above the high one. */
const PAIRS: readonly Pair[] = [
  ...['retry', 'durable'].flatMap((section): Pair[] =>
    ['base', 'overloaded_base'].map((base) => ({
      low: `${section}.backoff.${base}`,
      high: `${section}.backoff.max`,
      unit: 'duration',
      adjusts: 'low',
    })),
  ),
  { low: 'breaker.wait.min', high: 'breaker.wait.max', unit: 'duration', adjusts: 'low' },
  { low: 'concurrency.min', high: 'concurrency.max', unit: 'count', adjusts: 'low' },
];

/**
 * Reports settings that contradict each other. A built-in value is adjusted to a written one instead:
 * `retry: { backoff: { max: 1s } }` need not say `base: 1s` too.
 */
export function crossCheck(settings: Inherited<Settings>, report: Report): void {
  for (const pair of PAIRS) checkPair(settings, pair, report);
  checkBackoff('retry', settings, report);
  checkBackoff('durable', settings, report);
  checkConcurrency(settings, report);
  checkFallback(settings, report);
  checkHedge(settings, report);
  checkTimeouts(settings, report);
  checkDedupe(settings, report);
  checkSwitchedOff(settings, report);
}

function checkBackoff(
  section: 'retry' | 'durable',
  { values, origins }: Inherited<Settings>,
  report: Report,
): void {
  const { backoff } = values[section];
  const list = origins.get(`${section}.backoff.list`);
  const kind = origins.get(`${section}.backoff.kind`);
  if (backoff.kind === 'list' && backoff.list.length === 0 && kind !== undefined) {
    report.problem(kind.path, 'list needs its waits; write for example list: [100ms, 1s, 5s]');
  } else if (backoff.kind !== 'list' && list !== undefined && isWritten(list)) {
    report.warning(list.path, `has no effect with kind: ${backoff.kind}; write kind: list`);
  }
}

/** Modes in which `min` has an effect. */
const WITH_MIN: ReadonlySet<string> = new Set(['adaptive', 'shadow']);

function checkPair(inherited: Inherited<Settings>, pair: Pair, report: Report): void {
  const { values, origins } = inherited;
  if (pair.low.startsWith('concurrency') && !WITH_MIN.has(values.concurrency.mode)) return;
  const low = numberAt(values, pair.low);
  const high = numberAt(values, pair.high);
  const [lowOrigin, highOrigin] = [origins.get(pair.low), origins.get(pair.high)];
  if (low <= high || lowOrigin === undefined || highOrigin === undefined) return;
  if (pair.adjusts === 'low' && !isWritten(lowOrigin)) return replace(inherited, pair.low, high);
  if (pair.adjusts === 'high' && !isWritten(highOrigin)) return replace(inherited, pair.high, low);
  const { path, message } = contradiction(pair, { low, high, lowOrigin, highOrigin });
  report.problem(path, message);
}

interface Sides {
  readonly low: number;
  readonly high: number;
  readonly lowOrigin: Origin;
  readonly highOrigin: Origin;
}

/** The problem is reported at the value that was written in the inner layer: its author could see the other one. */
function contradiction(
  pair: Pair,
  { low, high, lowOrigin, highOrigin }: Sides,
): { path: Path; message: string } {
  const show = pair.unit === 'duration' ? formatDuration : String;
  const [lowKey, highKey] = [lastPart(pair.low), lastPart(pair.high)];
  if (highOrigin.depth > lowOrigin.depth) {
    const message = `${show(high)} is below ${lowKey}, which is ${show(low)}; raise it or lower ${lowKey}`;
    return { path: highOrigin.path, message };
  }
  const message = `${show(low)} is above ${highKey}, which is ${show(high)}; lower it or raise ${highKey}`;
  return { path: lowOrigin.path, message };
}

/** Times of one attempt, which `timeouts.total` includes. */
const ATTEMPT_TIMES = ['timeouts.attempt', 'stream.first_event'];

function checkTimeouts({ values, origins }: Inherited<Settings>, report: Report): void {
  const { total } = values.timeouts;
  const totalOrigin = origins.get('timeouts.total');
  for (const key of ATTEMPT_TIMES) {
    const time = numberAt(values, key);
    const origin = origins.get(key);
    if (!Number.isFinite(time) || time <= total || origin === undefined || totalOrigin === undefined)
      continue;
    // A route that only lowers `total` may do so on purpose.
    if (origin.depth < totalOrigin.depth) continue;
    report.warning(
      origin.path,
      `${formatDuration(time)} is never reached, because timeouts.total is ${formatDuration(total)}; lower it, or raise timeouts.total`,
    );
  }
}

/** Reports a fixed limit without a number. */
function checkConcurrency({ values, origins }: Inherited<Settings>, report: Report): void {
  const mode = origins.get('concurrency.mode');
  if (mode === undefined || values.concurrency.mode !== 'fixed' || values.concurrency.max !== null) return;
  report.problem(mode.path, 'fixed needs a number; write for example concurrency: 20');
}

/** Warns of dedupe on an API without idempotency keys: nothing would identify equal requests. */
function checkDedupe({ values, origins }: Inherited<Settings>, report: Report): void {
  const window = origins.get('dedupe.window');
  if (window === undefined || values.dedupe.window === null || values.retry.idempotency_key !== 'none')
    return;
  report.warning(
    window.path,
    'has no effect with retry.idempotency_key: none; write pass or require if this API uses idempotency keys',
  );
}

/** Sections with the key and the value that turn them off. */
const SWITCHES: readonly (readonly [string, string, unknown, string])[] = [
  ['retry', 'retry.attempts', 1, 'attempts'],
  ['breaker', 'breaker.mode', 'off', 'mode'],
  ['concurrency', 'concurrency.mode', 'off', 'mode'],
  ['quota', 'quota.mode', 'off', 'mode'],
  ['cache', 'cache.ttl', null, 'ttl'],
];

function checkSwitchedOff({ values, origins }: Inherited<Settings>, report: Report): void {
  for (const [section, key, off, name] of SWITCHES) {
    const switched = origins.get(key);
    if (switched === undefined || valueAt(values, key) !== off) continue;
    const useless = origins
      .written(`${section}.`)
      .find(([, origin]) => origin.depth > switched.depth && origin.layer.describe === undefined);
    if (useless === undefined) continue;
    report.warning(
      useless[1].path,
      `has no effect, because ${section} is off in ${switched.layer.name ?? 'the built-in values'}; write ${name} here too`,
    );
  }
}

const lastPart = (path: string): string => path.slice(path.lastIndexOf('.') + 1);

function valueAt(values: object, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], values);
}

/** A value that is off is no bound. */
const numberAt = (values: object, path: string): number =>
  (valueAt(values, path) as number | null) ?? Infinity;
