/** Longer names share one bucket. */
const LONGEST = 32;

/** An immutable set of field names in lower case. */
export class FieldNames extends Set<string> {
  readonly #byLength: readonly (readonly string[])[];

  constructor(names: Iterable<string>) {
    super(names);
    const byLength: string[][] = Array.from({ length: LONGEST + 1 }, () => []);
    for (const name of this) byLength[placeOf(name)]?.push(name);
    this.#byLength = byLength;
  }

  /**
   * The member that equals `name` without regard to case. The length excludes most names, and comparing the rest is faster
   * than a Set lookup, which must hash each new string from the wire.
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
