import type { Path, Position } from './problem.ts';

/** Positions of a key and of its value. */
export interface Place {
  readonly key: Position;
  readonly value: Position;
  readonly replaced: Replaced | undefined;
}

/** A value that came by `${…}`; it may be a secret. */
export interface Replaced {
  /** The text in the file. */
  readonly expression: string;
  readonly value: string;
}

/** The beginning of the file. */
export const TOP: Place = { key: { line: 1, column: 1 }, value: { line: 1, column: 1 }, replaced: undefined };

/** Positions of every key and value of a file. A merged value has the position of its anchor. */
export class Places {
  readonly #places = new Map<string, Place>();

  set(path: Path, place: Place): void {
    this.#places.set(keyOf(path), place);
  }

  /** Replaces the positions of the values at `paths`, and of all in them, by those of another file. */
  replace(paths: readonly Path[], from: Places): void {
    const keys = new Set(paths.map(keyOf));
    for (const known of this.#places.keys()) if (isWithinOne(known, keys)) this.#places.delete(known);
    for (const [known, place] of from.#places) if (isWithinOne(known, keys)) this.#places.set(known, place);
  }

  has(path: Path): boolean {
    return this.#places.has(keyOf(path));
  }

  /** Position of a value. A value that is not written has the position of the nearest key above it. */
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

  /** The values at a path that came by `${…}`; a list may have several. */
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

/** Whether a key, or one around it, is in `keys`. */
function isWithinOne(key: string, keys: ReadonlySet<string>): boolean {
  for (let end = key.indexOf('\0'); end >= 0; end = key.indexOf('\0', end + 1))
    if (keys.has(key.slice(0, end))) return true;
  return keys.has(key);
}

const keyOf = (path: Path): string => path.join('\0');
