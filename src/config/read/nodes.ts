import { type Event, EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE, type ScalarEvent } from 'js-yaml';

interface NodeBase {
  /** Where it begins in the text, after its anchor and tag; undefined if nothing is written: `key:`. */
  readonly offset: number | undefined;
  /** As it is written: `!!str`. */
  readonly tag: string | undefined;
}

export interface ScalarNode extends NodeBase {
  readonly kind: 'scalar';
  /** Without quotes and escapes. */
  readonly text: string;
  /** Not in quotes and not a block, so that `5` is a number. */
  readonly plain: boolean;
}

export interface MapNode extends NodeBase {
  readonly kind: 'map';
  readonly pairs: { readonly key: Node; readonly value: Node }[];
}

export interface ListNode extends NodeBase {
  readonly kind: 'list';
  readonly items: Node[];
}

export interface AliasNode {
  readonly kind: 'alias';
  readonly offset: number;
  readonly name: string;
  /** The last node above it with this anchor: a name may be used twice (YAML 1.2.2 §7.1). Undefined: there is none. */
  readonly target: ValueNode | undefined;
}

export type ValueNode = ScalarNode | MapNode | ListNode;
export type Node = ValueNode | AliasNode;

/** The nodes of the first document; undefined if it is empty. `second`: where another document begins. */
export interface Documents {
  readonly first: Node | undefined;
  readonly second: number | undefined;
}

/** Parses YAML 1.2. Throws js-yaml's `YAMLException` at the first mistake. */
export function parseNodes(text: string): Documents {
  const builder = new NodeBuilder(text);
  for (const event of parseEvents(text, {})) builder.take(event);
  return { first: builder.roots[0], second: builder.second };
}

/** A collection that is not complete. `key`: of the pair that has no value yet. */
type Frame = { readonly node: MapNode; key: Node | undefined } | { readonly node: ListNode };

/** Builds nodes from the events of the parser, which have the offsets that its own nodes lack. */
class NodeBuilder {
  readonly roots: (Node | undefined)[] = [];
  second: number | undefined;
  readonly #text: string;
  readonly #frames: Frame[] = [];
  readonly #anchors = new Map<string, ValueNode>();

  constructor(text: string) {
    this.#text = text;
  }

  take(event: Event): void {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        return;
      case EVENT_ID.POP: {
        const frame = this.#frames.pop();
        return frame && this.#add(frame.node);
      }
      case EVENT_ID.ALIAS: {
        const name = this.#slice(event.anchorStart, event.anchorEnd);
        const target = this.#anchors.get(name);
        // The event begins after the star.
        return this.#add({ kind: 'alias', offset: event.anchorStart - 1, name, target });
      }
      case EVENT_ID.SCALAR:
        return this.#add(this.#anchored(event, this.#scalar(event)));
      case EVENT_ID.MAPPING: {
        const node: MapNode = { kind: 'map', offset: event.start, tag: this.#tag(event), pairs: [] };
        this.#frames.push({ node: this.#anchored(event, node), key: undefined });
        return;
      }
      case EVENT_ID.SEQUENCE: {
        const node: ListNode = { kind: 'list', offset: event.start, tag: this.#tag(event), items: [] };
        this.#frames.push({ node: this.#anchored(event, node) });
      }
    }
  }

  #scalar(event: ScalarEvent): ScalarNode {
    const plain = event.style === SCALAR_STYLE.PLAIN;
    const text = getScalarValue(this.#text, event);
    return { kind: 'scalar', offset: this.#scalarStart(event), tag: this.#tag(event), text, plain };
  }

  /** The event begins after the quote, or on the line below the sign of a block. */
  #scalarStart({ style, valueStart }: ScalarEvent): number | undefined {
    if (valueStart < 0) return undefined;
    if (style === SCALAR_STYLE.PLAIN) return valueStart;
    if (style === SCALAR_STYLE.LITERAL_BLOCK) return this.#text.lastIndexOf('|', valueStart - 1);
    if (style === SCALAR_STYLE.FOLDED_BLOCK) return this.#text.lastIndexOf('>', valueStart - 1);
    return valueStart - 1;
  }

  #tag({ tagStart, tagEnd }: { readonly tagStart: number; readonly tagEnd: number }): string | undefined {
    return tagStart < 0 ? undefined : this.#slice(tagStart, tagEnd);
  }

  #anchored<N extends ValueNode>(
    { anchorStart, anchorEnd }: { readonly anchorStart: number; readonly anchorEnd: number },
    node: N,
  ): N {
    if (anchorStart >= 0) this.#anchors.set(this.#slice(anchorStart, anchorEnd), node);
    return node;
  }

  #slice(from: number, to: number): string {
    return this.#text.slice(from, to);
  }

  #add(node: Node): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.#addRoot(node);
    else if (!('key' in frame)) frame.node.items.push(node);
    else if (frame.key === undefined) frame.key = node;
    else {
      frame.node.pairs.push({ key: frame.key, value: node });
      frame.key = undefined;
    }
  }

  #addRoot(node: Node): void {
    if (this.roots.length === 1)
      this.second = this.#text.lastIndexOf('---', node.offset ?? this.#text.length);
    this.roots.push(node);
  }
}
