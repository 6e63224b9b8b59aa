import type { HedgeOptions } from '../../policies/hedge/options.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './context.ts';
import type { Inherited } from './inherit.ts';

/** Options of the hedging policy; undefined: off. */
export function hedgeOptions({
  percentile,
  after,
  max_extra: maxExtra,
}: Settings['hedge']): HedgeOptions | undefined {
  if (after !== null) return { after: { ms: after }, maxExtra };
  return percentile === null ? undefined : { after: { percentile }, maxExtra };
}

type Written = { -readonly [K in keyof Settings['hedge']]: Settings['hedge'][K] | null };

/** Of percentile and after, the one in the inner layer wins. Both in one layer are a problem. */
export function checkHedge({ values, origins }: Inherited<Settings>, report: Report): void {
  const hedge: Written = values.hedge;
  const [percentile, after] = [origins.get('hedge.percentile'), origins.get('hedge.after')];
  if (percentile === undefined || after === undefined) return;
  if (hedge.percentile !== null && hedge.after !== null) {
    if (percentile.depth === after.depth)
      return report.problem(after.path, 'cannot be combined with percentile; remove one', 'key');
    hedge[percentile.depth < after.depth ? 'percentile' : 'after'] = null;
  }
  const inEffect = hedge.after === null ? percentile : after;
  if (hedgeOptions(values.hedge) !== undefined && values.retry.attempts === 1) {
    report.warning(
      inEffect.path,
      'has no effect, because retry.attempts is 1 and the second attempt counts too; write retry.attempts: 2 or more',
    );
  }
}
