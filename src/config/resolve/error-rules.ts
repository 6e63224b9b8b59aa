import { parsePointer } from '../../http/json-pointer.ts';
import type { ErrorRule, ErrorRuleOptions } from '../../policies/error-rules/options.ts';
import type { ErrorsInput, RuleInput } from '../keys/errors.ts';
import { formatPath, type Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import type { Origins, Settings } from './context.ts';
import type { Complete } from './inherit.ts';

type Rules = Settings['errors']['rules'];
type Rule = Rules[number];

/** Which bodies a route reads. */
type Inspect = Settings['errors']['inspect'];

/** Reports rules of the file that say nothing, and warns of rules that no route could apply. */
export function checkErrorRules(origins: Origins, report: Report): void {
  const found = new Map<string, { path: Path; rules: Rules; inspects: Set<Inspect> }>();
  for (const { values, origins: set } of origins.values()) {
    const origin = set.get('errors.rules');
    if (origin === undefined || origin.layer.describe !== undefined) continue;
    const { rules, inspect } = values.errors;
    const key = formatPath(origin.path);
    const entry = found.get(key) ?? { path: origin.path, rules, inspects: new Set() };
    found.set(key, entry);
    entry.inspects.add(inspect);
  }
  for (const { path, rules, inspects } of found.values()) {
    checkRules(rules, path, report);
    rules.forEach((rule, index) => {
      const wanted = needed(rule);
      if (wanted === undefined || inspects.has('all') || inspects.has(wanted)) return;
      report.warning(
        [...path, index],
        `has no effect, because it needs bodies that errors.inspect does not read; write inspect: ${wanted}`,
      );
    });
  }
}

/**
 * Reports rules without means, throttled and wait: they would hide the rules below them. `throttled: false` alone is meaningful. Reports
 * rules that call one error a refused credential and a limit.
 */
export function checkRules(rules: Rules | undefined, path: Path, report: Report): void {
  rules?.forEach(({ means, throttled, wait }, index) => {
    if (means === 'credential_refused' && throttled === true)
      report.problem(
        [...path, index, 'throttled'],
        'cannot be combined with means: credential_refused, because a limit ends by itself or is that of a valid key; remove one',
        'key',
      );
    if (means !== undefined || throttled !== undefined || wait !== undefined) return;
    report.problem(
      [...path, index],
      'has no meaning, and hides the rules below it; write means, throttled or wait',
    );
  });
}

/** Which bodies a rule needs; undefined: none. */
function needed({ status, body, text }: Rule): Inspect | undefined {
  if (body === undefined && text === undefined) return undefined;
  return status?.every((one) => one < 400) ? 'all' : 'errors';
}

/** Error rules as options of the policy. */
export function errorRuleOptions({
  inspect,
  rules = [],
}: Complete<ErrorsInput> | ErrorsInput): ErrorRuleOptions {
  return { inspect: inspect ?? 'errors', rules: rules.map(ruleOf) };
}

function ruleOf(written: RuleInput): ErrorRule {
  const entries = (map: Record<string, string[] | undefined> = {}): [string, string[]][] =>
    Object.entries(map).map(([key, found = []]) => [key, found]);
  return {
    name: written.name,
    statuses: written.status,
    headers: entries(written.headers).map(([name, found]) => [name.toLowerCase(), found]),
    body: entries(written.body).map(([pointer, found]) => [parsePointer(pointer) ?? [], found]),
    text: written.text ?? [],
    means: written.means,
    throttled: written.throttled ?? false,
    wait: written.wait,
  };
}
