import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
  type YAMLError,
} from 'yaml';
import { interpolate, type Lookup } from './interpolate.ts';
import { formatPath, type Path, type Position, type Problem } from './problem.ts';

/** A config file as plain values, with the place of each and `${…}` replaced. */
export interface Source {
  readonly value: unknown;
  readonly places: Places;
  readonly problems: readonly Problem[];
  /** The text cannot be understood; `value` means nothing. */
  readonly fatal: boolean;
}

interface Place {
  readonly key: Position;
  readonly value: Position;
  readonly replaced: Replaced | undefined;
}

/** A value that `${…}` brought in; it may be a secret. */
export interface Replaced {
  /** What stands in the file. */
  readonly expression: string;
  readonly value: string;
}

const TOP: Place = { key: { line: 1, column: 1 }, value: { line: 1, column: 1 }, replaced: undefined };

/** Where every key and value of a file is written. A merged value is where its anchor has it. */
export class Places {
  readonly #places = new Map<string, Place>();

  set(path: Path, place: Place): void {
    this.#places.set(keyOf(path), place);
  }

  has(path: Path): boolean {
    return this.#places.has(keyOf(path));
  }

  /** What is not written (a missing key, or what a shorthand stands for) is where the nearest thing above it is. */
  value(path: Path): Position {
    const exact = this.#places.get(keyOf(path));
    return exact === undefined ? this.key(path) : exact.value;
  }

  key(path: Path): Position {
    for (let length = path.length; length > 0; length -= 1) {
      const place = this.#places.get(keyOf(path.slice(0, length)));
      if (place !== undefined) return place.key;
    }
    return TOP.key;
  }

  /** The values that `${…}` brought in at a path; a list may hold several. */
  replaced(path: Path): readonly Replaced[] {
    const own = this.#places.get(keyOf(path));
    if (own?.replaced !== undefined) return [own.replaced];
    const items: Replaced[] = [];
    for (let index = 0; ; index += 1) {
      const item = this.#places.get(keyOf([...path, index]));
      if (item === undefined) return items;
      if (item.replaced !== undefined) items.push(item.replaced);
    }
  }
}

const keyOf = (path: Path): string => path.join('\0');

/** Aliases can make a small file large; no honest config has more values than this. */
const MAX_VALUES = 100_000;

/** Reads YAML 1.2 with anchors, aliases and `<<` merge keys. */
export function readSource(file: string, text: string, lookup: Lookup): Source {
  return new Reader(file, text, lookup).read();
}

