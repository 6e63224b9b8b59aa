import { matchesParts } from '../http/wildcard.ts';

/** Tests a segment of a path; `from` and `to` are its bounds in the path. */
type Segment = (path: string, from: number, to: number) => boolean;

/** `**`: any number of segments. */
const DEEP = Symbol('**');

type Step = Segment | typeof DEEP;

/**
 * Compiles a path pattern. `/v1/*` and `/v1/:name` have one segment below /v1. `/v1/**` is /v1 and everything below it.
 * `*.json` is a segment with this end.
 *
 * Matching takes time in proportion to the path, as for all text from outside. A regular expression for `/*-*-*` would take the
 * cube of it. Here parts of a segment are searched from left to right, and only the last `**` is tried again.
 */
export function pathPattern(pattern: string): (path: string) => boolean {
  const steps = pattern.split('/').slice(1).map(stepOf);
  return (path) => (path === '' || path.charCodeAt(0) === SLASH) && walk(steps, path);
}

const SLASH = 47;

function stepOf(segment: string): Step {
  if (segment === '**') return DEEP;
  if (segment === '*' || segment.startsWith(':')) return (_, from, to) => from < to;
  const parts = segment.split('*');
  if (parts.length > 1) return (path, from, to) => matchesParts(path.slice(from, to), parts);
  return (path, from, to) => to - from === segment.length && path.startsWith(segment, from);
}

function walk(steps: readonly Step[], path: string): boolean {
  let next = 0;
  /** Start of the next segment, at its slash. */
  let at = 0;
  /** The step after the last `**`, and the end of the text that `**` takes. */
  let resume = -1;
  let taken = 0;
  while (at < path.length) {
    const step = steps[next];
    if (step === DEEP) {
      next++;
      if (next === steps.length) return true;
      resume = next;
      taken = at;
    } else if (step?.(path, at + 1, endOf(path, at)) === true) {
      next++;
      at = endOf(path, at);
    } else if (resume < 0) {
      return false;
    } else {
      taken = endOf(path, taken);
      at = taken;
      next = resume;
    }
  }
  while (steps[next] === DEEP) next++;
  return next === steps.length;
}

/** End of the segment whose slash is at `at`. */
function endOf(path: string, at: number): number {
  const end = path.indexOf('/', at + 1);
  return end < 0 ? path.length : end;
}
