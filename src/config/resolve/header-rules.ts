import { type HeaderRules, OVERRIDING_HEADERS } from '../../http/headers.ts';
import { checkHeaderName } from '../fields/words.ts';
import type { HeadersInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import type { Layer } from './inherit.ts';

/**
 * Header rules of a route from all its layers. The innermost layer decides for each name; a route adds to the rules of its
 * upstream.
 */
export function headerRules(layers: readonly Layer[], restricted: boolean, report: Report): HeaderRules {
  const set = new Map<string, readonly [string, string]>();
  const remove = new Set(restricted ? OVERRIDING_HEADERS : []);
  for (const layer of layers) {
    const { headers } = layer.values as { headers?: HeadersInput };
    if (headers === undefined) continue;
    for (const name of headers.remove ?? []) {
      set.delete(name.toLowerCase());
      remove.add(name.toLowerCase());
    }
    const path = [...layer.path, 'headers', 'set'];
    for (const entry of checkedHeaders(headers.set ?? {}, path, report))
      set.set(entry[0].toLowerCase(), entry);
  }
  return { set: [...set.values()], remove: [...remove] };
}

/** The headers of a map, as pairs. Wrong names are problems. */
export function checkedHeaders(
  set: Readonly<Record<string, string | undefined>>,
  path: Path,
  report: Report,
): [string, string][] {
  const good: [string, string][] = [];
  for (const [name, value] of Object.entries(set)) {
    if (value === undefined) continue;
    const problem = checkHeaderName(name);
    const twin = good.find(([other]) => other.toLowerCase() === name.toLowerCase());
    const place = [...path, name];
    if (problem !== undefined) report.problem(place, problem, 'key');
    else if (twin !== undefined)
      report.problem(place, `is the same header as "${twin[0]}"; remove one`, 'key');
    else good.push([name, value]);
  }
  return good;
}
