/**
 * Whether a field name from the wire is `wanted`, which is in lower case. Most other names differ in their length or their first
 * character, so that no copy in lower case is made. A-Z are the only upper-case letters of a name (RFC 9110 §5.6.2).
 */
export function isNamed(name: string, wanted: string): boolean {
  return name.length === wanted.length && (name === wanted || isSpelled(name, wanted));
}

function isSpelled(name: string, wanted: string): boolean {
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

interface Candidate {
  readonly name: string;
  /** The code of its first character, as `initialOf` gives it. */
  readonly initial: number;
  /** As the latest message had it. Most messages repeat it, and equal texts are compared faster. */
  spelling: string;
}

/** An immutable set of field names in lower case. */
export class FieldNames extends Set<string> {
  readonly #byLength: readonly (readonly Candidate[])[];

  constructor(names: Iterable<string>) {
    super(names);
    const byLength: Candidate[][] = Array.from({ length: LONGEST + 1 }, () => []);
    for (const name of this)
      byLength[placeOf(name)]?.push({ name, initial: initialOf(name), spelling: name });
    this.#byLength = byLength;
  }

  /**
   * The member that equals `name` without regard to case. The length and the first character exclude most names, and comparing
   * the rest is faster than a Set lookup, which must hash each new string from the wire.
   */
  known(name: string): string | undefined {
    const candidates = this.#byLength[placeOf(name)] as readonly Candidate[];
    if (candidates.length === 0) return undefined;
    const initial = initialOf(name);
    for (const candidate of candidates) {
      if (initial !== candidate.initial) continue;
      if (name === candidate.spelling) return candidate.name;
      if (!isNamed(name, candidate.name)) continue;
      candidate.spelling = name;
      return candidate.name;
    }
    return undefined;
  }
}

/** The same for a letter in upper and lower case. */
const initialOf = (name: string): number => name.charCodeAt(0) | TO_LOWER;

const placeOf = (name: string): number => Math.min(name.length, LONGEST);
