import type { Path, Position } from './problem.ts';

/** Where a key and its value stand. */
export interface Place {
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

/** The beginning of the file. */
export const TOP: Place = { key: { line: 1, column: 1 }, value: { line: 1, column: 1 }, replaced: undefined };

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
