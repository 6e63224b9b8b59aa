/** For people: `412 ms`, `1.3 s`. */
export function shownDuration(ms: number): string {
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
