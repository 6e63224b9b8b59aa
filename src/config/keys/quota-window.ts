import type { QuotaWindow } from '../../policies/quota/options.ts';
import { type Parsed, parseDuration, quote } from '../fields/units.ts';

/** A window of the quota policy. */
export type ConfiguredWindow = QuotaWindow;

const EXAMPLE = 'write for example 100/s, 5000/h or 10/15m';

const PERIODS: Readonly<Record<string, string>> = {
  s: '1s',
  sec: '1s',
  second: '1s',
  m: '1m',
  min: '1m',
  minute: '1m',
  h: '1h',
  hour: '1h',
  d: '1d',
  day: '1d',
};

const MOST_UNITS = 1e12;

/** Reads `100/s`, `10/15m` or `{ limit: 100/s, burst: 20, counts: cost }`. */
export function parseWindow(found: unknown): Parsed<ConfiguredWindow> {
  if (typeof found !== 'object' || found === null) return parseLimit(found);
  const { limit, burst, counts = 'cost', ...rest } = found as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    return { problem: `"${unknown}" is not a key of a window; it has limit, burst and counts` };
  const parsed = parseLimit(limit);
  if ('problem' in parsed) return parsed;
  if (counts !== 'calls' && counts !== 'cost')
    return { problem: `counts: ${quote(counts)} is not one of calls, cost` };
  const most = parseBurst(burst);
  return 'problem' in most ? most : { value: { ...parsed.value, burst: most.value, counts } };
}

function parseBurst(found: unknown): Parsed<number | undefined> {
  if (found === undefined) return { value: undefined };
  const text = typeof found === 'number' || typeof found === 'string' ? String(found) : '';
  if (/^[1-9]\d{0,11}$/.test(text)) return { value: Number(text) };
  return { problem: `burst: ${quote(found)} is not a whole number of at least 1` };
}

function parseLimit(found: unknown): Parsed<ConfiguredWindow> {
  const [, digits, period = ''] = /^(\d+)\s*\/\s*(.+)$/.exec(String(found as string).trim()) ?? [];
  if (digits === undefined) return { problem: `${quote(found ?? null)} is not a quota; ${EXAMPLE}` };
  const span = parseDuration(Object.hasOwn(PERIODS, period) ? PERIODS[period] : period);
  if ('problem' in span || span.value === 0) return { problem: `"${period}" is not a period; ${EXAMPLE}` };
  const limit = Number(digits);
  if (limit < 1 || limit > MOST_UNITS) return { problem: `${quote(found)} allows no calls; ${EXAMPLE}` };
  const name = `${limit}/${shortPeriod(span.value)}`;
  return { value: { name, limit, periodMs: span.value, burst: undefined, counts: 'cost' } };
}

const SHORT: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

function shortPeriod(ms: number): string {
  for (const [unit, factor] of SHORT) {
    if (ms === factor) return unit;
    if (ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}

/** A window as config.yaml has it. */
export function formatWindow({ name, burst, counts }: ConfiguredWindow): string {
  const more = [
    ...(burst === undefined ? [] : [`burst: ${burst}`]),
    ...(counts === 'calls' ? ['counts: calls'] : []),
  ];
  return more.length === 0 ? name : `{ limit: ${name}, ${more.join(', ')} }`;
}
