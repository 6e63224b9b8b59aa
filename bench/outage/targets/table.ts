import { markdownTable } from '../peers/markdown.ts';
import type { TargetFigures } from './figures.ts';

const HEAD = ['success', 'AF', 'p99, ms', 'share of it', 'success after', 'share after'];

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The figures of several contenders with one fault. */
export function targetTable(
  fault: string,
  rows: readonly (readonly [contender: string, figures: TargetFigures])[],
): string {
  const cells = rows.map(([contender, { success, attempts, p99Ms, share, successAfter, shareAfter }]) => [
    contender,
    percent(success),
    attempts.toFixed(2),
    p99Ms.toFixed(0),
    percent(share),
    percent(successAfter),
    percent(shareAfter),
  ]);
  return markdownTable([fault, ...HEAD], cells);
}
