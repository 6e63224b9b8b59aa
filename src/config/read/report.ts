import type { Places } from './places.ts';
import { formatPath, type Path, type Problem } from './problem.ts';

/** Collects what is wrong, each with its place; the same thing at the same place is said once. */
export class Report {
  readonly #file: string;
  readonly #places: Places;
  readonly #unread = new Set<string>();
  readonly #problems = new Map<string, Problem>();
  readonly #warnings = new Map<string, Problem>();

  constructor(file: string, places: Places) {
    this.#file = file;
    this.#places = places;
  }

  get problems(): readonly Problem[] {
    return inOrder(this.#problems, this.#file);
  }

  get warnings(): readonly Problem[] {
    return inOrder(this.#warnings, this.#file);
  }

  /** Keeps a problem that was found while reading, and so knows its place already. */
  add(problem: Problem): void {
    this.#unread.add(problem.path);
    this.#keep(problem);
  }

  /** Keeps what another file has. */
  adopt(problems: readonly Problem[]): void {
    for (const problem of problems) this.#keep(problem);
  }

  #keep(problem: Problem): void {
    const key = `${problem.file}:${problem.line}:${problem.column}:${problem.message}`;
    // An alias brings the same mistake again; it is named where it was written.
    if (!this.#problems.has(key)) this.#problems.set(key, problem);
  }

  problem(path: Path, message: string, about: 'key' | 'value' = 'value'): void {
    const problem = this.#at(path, message, about);
    // What follows from something that is already known to be wrong, around it or in it, is not called wrong again.
    for (const { file, path: known } of this.#problems.values()) {
      if (file !== this.#file) continue;
      if (isWithin(problem.path, known) || isWithin(known, problem.path)) return;
    }
    this.#keep(problem);
  }

  /** A problem beside others around it: each wrong value is one, unless a part of it could not even be read. */
  finding(path: Path, message: string, about: 'key' | 'value'): void {
    const problem = this.#at(path, message, about);
    const unread = [...this.#unread].some((part) => isWithin(part, problem.path));
    if (about === 'key' || !unread) this.#keep(problem);
  }

  warning(path: Path, message: string): void {
    const warning = this.#at(path, message, 'value');
    this.#warnings.set(`${warning.line}:${warning.column}:${warning.message}`, warning);
  }

  /** True when the value at `path` is already known to be wrong, and so is not what it says. */
  knows(path: Path): boolean {
    const text = formatPath(path);
    return [...this.#problems.values()].some(
      ({ file, path: known }) => file === this.#file && known === text,
    );
  }

  /** True when `${…}` brought in the value at `path` or a part of it: it may be a secret. */
  replaced(path: Path): boolean {
    return this.#places.replaced(path).length > 0;
  }

  /** Where a path is written, for messages: `line 12`. */
  line(path: Path): string {
    return `line ${this.#places.key(path).line}`;
  }

  #at(path: Path, message: string, about: 'key' | 'value'): Problem {
    const position = about === 'key' ? this.#places.key(path) : this.#places.value(path);
    return { file: this.#file, ...position, path: formatPath(path), message: this.#masked(path, message) };
  }

  /** What `${…}` brought in is shown as the expression, and parts of it not at all: it may be a secret. */
  #masked(path: Path, message: string): string {
    return this.#places.replaced(path).reduce((text, { value, expression }) => {
      if (value === '') return text;
      const masked = text.replaceAll(value.length < SHORTEST_SECRET ? `"${value}"` : value, (found) =>
        found === value ? expression : `"${expression}"`,
      );
      const quotes = masked.replace(/"([^"]{2,})"/g, (quoted, inner: string) =>
        value.includes(inner) ? '"…"' : quoted,
      );
      const advice = quotes.indexOf(ADVICE);
      return advice >= 0 && showsSome(quotes.slice(advice), value) ? quotes.slice(0, advice) : quotes;
    }, message);
  }
}

/** Shorter ones are numbers and words that also stand in the message for other reasons. */
const SHORTEST_SECRET = 4;

/** What a message says that could be written instead, made of what is written. */
const ADVICE = '; write ';

function showsSome(text: string, secret: string): boolean {
  for (let i = 0; i + SHORTEST_SECRET <= secret.length; i++)
    if (text.includes(secret.slice(i, i + SHORTEST_SECRET))) return true;
  return false;
}

function isWithin(path: string, known: string): boolean {
  if (known === '' || !path.startsWith(known)) return false;
  return path.length === known.length || path[known.length] === '.' || path[known.length] === '[';
}

/** By line and column; those of other files after those of `first`. */
function inOrder(problems: ReadonlyMap<string, Problem>, first: string): readonly Problem[] {
  const rank = ({ file }: Problem): string => (file === first ? '' : file);
  return [...problems.values()].sort(
    (a, b) => rank(a).localeCompare(rank(b)) || a.line - b.line || a.column - b.column,
  );
}
