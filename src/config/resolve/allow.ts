import type { AllowRule } from '../../routing/allow-list.ts';
import { methodsOf, oddMethod } from '../fields/words.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

/** Warns of unknown methods: a misspelt method matches no call. */
export function warnOfMethods(methods: readonly string[] | undefined, path: Path, report: Report): void {
  for (const method of methods ?? []) {
    const odd = oddMethod(method);
    if (odd !== undefined) report.warning(path, odd);
  }
}

/** The rules of an allow-list; undefined: every call may be sent. */
export function allowRules(
  entries: readonly string[] | undefined,
  path: Path,
  report: Report,
): readonly AllowRule[] | undefined {
  if (entries?.length === 0)
    report.problem(path, 'is an empty list, which allows no call; remove it to allow every call');
  return entries?.map((entry, index) => {
    const [written = '', pattern = ''] = entry.trim().split(/\s+/);
    const methods = written.split(',');
    // A single entry may be written without a list, and then has no index.
    warnOfMethods(methods, entries.length === 1 ? path : [...path, index], report);
    return { methods: methodsOf(methods), path: pattern };
  });
}
