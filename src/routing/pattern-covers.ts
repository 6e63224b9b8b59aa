import { matchesParts } from '../http/wildcard.ts';

/** The calls of a route: upper-case methods (undefined: any) and a path pattern. */
export interface Calls {
  readonly methods: readonly string[] | undefined;
  readonly path: string;
}

/** True if `wide` matches every call that `narrow` matches. */
export function covers(wide: Calls, narrow: Calls): boolean {
  const methods = wide.methods;
  const methodsFit =
    methods === undefined || narrow.methods?.every((method) => methods.includes(method)) === true;
  return methodsFit && pathCovers(wide.path.split('/').slice(1), narrow.path.split('/').slice(1));
}

/** True if some call may match both. */
export function overlap(one: Calls, other: Calls): boolean {
  const methods = one.methods;
  const methodsMeet =
    methods === undefined || (other.methods?.some((method) => methods.includes(method)) ?? true);
  return methodsMeet && pathsOverlap(one.path.split('/').slice(1), other.path.split('/').slice(1));
}

function pathsOverlap(one: readonly string[], other: readonly string[]): boolean {
  const [first, ...rest] = one;
  const [second, ...others] = other;
  if (first === '**') return pathsOverlap(rest, other) || (second !== undefined && pathsOverlap(one, others));
  if (second === '**') return pathsOverlap(other, one);
  if (first === undefined || second === undefined) return first === second;
  return segmentsOverlap(first, second) && pathsOverlap(rest, others);
}

const segmentsOverlap = (one: string, other: string): boolean =>
  one === other || [one, other].some((segment) => isAny(segment) || segment.includes('*'));

function pathCovers(wide: readonly string[], narrow: readonly string[]): boolean {
  const [first, ...rest] = wide;
  if (first === undefined) return narrow.length === 0;
  if (first === '**') {
    for (let skipped = 0; skipped <= narrow.length; skipped++)
      if (pathCovers(rest, narrow.slice(skipped))) return true;
    return false;
  }
  const [segment, ...others] = narrow;
  return segment !== undefined && segmentCovers(first, segment) && pathCovers(rest, others);
}

const isAny = (segment: string): boolean => segment === '*' || segment.startsWith(':');

/** Two segments with a star inside (`*.list`) count as covering only if they are equal. */
function segmentCovers(wide: string, narrow: string): boolean {
  if (narrow === '**') return false;
  if (isAny(wide) || wide === narrow) return true;
  if (isAny(narrow) || narrow.includes('*')) return false;
  return matchesParts(narrow, wide.split('*'));
}
