import type { AllowList } from '../../routing/allow-list.ts';
import { methodsOf, oddMethod } from '../fields/words.ts';
import type { UpstreamInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

/** Warns of unknown methods: a misspelt method matches no call. */
export function warnOfMethods(methods: readonly string[] | undefined, path: Path, report: Report): void {
  for (const method of methods ?? []) {
    const odd = oddMethod(method);
    if (odd !== undefined) report.warning(path, odd);
  }
}

/** An allow-list; undefined: every call may be sent. */
export function allowListOf(
  written: UpstreamInput['allow'],
  upstream: Path,
  report: Report,
): AllowList | undefined {
  if (written === undefined) return undefined;
  const { mode = 'enforce', calls } = written;
  const whole = [...upstream, 'allow'];
  const path = report.isWritten([...whole, 'calls']) ? [...whole, 'calls'] : whole;
  if (calls === undefined) {
    report.problem(whole, 'needs calls; write for example calls: ["GET /v1/**"]');
    return undefined;
  }
  if (mode === 'shadow')
    report.warning([...whole, 'mode'], 'shadow denies nothing: calls that are not on the list are sent');
  if (calls.length === 0)
    report.problem(path, 'is an empty list, which allows no call; remove it to allow every call');
  const rules = calls.map((entry, index) => {
    const [methodsWritten = '', pattern = ''] = entry.trim().split(/\s+/);
    const methods = methodsWritten.split(',');
    // A single entry may be written without a list, and then has no index.
    warnOfMethods(methods, calls.length === 1 ? path : [...path, index], report);
    return { methods: methodsOf(methods), path: pattern };
  });
  return { mode, rules };
}
