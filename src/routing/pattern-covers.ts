import { matchesParts } from '../http/wildcard.ts';

/** The calls of a route: upper-case methods (undefined: any) and a path pattern. */
export interface Calls {
  readonly methods: readonly string[] | undefined;
  readonly path: string;
}

/**
 * Finds the first of many routes that takes every call of another one. The patterns form a tree of segments, so that this takes
 * time in proportion to one path, and not to the number of routes.
 */
export class CoveringCalls {
  readonly #root = new PatternNode();
  #size = 0;

  constructor(all: Iterable<Calls> = []) {
    for (const calls of all) this.add(calls);
  }

  /** Adds the calls of the next route. Its index is the number of routes before it. */
  add({ methods, path }: Calls): void {
    const index = this.#size++;
    const { ends } = segmentsOf(path).reduce((node, segment) => node.next(segment), this.#root);
    // An earlier route of the same path that takes these methods is always found before this one.
    if (!ends.some((end) => includesAll(end.methods, methods))) ends.push({ index, methods });
  }

  /** The index of the first route that matches every call that `narrow` matches; undefined: none. */
  firstFor({ methods, path }: Calls): number | undefined {
    let reached = withDeep([this.#root]);
    for (const segment of segmentsOf(path))
      reached = withDeep([...reached].flatMap((node) => node.covering(segment)));
    const found = [...reached].flatMap(
      ({ ends }) => ends.find((end) => includesAll(end.methods, methods))?.index ?? [],
    );
    return found.length === 0 ? undefined : Math.min(...found);
  }
}

/** The patterns that begin with the same segments. */
class PatternNode {
  /** The routes whose patterns end here, in order. */
  readonly ends: { readonly index: number; readonly methods: Calls['methods'] }[] = [];
  /** After any number of segments, if this is the node of a `**`. */
  readonly isDeep: boolean;
  /** By segment; all that match any segment are one. */
  readonly #next = new Map<string, PatternNode>();
  /** Segments of `#next` with a star inside. */
  readonly #partial: string[] = [];

  constructor(isDeep = false) {
    this.isDeep = isDeep;
  }

  get deep(): PatternNode | undefined {
    return this.#next.get('**');
  }

  next(written: string): PatternNode {
    const segment = isAny(written) ? '*' : written;
    let node = this.#next.get(segment);
    if (node === undefined) {
      node = new PatternNode(segment === '**');
      this.#next.set(segment, node);
      if (segment.includes('*') && segment !== '*' && segment !== '**') this.#partial.push(segment);
    }
    return node;
  }

  /** The nodes whose patterns cover those that have `segment` next. */
  covering(segment: string): PatternNode[] {
    if (segment === '**') return this.isDeep ? [this] : [];
    const wide = isAny(segment) ? ['*'] : ['*', segment, ...this.#partialFor(segment)];
    const found = wide.flatMap((key) => this.#next.get(key) ?? []);
    return this.isDeep ? [this, ...found] : found;
  }

  /** Two segments with a star inside cover each other only if they are equal. */
  #partialFor(segment: string): string[] {
    return segment.includes('*')
      ? []
      : this.#partial.filter((wide) => matchesParts(segment, wide.split('*')));
  }
}

/** A `**` also covers no segment at all. */
function withDeep(nodes: readonly PatternNode[]): ReadonlySet<PatternNode> {
  const all = new Set(nodes);
  for (const { deep } of all) if (deep !== undefined) all.add(deep);
  return all;
}

const segmentsOf = (path: string): string[] => path.split('/').slice(1);

function includesAll(wide: Calls['methods'], narrow: Calls['methods']): boolean {
  return wide === undefined || narrow?.every((method) => wide.includes(method)) === true;
}

/** True if some call may match both. */
export function overlap(one: Calls, other: Calls): boolean {
  const methods = one.methods;
  const methodsMeet =
    methods === undefined || (other.methods?.some((method) => methods.includes(method)) ?? true);
  return methodsMeet && pathsOverlap(segmentsOf(one.path), segmentsOf(other.path));
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

const isAny = (segment: string): boolean => segment === '*' || segment.startsWith(':');
