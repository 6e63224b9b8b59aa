import type { Places } from './places.ts';
import { formatPath, type Path, type Problem } from './problem.ts';

/** Collects problems and warnings with their places. The same message at the same place is reported once. */
export class Report {
  readonly #file: string;
  readonly #places: Places;
  readonly #unread = new Set<string>();
  /** Problems of other files whose paths are not those of the configuration. */
  readonly #foreign = new Set<Problem>();
  readonly #problems = new Map<string, Problem>();
  readonly #warnings = new Map<string, Problem>();
  readonly #hints = new Map<string, Problem>();

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

  get hints(): readonly Problem[] {
    return inOrder(this.#hints, this.#file);
  }

  /** Adds a problem that was found while the file was read, and already has its place. */
  add(problem: Problem): void {
    this.#unread.add(problem.path);
    this.#addOnce(problem);
  }

  /** Adds the problems of another file. */
  adopt(problems: readonly Problem[]): void {
    for (const problem of problems) {
      this.#foreign.add(problem);
      this.#addOnce(problem);
    }
  }

  #addOnce(problem: Problem): void {
    const key = `${problem.file}:${problem.line}:${problem.column}:${problem.message}`;
    // An alias repeats a mistake; it is reported where it is written.
    if (!this.#problems.has(key)) this.#problems.set(key, problem);
  }

  problem(path: Path, message: string, about: 'key' | 'value' = 'value'): void {
    const problem = this.#at(path, message, about);
    // A consequence of a known problem, around it or inside it, is not reported again.
    for (const known of this.#problems.values()) {
      if (this.#foreign.has(known)) continue;
      if (isWithin(problem.path, known.path) || isWithin(known.path, problem.path)) return;
    }
    this.#addOnce(problem);
  }

  /** Adds a wrong value even if a value around it is wrong too, unless a part of it could not be read. */
  finding(path: Path, message: string, about: 'key' | 'value'): void {
    const problem = this.#at(path, message, about);
    const unread = [...this.#unread].some((part) => isWithin(part, problem.path));
    if (about === 'key' || !unread) this.#addOnce(problem);
  }

  warning(path: Path, message: string): void {
    this.#addTo(this.#warnings, path, message);
  }

  /** Adds something that `check` alone shows: the configuration is good, and could be better. */
  hint(path: Path, message: string): void {
    this.#addTo(this.#hints, path, message);
  }

  #addTo(found: Map<string, Problem>, path: Path, message: string): void {
    const problem = this.#at(path, message, 'value');
    found.set(`${problem.file}:${problem.line}:${problem.column}:${problem.message}`, problem);
  }

  /** True if the value at `path` already has a problem, so that it was left out. */
  knows(path: Path): boolean {
    const text = formatPath(path);
    return [...this.#problems.values()].some((known) => !this.#foreign.has(known) && known.path === text);
  }

  /** True if the value at `path`, or a part of it, came by `${…}`: it may be a secret. */
  replaced(path: Path): boolean {
    return this.#places.replaced(path).length > 0;
  }

  isWritten(path: Path): boolean {
    return this.#places.has(path);
  }

  /** Where a path is written, for messages: `line 12`, or `line 12 of upstreams/pay.yaml`. */
  line(path: Path): string {
    const { line, file } = this.#places.key(path);
    return file === undefined ? `line ${line}` : `line ${line} of ${file}`;
  }

  #at(path: Path, message: string, about: 'key' | 'value'): Problem {
    const position = about === 'key' ? this.#places.key(path) : this.#places.value(path);
    const file = position.file ?? this.#file;
    return { ...position, file, path: formatPath(path), message: this.#masked(path, message) };
  }

  /** Replaces values that came by `${…}` by their expression, and hides parts of them: they may be secret. */
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

/** Shorter values are numbers and words that a message may contain for other reasons. */
const SHORTEST_SECRET = 4;

/** Begins the advice of a message, which may repeat a part of the value. */
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

/** Sorted by file, line and column. Problems of other files come after those of `first`. */
function inOrder(problems: ReadonlyMap<string, Problem>, first: string): readonly Problem[] {
  const rank = ({ file }: Problem): string => (file === first ? '' : file);
  return [...problems.values()].sort(
    (a, b) => rank(a).localeCompare(rank(b)) || a.line - b.line || a.column - b.column,
  );
}
