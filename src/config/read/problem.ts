export interface Position {
  /** 1-based; 0 when the file could not be read at all. */
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong with (or odd about) a configuration, and what to do about it. */
export interface Problem extends Position {
  readonly file: string;
  /** `upstreams.stripe.routes[0].retry`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export type Path = readonly (string | number)[];

/** `config.yaml:14:23  upstreams.stripe.retry.backoff.base: "100" has no unit; write 100ms or 100s` */
export function formatProblem({ file, line, column, path, message }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}  ${path === '' ? '' : `${path}: `}${message}`;
}

export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^([\w-]+|<<)$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}

/** The candidate that was probably meant: at most a third of its letters are different. */
export function didYouMean(found: string, candidates: Iterable<string>): string | undefined {
  const word = fold(found);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(word, fold(candidate));
    const allowed = Math.max(1, Math.ceil(Math.max(word.length, candidate.length) / 3));
    if (distance > allowed || distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** maxAttempts, max-attempts and max_attempts are one word. */
const fold = (word: string): string => word.toLowerCase().replace(/[-_]/g, '');

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours count one each. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same, swapped));
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
