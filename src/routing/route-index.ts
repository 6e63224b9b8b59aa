import { pathPattern } from './path-pattern.ts';

/** A route of one upstream, with its place in the order of the file. */
interface Candidate<R> {
  readonly index: number;
  readonly methods: ReadonlySet<string> | undefined;
  readonly path: (path: string) => boolean;
  readonly route: R;
}

/** The patterns that begin with the same segments. */
interface Node<R> {
  /** The lowest index of all candidates here and below. */
  first: number;
  /** Patterns that end here, or whose next segment is none of the following two. */
  readonly candidates: Candidate<R>[];
  readonly literal: Map<string, Node<R>>;
  /** The next segment is `*` or `:name`. */
  any: Node<R> | undefined;
}

interface Pattern<R> {
  readonly methods: readonly string[] | undefined;
  readonly path: string;
  readonly route: R;
}

/**
 * The routes of an upstream by the segments of their patterns. The first route that matches wins, as in a search in order. A call
 * looks only at patterns that begin like its path, so its cost does not grow with the number of routes at other paths.
 */
export class RouteIndex<R> {
  readonly #root: Node<R> = emptyNode(0);

  constructor(patterns: readonly Pattern<R>[]) {
    patterns.forEach(({ methods, path, route }, index) => {
      const node = this.#nodeFor(path, index);
      node.candidates.push({ index, methods: methods && new Set(methods), path: pathPattern(path), route });
    });
  }

  /** `path` must have its dot segments resolved. */
  find(method: string, path: string): R | undefined {
    return best(this.#root, { method, path }, 0, undefined)?.route;
  }

  #nodeFor(path: string, index: number): Node<R> {
    let node = this.#root;
    for (const segment of path.split('/').slice(1)) {
      if (segment === '*' || segment.startsWith(':')) node = node.any ??= emptyNode(index);
      else if (segment.includes('*')) break;
      else {
        const known = node.literal.get(segment) ?? emptyNode(index);
        node.literal.set(segment, known);
        node = known;
      }
    }
    return node;
  }
}

function emptyNode<R>(first: number): Node<R> {
  return { first, candidates: [], literal: new Map(), any: undefined };
}

const SLASH = 47;

interface Search {
  readonly method: string;
  readonly path: string;
}

/**
 * The candidate with the lowest index, of `known` and those at `node` and below. The path is looked at from `at` on, which is at a
 * slash or at its end. Each node is visited at most once.
 */
function best<R>(
  node: Node<R>,
  search: Search,
  at: number,
  known: Candidate<R> | undefined,
): Candidate<R> | undefined {
  if (known !== undefined && known.index < node.first) return known;
  const { path } = search;
  const found = earlier(firstFitting(node.candidates, search), known);
  if (path.charCodeAt(at) !== SLASH || (node.literal.size === 0 && node.any === undefined)) return found;
  const next = path.indexOf('/', at + 1);
  const end = next < 0 ? path.length : next;
  const literal = node.literal.get(path.slice(at + 1, end));
  const nearest = literal === undefined ? found : best(literal, search, end, found);
  return node.any === undefined ? nearest : best(node.any, search, end, nearest);
}

function firstFitting<R>(
  candidates: readonly Candidate<R>[],
  { method, path }: Search,
): Candidate<R> | undefined {
  for (const candidate of candidates)
    if ((candidate.methods === undefined || candidate.methods.has(method)) && candidate.path(path))
      return candidate;
  return undefined;
}

function earlier<R>(
  one: Candidate<R> | undefined,
  other: Candidate<R> | undefined,
): Candidate<R> | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.index < other.index ? one : other;
}
