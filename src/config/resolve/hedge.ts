import type { HedgeOptions } from '../../policies/hedge/options.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './context.ts';
import { type Inherited, isWritten, type Origin, replace } from './inherit.ts';

/** Options of the hedging policy; `stuck`: a second attempt only for a stuck one; undefined: off. */
export function hedgeOptions({
  hedge: { percentile, after, max_extra: maxExtra },
  timeouts,
}: Pick<Settings, 'hedge' | 'timeouts'>): HedgeOptions | 'stuck' | undefined {
  if (percentile !== null) return { after: { percentile }, maxExtra };
  if (typeof after === 'number') return { after: { ms: after }, maxExtra };
  // An attempt that its timeout ends is retried.
  return after === 'stuck' && timeouts.attempt === null ? 'stuck' : undefined;
}

/** Of percentile and after, the one in the inner layer wins. Both in one layer are a problem. */
export function checkHedge(inherited: Inherited<Settings>, report: Report): void {
  const { values, origins } = inherited;
  const { hedge } = values;
  const [percentile, after] = [origins.get('hedge.percentile'), origins.get('hedge.after')];
  if (percentile === undefined || after === undefined) return;
  if (hedge.percentile !== null && hedge.after !== null) {
    if (percentile.depth === after.depth)
      return report.problem(after.path, 'cannot be combined with percentile; remove one', 'key');
    replace(inherited, percentile.depth < after.depth ? 'hedge.percentile' : 'hedge.after', null);
  }
  const decided = inherited.values;
  checkEffect(decided, decided.hedge.after === null ? percentile : after, report);
}

/** Warns of a second attempt that is written and can never be sent. */
function checkEffect({ hedge, retry, timeouts }: Settings, inEffect: Origin, report: Report): void {
  if (!isWritten(inEffect)) return;
  const options = hedgeOptions({ hedge, timeouts });
  if (options !== undefined && retry.attempts === 1) {
    report.warning(
      inEffect.path,
      'has no effect, because retry.attempts is 1 and the second attempt counts too; write retry.attempts: 2 or more',
    );
  }
  if (options === undefined && hedge.after === 'stuck') {
    report.warning(inEffect.path, 'stuck has no effect, because timeouts.attempt is set; remove one');
  }
}
