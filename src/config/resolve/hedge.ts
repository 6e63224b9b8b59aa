import type { HedgeOptions } from '../../policies/hedge/options.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './ground.ts';
import type { Inherited } from './inherit.ts';

/** What the policy takes; undefined where it is off. */
export function hedgeOptions({
  percentile,
  after,
  max_extra: maxExtra,
}: Settings['hedge']): HedgeOptions | undefined {
  if (after !== null) return { after: { ms: after }, maxExtra };
  return percentile === null ? undefined : { after: { percentile }, maxExtra };
}

type Written = { -readonly [K in keyof Settings['hedge']]: Settings['hedge'][K] | null };

/** The nearer of the two ways counts; side by side they contradict each other. */
export function checkHedge({ values, origins }: Inherited<Settings>, report: Report): void {
  const hedge: Written = values.hedge;
  const [percentile, after] = [origins.get('hedge.percentile'), origins.get('hedge.after')];
  if (percentile === undefined || after === undefined) return;
  if (hedge.percentile !== null && hedge.after !== null) {
    if (percentile.depth === after.depth)
      return report.problem(after.path, 'stands beside percentile; keep one of the two', 'key');
    hedge[percentile.depth < after.depth ? 'percentile' : 'after'] = null;
  }
  const inEffect = hedge.after === null ? percentile : after;
  if (hedgeOptions(values.hedge) !== undefined && values.retry.attempts === 1) {
    report.warning(inEffect.path, 'has no effect, because retry.attempts is 1: a hedge is an attempt too');
  }
}
