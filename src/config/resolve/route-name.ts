import { CATCH_ALL } from '../fields/words.ts';
import type { RouteInput } from '../keys/schema.ts';

/** Names are metric labels and log fields, so they stay short. */
const MAX_LENGTH = 60;

/**
 * A name for each route, unique in its upstream: the written one, or one made from method and path. `POST /v1/charges/:id`
 * becomes `post-v1-charges-id`. A made name gets a number at the end if it is taken. Two equal written names are reported.
 */
export function routeNames(
  routes: readonly RouteInput[],
  report: (index: number, message: string) => void,
): string[] {
  const taken = new Set<string>([CATCH_ALL]);
  routes.forEach(({ name }, index) => {
    if (name === undefined) return;
    if (taken.has(name))
      report(index, `"${name}" is already the name of an earlier route; write another name`);
    taken.add(name);
  });
  const numbers = new Map<string, number>();
  return routes.map(({ name, match }) => name ?? unique(madeName(match), taken, numbers));
}

/** `numbers`: the last number of each name, because thousands of paths may begin alike. */
function unique(name: string, taken: Set<string>, numbers: Map<string, number>): string {
  let number = numbers.get(name) ?? 1;
  let candidate = number === 1 ? name : `${name}-${number}`;
  while (taken.has(candidate)) candidate = `${name}-${++number}`;
  numbers.set(name, number);
  taken.add(candidate);
  return candidate;
}

function madeName(match: RouteInput['match']): string {
  const path = (match?.path ?? '')
    .split('/')
    .map((segment) => (segment === '**' ? 'all' : segment === '*' ? 'any' : segment));
  const words = [...(match?.method ?? []), ...path].map((word) =>
    word.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, ''),
  );
  const name = words
    .filter((word) => word !== '')
    .join('-')
    .toLowerCase();
  return name.slice(0, MAX_LENGTH).replace(/-$/, '') || 'root';
}
