/** The inverse of units.ts: numbers as they would be written in the file. */

const DURATIONS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
];

/** The largest unit from seconds up in which the value is short: 90 000 ms is `90s`, 1500 ms is `1.5s`, 50 ms is `50ms`. */
export function formatDuration(ms: number): string {
  for (const [unit, factor] of DURATIONS)
    if (ms >= factor && ms % factor === 0) return `${ms / factor}${unit}`;
  return ms >= 1_000 ? `${Number((ms / 1_000).toFixed(3))}s` : `${Number(ms.toFixed(1))}ms`;
}

const SIZES: readonly (readonly [string, number])[] = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
  ['MB', 1e6],
  ['KB', 1e3],
];

export function formatSize(bytes: number): string {
  for (const [unit, factor] of SIZES)
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  return `${bytes}B`;
}

export function formatRate(perSecond: number): string {
  for (const [unit, factor] of [
    ['s', 1],
    ['m', 60],
    ['h', 3_600],
  ] as const) {
    const value = Number((perSecond * factor).toPrecision(6));
    if (Number((value * 10).toPrecision(6)) % 1 === 0 && (value > 0 || perSecond === 0))
      return `${value}/${unit}`;
  }
  return `${Number((perSecond * 86_400).toPrecision(6))}/d`;
}

export function formatPercentage(share: number): string {
  return `${Number((share * 100).toPrecision(6))}%`;
}
