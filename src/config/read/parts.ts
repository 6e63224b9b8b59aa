import { dirname, normalize } from 'node:path';
import { inFolderOf, isInOneFolder, isPattern } from './file-pattern.ts';
import { type Lookup, reasonOf } from './interpolate.ts';
import { Places } from './places.ts';
import { formatPath, type Path, placeText, type Position, type Problem } from './problem.ts';
import { readSource, type Source } from './source.ts';

/** The sources of a configuration in several files. */
export interface PartsLookup extends Required<Lookup> {
  /** The names of the files that a pattern matches, sorted; throws when its folder cannot be listed. */
  readonly namesLike: (pattern: string) => readonly string[];
}

/** Each file costs a read and a look each second. No real configuration has more. */
const MOST_FILES = 1_000;

/** Maps whose entries may be in several files; of any other key, all is in one file. */
const NAMED: ReadonlySet<string> = new Set(['upstreams', 'schedules']);

/** Keys of the main file alone, so that a person finds all files from there. */
const OF_MAIN: ReadonlySet<string> = new Set(['include', 'overlay']);

/**
 * Reads the main file and those that it names: files of `include` add what no other file has, and files of `overlay` replace
 * values. Paths in all of them are relative to the folder of the main file. `last`: YAML that is laid over all.
 */
export function readParts(file: string, text: string, lookup: PartsLookup, last?: string): Source {
  const main = readSource(file, text, lookup);
  return main.fatal ? main : new Parts(file, main, lookup).combined(last);
}

type Values = Record<string, unknown>;

interface Part extends Pick<Source, 'places'> {
  readonly value: Values;
}

/** A part that could not be read. */
const NOTHING: Part = { value: {}, places: new Places() };

class Parts {
  readonly #file: string;
  readonly #lookup: PartsLookup;
  readonly #main: Source;
  readonly #problems: Problem[];
  readonly #read = new Set<string>();
  #fatal = false;

  constructor(file: string, main: Source, lookup: PartsLookup) {
    this.#file = file;
    this.#lookup = lookup;
    this.#main = main;
    this.#problems = [...main.problems];
    this.#read.add(normalize(file));
  }

