import { YAMLException } from 'js-yaml';
import { interpolate, type Lookup } from './interpolate.ts';
import {
  type ListNode,
  type MapNode,
  type Node,
  parseNodes,
  type ScalarNode,
  type ValueNode,
} from './nodes.ts';
import { type Place, Places, pathOf } from './places.ts';
import { formatPath, type Path, type Problem } from './problem.ts';
import { plainValue, taggedValue } from './scalar.ts';

/** A config file as plain values, with the place of each and `${…}` replaced. */
export interface Source {
  readonly value: unknown;
  readonly places: Places;
  readonly problems: readonly Problem[];
  /** The text cannot be parsed; `value` is empty. */
  readonly fatal: boolean;
}

/** Values that aliases may add to those that are written: they can unfold a small file to many. No real config needs more. */
const MAX_UNFOLDED = 100_000;

/** Reads YAML 1.2 with anchors, aliases and `<<` merge keys. */
export function readSource(file: string, text: string, lookup: Lookup): Source {
  return new Reader(file, text, lookup).read();
}

const MERGE = '<<';

/** A pair of a map: the offset of its key, and its value. */
interface Found {
  readonly key: number;
  readonly value: Node;
}

class Reader {
  readonly #file: string;
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #places: Places;
  readonly #problems: Problem[] = [];
  readonly #open = new Set<Node>();
  /** The number of aliases around the current value. */
  #aliases = 0;
  #unfolded = 0;

  constructor(file: string, text: string, lookup: Lookup) {
    this.#file = file;
    this.#text = text;
    this.#lookup = lookup;
    this.#places = new Places(text);
  }

  read(): Source {
    const written = this.#parsed();
    const value = written?.first && this.#convert(written.first, this.#places.root);
    const { second } = written ?? {};
    if (second !== undefined) this.#problem([], second, 'a second YAML document starts here; write only one');
    const fatal = written === undefined || second !== undefined;
    return {
      value: (fatal ? undefined : value) ?? {},
      places: this.#places,
      problems: this.#problems,
      fatal,
    };
  }

  #parsed() {
    try {
      return parseNodes(this.#text);
    } catch (error) {
      if (!(error instanceof YAMLException)) throw error;
      const offset = error.mark?.position ?? 0;
      const { line } = this.#places.position(offset);
      const written = this.#text.split('\n')[line - 1] ?? '';
      const hint = /[[{,:]\s*\$\{/.test(written)
        ? '; write values with ${…} in quotes inside { } and [ ]'
        : '';
      this.#problem([], offset, error.reason + hint);
      return undefined;
    }
  }

  #problem(path: Path, offset: number, message: string): void {
    const position = this.#places.position(offset);
    this.#problems.push({ file: this.#file, ...position, path: formatPath(path), message });
  }

  /** The value `part` of the map or list at `around`. */
  #enter(written: Node, around: Place, part: string | number, key: number): unknown {
    const node = this.#resolve(written, () => [...pathOf(around), part], key);
    if (node === undefined) return undefined;
    if (written === node) return this.#convert(node, this.#places.enter(around, part, key));
    this.#aliases += 1;
    const value = this.#convert(node, this.#places.enter(around, part, key));
    this.#aliases -= 1;
    return value;
  }

  #convert(node: Node, place: Place): unknown {
    if (node.kind === 'alias') return undefined;
    place.value = node.offset ?? place.key;
    if (node.kind === 'scalar') return this.#scalar(node, place);
    if (node.tag !== undefined && node.tag !== `!!${node.kind === 'map' ? 'map' : 'seq'}`)
      this.#problem(pathOf(place), place.value, unknownTag(node.tag));
    this.#open.add(node);
    const converted = node.kind === 'map' ? this.#map(node, place) : this.#list(node, place);
    this.#open.delete(node);
    return converted;
  }

  #list({ items }: ListNode, place: Place): unknown[] {
    return items.map((item, index) => this.#enter(item, place, index, item.offset ?? place.value));
  }

