/**
 * Whether a field name from the wire is `wanted`, which is in lower case. Most other names differ in their length or their first
 * character, so that no copy in lower case is made. A-Z are the only upper-case letters of a name (RFC 9110 §5.6.2).
 */
export function isNamed(name: string, wanted: string): boolean {
  if (name.length !== wanted.length) return false;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    const lower = code >= UPPER_A && code <= UPPER_Z ? code + TO_LOWER : code;
    if (lower !== wanted.charCodeAt(i)) return false;
  }
  return true;
}

const UPPER_A = 65;
const UPPER_Z = 90;
const TO_LOWER = 32;

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
    for (const candidate of candidates) if (isNamed(name, candidate)) return candidate;
    return undefined;
  }
}

const placeOf = (name: string): number => Math.min(name.length, LONGEST);
