import { fitsParts } from '../http/wildcard.ts';

/** What a segment of a path must be; `from` and `to` are its bounds in the path. */
type Segment = (path: string, from: number, to: number) => boolean;

/** `**`: any number of segments. */
const DEEP = Symbol('**');

type Step = Segment | typeof DEEP;

/**
 * `/v1/*` is one segment, `/v1/**` is /v1 and everything below it, `:name` is one segment, `*.json` a segment that ends so.
 *
 * The rule for all that meets outside text: time grows in proportion to the text. A regular expression for `/*-*-*` takes
 * the cube of it. Here a part of a segment is looked for from left to right, and only the last `**` is ever tried again.
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
  if (parts.length > 1) return (path, from, to) => fitsParts(path.slice(from, to), parts);
  return (path, from, to) => to - from === segment.length && path.startsWith(segment, from);
}

function walk(steps: readonly Step[], path: string): boolean {
  let next = 0;
  /** Where the next segment begins, with its slash. */
  let at = 0;
  /** After the last `**`, and where what it takes ends. */
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

/** The end of the segment whose slash is at `at`. */
function endOf(path: string, at: number): number {
  const end = path.indexOf('/', at + 1);
  return end < 0 ? path.length : end;
}