class Reader {
  readonly #file: string;
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #lines = new LineCounter();
  readonly #doc;
  readonly #places = new Places();
  readonly #problems: Problem[] = [];
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(file: string, text: string, lookup: Lookup) {
    this.#file = file;
    this.#text = text;
    this.#lookup = lookup;
    const options = { merge: true, lineCounter: this.#lines, prettyErrors: false, stringKeys: true } as const;
    this.#doc = parseDocument(text, options);
  }

  read(): Source {
    for (const error of [...this.#doc.errors, ...this.#doc.warnings]) this.#syntax(error);
    const fatal = this.#doc.errors.some((error) => error.code !== 'DUPLICATE_KEY');
    const value = fatal ? undefined : this.#convert([], this.#doc.contents, TOP.key);
    return { value: value ?? {}, places: this.#places, problems: this.#problems, fatal };
  }

  #syntax({ code, message, pos }: YAMLError): void {
    const { line, col } = this.#lines.linePos(pos[0]);
    const written = this.#text.split('\n')[line - 1] ?? '';
    const hint = /[[{,:]\s*\$\{/.test(written)
      ? '; inside { } and [ ], write values with ${…} in quotes'
      : '';
    const said =
      code === 'DUPLICATE_KEY'
        ? 'this key is here twice; keep one'
        : code === 'MULTIPLE_DOCS'
          ? 'a second document starts here; keep one'
          : message;
    this.#problems.push({ file: this.#file, line, column: col, path: '', message: said + hint });
  }

  #problem(path: Path, position: Position, message: string): void {
    this.#problems.push({ file: this.#file, ...position, path: formatPath(path), message });
  }

  #position(node: Node): Position {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0);
    return { line, column: col };
  }

  #convert(path: Path, written: Node | null, key: Position): unknown {
    const node = this.#resolve(path, written, key);
    if (node === undefined) return undefined;
    const value = this.#position(node);
    if (isScalar(node)) return this.#scalar(path, { key, value }, node.value);
    this.#places.set(path, { key, value, replaced: undefined });
    this.#open.add(node);
    const converted = isMap(node)
      ? this.#map(path, node as YAMLMap<Node, Node | null>)
      : isSeq(node)
        ? node.items.map((item, index) =>
            this.#convert([...path, index], item as Node, this.#position(item as Node)),
          )
        : undefined;
    this.#open.delete(node);
    return converted;
  }

  /** Follows an alias; undefined when there is nothing, or nothing sound, to convert. */
  #resolve(path: Path, written: Node | null, key: Position): Node | undefined {
    if (written === null) return undefined;
    const node = isAlias(written) ? written.resolve(this.#doc) : written;
    this.#values += 1;
    const problem = this.#unsound(written, node);
    if (problem === undefined) return node;
    // Once: the other thousands of the same kind would say nothing more.
    if (this.#values <= MAX_VALUES + 1)
      this.#problem(path, written === node ? key : this.#position(written), problem);
    return undefined;
  }

  #unsound(written: Node, node: Node | undefined): string | undefined {
    if (node === undefined) return `there is no anchor &${isAlias(written) ? written.source : ''} above`;
    if (this.#open.has(node)) return 'this alias contains itself';
    return this.#values > MAX_VALUES ? 'the aliases unfold to too many values' : undefined;
  }

  #scalar(path: Path, { key, value }: Pick<Place, 'key' | 'value'>, written: unknown): unknown {
    const result = typeof written === 'string' ? interpolate(written, this.#lookup) : undefined;
    const replaced = result?.replaced ? { expression: String(written), value: result.text } : undefined;
    this.#places.set(path, { key, value, replaced });
    if (result === undefined) return written;
    for (const problem of result.problems) this.#problem(path, value, problem);
    // The missing part is reported once; what is left of the value would only be called wrong a second time.
    return result.problems.length > 0 ? undefined : result.text;
  }

  #map(path: Path, map: YAMLMap<Node, Node | null>): Record<string, unknown> {
    const found = new Map<string, Pair<Node, Node | null>>();
    this.#collect(path, map, found);
    const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const [name, pair] of found) {
      const value = this.#convert([...path, name], pair.value, this.#position(pair.key));
      if (value !== undefined) result[name] = value;
    }
    return result;
  }

  /** Written keys win over merged ones, earlier merge sources over later ones (https://yaml.org/type/merge.html). */
  #collect(path: Path, map: YAMLMap<Node, Node | null>, found: Map<string, Pair<Node, Node | null>>): void {
    const merges: Pair<Node, Node | null>[] = [];
    for (const pair of map.items) {
      if (isMergeKey(pair.key)) merges.push(pair);
      else {
        const name = String(isScalar(pair.key) ? pair.key.value : pair.key);
        if (!found.has(name)) found.set(name, pair);
      }
    }
    this.#open.add(map);
    for (const { key, value } of merges) {
      const position = this.#position(key);
      const source = this.#resolve([...path, '<<'], value, position);
      const sources = isSeq(source)
        ? source.items.map((item) => this.#resolve([...path, '<<'], item as Node, position))
        : [source];
      for (const merged of sources) {
        if (isMap(merged)) this.#collect(path, merged as YAMLMap<Node, Node | null>, found);
        else if (merged !== undefined) this.#problem([...path, '<<'], position, 'only maps can be merged');
      }
    }
    this.#open.delete(map);
  }
}

const isMergeKey = (key: Node): boolean => isScalar(key) && key.type === 'PLAIN' && key.value === '<<';
