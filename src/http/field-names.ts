/** Longer names share a bit. */
const LONGEST = 31;

/** A set of field names, given in lower case, that does not change any more. */
export class FieldNames extends Set<string> {
  /** Bit n: there is a name of n characters. */
  readonly #lengths: number;

  constructor(names: Iterable<string>) {
    super(names);
    let lengths = 0;
    for (const name of this) lengths |= 1 << Math.min(name.length, LONGEST);
    this.#lengths = lengths;
  }

  /** Whether `name` is one of them, in whatever case it came. Most names are none by their length alone. */
  names(name: string): boolean {
    return (this.#lengths & (1 << Math.min(name.length, LONGEST))) !== 0 && this.has(name.toLowerCase());
  }
}