  combined(last: string | undefined): Source {
    const { value, places } = this.#main;
    if (isMap(value)) {
      const main = { value, places };
      for (const part of this.#named('include')) this.#include(main, part);
      for (const part of this.#named('overlay')) this.#overlay(main, part);
      if (last !== undefined) this.#overlay(main, this.#parsed('settings', last));
    }
    return { value, places, problems: this.#problems, fatal: this.#fatal };
  }

  /** The files that a key of the main file names. A value of another form is reported by the schema. */
  *#named(key: 'include' | 'overlay'): Generator<Part> {
    const written = (this.#main.value as Values)[key];
    const list = Array.isArray(written);
    for (const [index, path] of (list ? written : [written]).entries()) {
      if (typeof path !== 'string') continue;
      const at = list ? [key, index] : [key];
      for (const name of this.#matched(path, at)) yield this.#readFile(name, at);
    }
  }

  #matched(path: string, at: Path): string[] {
    if (!isPattern(path)) return [path];
    if (!isInOneFolder(path)) {
      this.#problem(at, `"${path}": * is allowed in the last part only; write one pattern for each folder`);
      return [];
    }
    try {
      const names = this.#lookup.namesLike(path).map((name) => inFolderOf(path, name));
      // A pattern such as *.yaml matches the main file too.
      const found = names.filter((name) => !this.#read.has(this.#located(name)));
      if (names.length === 0)
        this.#problem(at, `no file matches "${path}"; correct the pattern, or remove it`);
      return found;
    } catch (error) {
      this.#problem(at, `cannot list ${dirname(path)}: ${reasonOf(error)}`);
      return [];
    }
  }

  #located(path: string): string {
    return normalize(this.#lookup.locate(path));
  }

  #readFile(path: string, at: Path): Part {
    const located = this.#located(path);
    if (this.#read.has(located)) {
      this.#problem(at, `${path} is already read; name each file once`);
      return NOTHING;
    }
    if (this.#read.size >= MOST_FILES) {
      this.#problem(at, `${path} is one file too many; write at most ${MOST_FILES} files`);
      return NOTHING;
    }
    this.#read.add(located);
    try {
      return this.#parsed(this.#lookup.locate(path), this.#lookup.readFile(path));
    } catch (error) {
      this.#problem(at, `cannot read ${path}: ${reasonOf(error)}`);
      return NOTHING;
    }
  }

  #parsed(file: string, text: string): Part {
    const source = readSource(file, text, this.#lookup, true);
    this.#problems.push(...source.problems);
    this.#fatal ||= source.fatal;
    const { value, places } = source;
    if (isMap(value)) return { value, places };
    this.#problemAt({ line: 1, column: 1, file }, [], 'the file must be a map of keys');
    return NOTHING;
  }

  #include(main: Part, part: Part): void {
    const added: string[][] = [];
    for (const [key, value] of this.#entries(part)) {
      const names = NAMED.has(key) && isMap(value) && isMap(main.value[key]) ? Object.keys(value) : undefined;
      const paths = names === undefined ? [[key]] : names.map((name) => [key, name]);
      added.push(...paths.filter((path) => this.#isAdded(main, part, path)));
    }
    main.places.replace(added, part.places);
  }

  /** Keys of a part. Those with x- hold anchors for its own aliases; an empty section adds nothing. */
  *#entries({ value, places }: Part): Generator<[key: string, value: unknown]> {
    for (const [key, child] of Object.entries(value)) {
      if (OF_MAIN.has(key))
        this.#problemAt(places.key([key]), [key], `is allowed in ${this.#file} only; write it there`);
      else if (!key.startsWith('x-') && child !== null) yield [key, child];
    }
  }

  /** False if the value at `path` is written already, which is a problem. */
  #isAdded(main: Part, part: Part, path: readonly string[]): boolean {
    const [into, key] = holderOf(main.value, path);
    if (!Object.hasOwn(into, key) || into[key] === null) {
      into[key] = valueAt(part.value, path);
      return true;
    }
    const first = placeText(main.places.key(path), this.#file);
    const advice = 'write it once, or change it in a file of overlay';
    this.#problemAt(part.places.key(path), path, `is already written in ${first}; ${advice}`);
    return false;
  }

  #overlay(main: Part, part: Part): void {
    const replaced: string[][] = [];
    for (const [key, value] of this.#entries(part)) lay(main.value, { path: [key], value }, replaced);
    main.places.replace(replaced, part.places);
  }

  #problem(at: Path, message: string): void {
    this.#problemAt(this.#main.places.value(at), at, message);
  }

  #problemAt(position: Position, path: Path, message: string): void {
    this.#problems.push({ ...position, file: position.file ?? this.#file, path: formatPath(path), message });
  }
}

/** Maps are merged; any other value replaces the one below it, and is noted in `replaced`. An empty section changes nothing. */
function lay(
  main: Values,
  over: { readonly path: string[]; readonly value: unknown },
  replaced: string[][],
): void {
  const { path, value } = over;
  const [into, key] = holderOf(main, path);
  const before = Object.hasOwn(into, key) ? into[key] : undefined;
  if (isMap(before) && value === null) return;
  if (isMap(before) && isMap(value)) {
    for (const [name, child] of Object.entries(value))
      lay(main, { path: [...path, name], value: child }, replaced);
    return;
  }
  into[key] = value;
  replaced.push(path);
}

/** The map that holds the last key of a path, and that key. All maps on the way exist. */
function holderOf(value: Values, path: readonly string[]): [map: Values, key: string] {
  return [valueAt(value, path.slice(0, -1)) as Values, path.at(-1) ?? ''];
}

const valueAt = (value: Values, path: readonly string[]): unknown =>
  path.reduce<unknown>((at, key) => (at as Values)[key], value);

const isMap = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
