/** Longer names share a place. */
const LONGEST = 32;

/** A set of field names, given in lower case, that does not change any more. */
export class FieldNames extends Set<string> {
  readonly #byLength: readonly (readonly string[])[];

  constructor(names: Iterable<string>) {
    super(names);
    const byLength: string[][] = Array.from({ length: LONGEST + 1 }, () => []);
    for (const name of this) byLength[placeOf(name)]?.push(name);
    this.#byLength = byLength;
  }

  /**
   * The one that `name` is, in whatever case it came. Most names are none by their length alone, and the others are
   * compared: to look a text up in a set, that has just come from the wire, it would have to be hashed first.
   */
  known(name: string): string | undefined {
    const candidates = this.#byLength[placeOf(name)] as readonly string[];
    if (candidates.length === 0) return undefined;
    const lower = name.toLowerCase();
    for (const candidate of candidates) if (candidate === lower) return candidate;
    return undefined;
  }
}

const placeOf = (name: string): number => Math.min(name.length, LONGEST);