  /** Follows an alias; undefined if it cannot be converted. */
  #resolve(written: Node, path: () => Path, key: number): ValueNode | undefined {
    const node = written.kind === 'alias' ? written.target : written;
    if (this.#aliases > 0) this.#unfolded += 1;
    const problem = this.#unsound(written, node);
    if (problem === undefined) return node;
    // Reported once: thousands of the same problem would help no reader.
    if (this.#unfolded <= MAX_UNFOLDED + 1)
      this.#problem(path(), written === node ? key : (written.offset ?? key), problem);
    return undefined;
  }

  #unsound(written: Node, node: ValueNode | undefined): string | undefined {
    if (node === undefined)
      return `there is no anchor &${written.kind === 'alias' ? written.name : ''} above this line; write it, or remove the alias`;
    if (this.#open.has(node)) return 'this alias contains itself; remove it';
    return this.#unfolded > MAX_UNFOLDED ? 'the aliases unfold to too many values; use fewer' : undefined;
  }

  #scalar({ text, tag, plain }: ScalarNode, place: Place): unknown {
    const written = tag !== undefined ? taggedValue(text, tag) : plain ? plainValue(text) : text;
    if (written === undefined) this.#problem(pathOf(place), place.value, unknownTag(tag));
    if (typeof written !== 'string') return written;
    const result = interpolate(written, this.#lookup);
    if (result.replaced) place.replaced = { expression: written, value: result.text };
    for (const problem of result.problems) this.#problem(pathOf(place), place.value, problem);
    return result.text;
  }

  #map(map: MapNode, place: Place): Record<string, unknown> {
    const found = new Map<string, Found>();
    this.#collect(map, place, found);
    const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const [name, { key, value: written }] of found) {
      if (name === '__proto__') {
        this.#problem([...pathOf(place), name], key, 'cannot be a key; write another name');
        continue;
      }
      const value = this.#enter(written, place, name, key);
      if (value !== undefined) result[name] = value;
    }
    return result;
  }

  /** Written keys win over merged ones, earlier merge sources over later ones (https://yaml.org/type/merge.html). */
  #collect(map: MapNode, place: Place, found: Map<string, Found>): void {
    this.#collectWritten(map, place, found);
    const outermost = !this.#open.has(map);
    this.#open.add(map);
    for (const { key, value } of map.pairs.filter((pair) => isMerge(pair.key)))
      for (const merged of this.#merged(value, place, key.offset ?? place.key))
        this.#collect(merged, place, found);
    if (outermost) this.#open.delete(map);
  }

  #collectWritten(map: MapNode, place: Place, found: Map<string, Found>): void {
    const own = new Set<string>();
    for (const { key: written, value } of map.pairs) {
      if (isMerge(written)) continue;
      const key = written.offset ?? place.key;
      const name = this.#keyOf(written, place, key);
      if (name === undefined) continue;
      if (own.has(name)) this.#problem([], key, 'this key is written twice; remove one');
      own.add(name);
      if (!found.has(name)) found.set(name, { key, value });
    }
  }

  #keyOf(written: Node, place: Place, offset: number): string | undefined {
    const key = written.kind === 'alias' ? written.target : written;
    if (key?.kind === 'scalar') return key.text;
    this.#problem(pathOf(place), offset, 'a key must be text; write it in quotes');
    return undefined;
  }

  #merged(written: Node, place: Place, key: number): MapNode[] {
    const path = () => [...pathOf(place), MERGE];
    const source = this.#resolve(written, path, key);
    const sources =
      source?.kind === 'list' ? source.items.map((item) => this.#resolve(item, path, key)) : [source];
    return sources.flatMap((merged) => {
      if (merged?.kind === 'map') return [merged];
      if (merged !== undefined)
        this.#problem(path(), key, 'only maps can be merged; write an alias of a map');
      return [];
    });
  }
}

const isMerge = (key: Node): boolean => key.kind === 'scalar' && key.plain && key.text === MERGE;

const unknownTag = (tag = ''): string =>
  `the value does not fit the tag ${tag}, or the tag is unknown; remove it`;
