import type { Path, Position } from './problem.ts';

/** A value that came by `${…}`; it may be a secret. */
export interface Replaced {
  /** The text in the file. */
  readonly expression: string;
  readonly value: string;
}

/** Where a key and its value are written, as offsets in the text. A place is in the place of the value around it. */
export interface Place {
  readonly around: Place | undefined;
  readonly part: string | number;
  readonly key: number;
  value: number;
  replaced: Replaced | undefined;
  inside: Map<string, Place> | undefined;
}

/** Positions of every key and value of a file. A merged value has the position of its anchor. */
export class Places {
  /** The file as a whole. */
  readonly root: Place = {
    around: undefined,
    part: '',
    key: 0,
    value: 0,
    replaced: undefined,
    inside: undefined,
  };
  readonly #text: string;
  /** Offsets of line breaks. They are searched for only if a position is shown. */
  #breaks: readonly number[] | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** A new place of the value `part` in `around`, which is written at the offset `key`. */
  enter(around: Place, part: string | number, key: number): Place {
    const place = { around, part, key, value: key, replaced: undefined, inside: undefined };
    around.inside ??= new Map();
    around.inside.set(String(part), place);
    return place;
  }

  has(path: Path): boolean {
    return this.#nearest(path).exact;
  }

  /** Position of a value. A value that is not written has the position of the nearest key above it. */
  value(path: Path): Position {
    const { place, exact } = this.#nearest(path);
    return this.position(exact ? place.value : place.key);
  }

  key(path: Path): Position {
    return this.position(this.#nearest(path).place.key);
  }

  /** The values at a path that came by `${…}`; a list may have several. */
  replaced(path: Path): readonly Replaced[] {
    const { place, exact } = this.#nearest(path);
    if (!exact) return [];
    if (place.replaced !== undefined) return [place.replaced];
    const items: Replaced[] = [];
    for (let index = 0; ; index += 1) {
      const item = place.inside?.get(String(index));
      if (item === undefined) return items;
      if (item.replaced !== undefined) items.push(item.replaced);
    }
  }

  /** Line and column of an offset in the text. */
  position(offset: number): Position {
    this.#breaks ??= Array.from(this.#text.matchAll(/\n/g), ({ index }) => index);
    const breaks = this.#breaks;
    let [from, to] = [0, breaks.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((breaks[middle] as number) < offset) from = middle + 1;
      else to = middle;
    }
    return { line: from + 1, column: offset - (breaks[from - 1] ?? -1) };
  }

  #nearest(path: Path): { readonly place: Place; readonly exact: boolean } {
    let place = this.root;
    for (const part of path) {
      const next = place.inside?.get(String(part));
      if (next === undefined) return { place, exact: false };
      place = next;
    }
    return { place, exact: true };
  }
}

export function pathOf({ around, part }: Place): Path {
  return around === undefined ? [] : [...pathOf(around), part];
}
