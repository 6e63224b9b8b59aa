import type { Fault, FaultOptions } from '../../proxy/fault.ts';
import type { OverrideLimits } from '../../proxy/overrides.ts';
import type { ResolveContext, Settings } from './context.ts';
import type { Inherited } from './inherit.ts';

/** The variable without which no fault is injected, so that a file that reaches production by mistake does no harm. */
const SWITCH = 'FAULTS';

/** The faults of a route; undefined: none. */
export function faultOptions(
  { origins, values }: Inherited<Settings>,
  { lookup, report }: Pick<ResolveContext, 'lookup' | 'report'>,
): FaultOptions | undefined {
  const { delay, header, percent } = values.faults;
  const written = origins.written('faults.').at(-1)?.[1];
  const [end = 'pass', another] = endsOf(values.faults);
  const fault = end === 'pass' && delay === 0 ? undefined : { delayMs: delay, end };
  if (written === undefined || (fault === undefined && !header)) return undefined;
  const path = written.path.slice(0, written.path.indexOf('faults') + 1);
  if (another !== undefined)
    report.problem(path, 'has several of status, reset and stall; write one of them');
  if (lookup.env[SWITCH] === 'on') {
    report.warning(path, `faults are injected, because ${SWITCH}=on is in the environment`);
    return { fault, share: percent, byHeader: header };
  }
  report.warning(path, `is ignored, because ${SWITCH}=on is not in the environment; remove it in production`);
  return undefined;
}

function endsOf({ reset, stall, status }: Settings['faults']): Fault['end'][] {
  return [
    ...(status === null ? [] : [status]),
    ...(reset ? ['reset' as const] : []),
    ...(stall ? ['stall' as const] : []),
  ];
}

const NO_OVERRIDES: OverrideLimits = {
  attempts: undefined,
  timeoutMs: undefined,
  retryOn: false,
  idempotent: false,
  wait: false,
  priority: false,
};

/** Settings with the faults, and with the header by which clients may ask for them. */
export function withFaults<S extends { readonly overrides: OverrideLimits | undefined }>(
  settings: S,
  faults: FaultOptions | undefined,
): S & { readonly faults: FaultOptions | undefined } {
  if (faults?.byHeader !== true) return { ...settings, faults };
  return { ...settings, faults, overrides: { ...NO_OVERRIDES, ...settings.overrides, fault: true } };
}
