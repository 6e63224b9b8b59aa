import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { interpolate, type Lookup } from './interpolate.ts';
import { type Place, Places, TOP } from './places.ts';
import { formatPath, type Path, type Position, type Problem } from './problem.ts';
import { syntaxProblem } from './syntax.ts';

/** A config file as plain values, with the place of each and `${…}` replaced. */
export interface Source {
  readonly value: unknown;
  readonly places: Places;
  readonly problems: readonly Problem[];
  /** The text cannot be parsed; `value` is empty. */
  readonly fatal: boolean;
}

/** Aliases can unfold a small file to many values. No real config has more than this. */
const MAX_VALUES = 100_000;

/** Reads YAML 1.2 with anchors, aliases and `<<` merge keys. `part`: the positions name the file, because it is not the main one. */
export function readSource(file: string, text: string, lookup: Lookup, part: boolean = false): Source {
  return new Reader(file, text, { lookup, part }).read();
}

type Mapping = YAMLMap<Node, Node | null>;

class Reader {
  readonly #file: string;
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #part: boolean;
  readonly #lines = new LineCounter();
  readonly #doc;
  readonly #places = new Places();
  readonly #problems: Problem[] = [];
  /** The node of each alias. `Alias.resolve` would walk the whole document each time. */
  readonly #targets: ReadonlyMap<Alias, Node>;
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(
    file: string,
    text: string,
    { lookup, part }: { readonly lookup: Lookup; readonly part: boolean },
  ) {
    this.#file = file;
    this.#text = text;
    this.#lookup = lookup;
    this.#part = part;
    const options = { merge: true, lineCounter: this.#lines, prettyErrors: false, stringKeys: true } as const;
    this.#doc = parseDocument(text, options);
    // Most files have none, and walking a long document takes long.
    this.#targets = text.includes('&') ? aliasTargets(this.#doc) : new Map();
  }

  read(): Source {
    for (const error of [...this.#doc.errors, ...this.#doc.warnings]) this.#syntax(error);
    const fatal = this.#doc.errors.some((error) => error.code !== 'DUPLICATE_KEY');
    const top = this.#part ? { ...TOP.key, file: this.#file } : TOP.key;
    const value = fatal ? undefined : this.#convert([], this.#doc.contents, top);
    return { value: value ?? {}, places: this.#places, problems: this.#problems, fatal };
  }

  #syntax(error: YAMLError): void {
    const { line, col: column } = this.#lines.linePos(error.pos[0]);
    const written = this.#text.split('\n')[line - 1] ?? '';
    const message = syntaxProblem(error, written);
    // One mistake often has several errors at its place.
    if (this.#problems.some((known) => known.line === line)) return;
    this.#problems.push({ file: this.#file, line, column, path: '', message, excerpt: written });
  }

  #problem(path: Path, position: Position, message: string): void {
    this.#problems.push({ ...position, file: this.#file, path: formatPath(path), message });
  }

  #position(node: Node): Position {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0);
    return this.#part ? { line, column: col, file: this.#file } : { line, column: col };
  }

  #convert(path: Path, written: Node | null, key: Position): unknown {
    const node = this.#resolve(path, written, key);
    if (node === undefined) return undefined;
    const value = this.#position(node);
    if (isScalar(node)) return this.#scalar(path, { key, value }, node.value);
    this.#places.set(path, { key, value, replaced: undefined });
    this.#open.add(node);
    const converted = isMap(node)
      ? this.#map(path, node as Mapping)
      : isSeq(node)
        ? node.items.map((item, index) =>
            this.#convert([...path, index], item as Node, this.#position(item as Node)),
          )
        : undefined;
    this.#open.delete(node);
    return converted;
  }

  /** Follows an alias; undefined if there is no node or it cannot be converted. */
  #resolve(path: Path, written: Node | null, key: Position): Node | undefined {
    if (written === null) return undefined;
    const node = isAlias(written) ? this.#targets.get(written) : written;
    this.#values += 1;
    const problem = this.#unsound(written, node);
    if (problem === undefined) return node;
    // Reported once: thousands of the same problem would help no reader.
    if (this.#values <= MAX_VALUES + 1)
      this.#problem(path, written === node ? key : this.#position(written), problem);
    return undefined;
  }

  #unsound(written: Node, node: Node | undefined): string | undefined {
    if (node === undefined)
      return `there is no anchor &${isAlias(written) ? written.source : ''} above this line; write it, or remove the alias`;
    if (this.#open.has(node)) return 'this alias contains itself; remove it';
    return this.#values > MAX_VALUES ? 'the aliases unfold to too many values; use fewer' : undefined;
  }

  #scalar(path: Path, { key, value }: Pick<Place, 'key' | 'value'>, written: unknown): unknown {
    const result = typeof written === 'string' ? interpolate(written, this.#lookup) : undefined;
    const replaced = result?.replaced ? { expression: String(written), value: result.text } : undefined;
    this.#places.set(path, { key, value, replaced });
    if (result === undefined) return written;
    for (const problem of result.problems) this.#problem(path, value, problem);
    return result.text;
  }

  #map(path: Path, map: Mapping): Record<string, unknown> {
    const found = new Map<string, Pair<Node, Node | null>>();
    this.#collect(path, map, found);
    const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const [name, pair] of found) {
      if (name === '__proto__') {
        this.#problem([...path, name], this.#position(pair.key), 'cannot be a key; write another name');
        continue;
      }
      const value = this.#convert([...path, name], pair.value, this.#position(pair.key));
      if (value !== undefined) result[name] = value;
    }
    return result;
  }

  /** Written keys win over merged ones, earlier merge sources over later ones (https://yaml.org/type/merge.html). */
  #collect(path: Path, map: Mapping, found: Map<string, Pair<Node, Node | null>>): void {
    for (const pair of map.items) {
      const name = String(isScalar(pair.key) ? pair.key.value : pair.key);
      if (!isMergeKey(pair.key) && !found.has(name)) found.set(name, pair);
    }
    const outermost = !this.#open.has(map);
    this.#open.add(map);
    for (const pair of map.items) {
      if (isMergeKey(pair.key))
        for (const merged of this.#merged(path, pair)) this.#collect(path, merged, found);
    }
    if (outermost) this.#open.delete(map);
  }

  #merged(path: Path, { key, value }: Pair<Node, Node | null>): Mapping[] {
    const below = [...path, '<<'];
    const position = this.#position(key);
    const source = this.#resolve(below, value, position);
    const sources = isSeq(source)
      ? source.items.map((item) => this.#resolve(below, item as Node, position))
      : [source];
    return sources.flatMap((merged) => {
      if (isMap(merged)) return [merged as Mapping];
      if (merged !== undefined)
        this.#problem(below, position, 'only maps can be merged; write an alias of a map');
      return [];
    });
  }
}

/** The node of each alias: the last anchor of that name above it. A name may be used twice (YAML 1.2.2 §7.1). */
function aliasTargets(doc: Document): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(doc, {
    Node: (_, node) => {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.set(node.anchor, node);
        return;
      }
      const target = anchors.get(node.source);
      if (target !== undefined) targets.set(node, target);
    },
  });
  return targets;
}

const isMergeKey = (key: Node): boolean => isScalar(key) && key.type === 'PLAIN' && key.value === '<<';
