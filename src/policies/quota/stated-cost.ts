import { parsedJson } from '../../http/document.ts';
import { type Pointer, valuesAt } from '../../http/json-pointer.ts';

/** No quota is this large, so a higher cost must be a mistake. */
const HIGHEST_COST = 1e12;

/** Where a reply states its cost: parts that are added up. Of the pointers of a part, the first that is found counts. */
export type CostParts = readonly (readonly Pointer[])[];

/** A cost, or undefined if the value is none. */
export function costOf(found: unknown): number | undefined {
  return typeof found === 'number' && found >= 0 && found <= HIGHEST_COST ? found : undefined;
}

/** Where a reply states its cost, and what its text must contain to do so. Made once for many replies. */
export class CostPlan {
  readonly parts: CostParts;
  /** Texts without one of these names state no cost, and are not parsed. Undefined: every text is parsed. */
  readonly names: readonly string[] | undefined;

  constructor(parts: CostParts) {
    this.parts = parts;
    this.names = namesOf(parts);
  }
}

/** Reads the cost from the JSON texts of one reply: its body, or its events in order. The last value at a pointer counts. */
export class StatedCost {
  readonly #plan: CostPlan;
  readonly #found: (number | undefined)[][];

  constructor(plan: CostPlan) {
    this.#plan = plan;
    this.#found = plan.parts.map((pointers) => pointers.map(nothing));
  }

  read(text: string): void {
    const { parts, names } = this.#plan;
    if (names?.some((name) => text.includes(name)) === false) return;
    // `[DONE]`, or a body that is not JSON, states none.
    const document = parsedJson(text);
    if (typeof document !== 'object' || document === null) return;
    for (let part = 0; part < parts.length; part++) {
      const pointers = parts[part] as readonly Pointer[];
      const costs = this.#found[part] as (number | undefined)[];
      for (let at = 0; at < pointers.length; at++)
        for (const value of valuesAt(document, pointers[at] as Pointer))
          costs[at] = costOf(value) ?? costs[at];
    }
  }

  /** The sum of the parts that were found. `complete`: all of them were. */
  get total(): { readonly cost: number; readonly complete: boolean } {
    const values = this.#found.map((costs) => costs.find((cost) => cost !== undefined));
    const cost = Math.min(
      HIGHEST_COST,
      values.reduce<number>((sum, value) => sum + (value ?? 0), 0),
    );
    return { cost, complete: !values.includes(undefined) };
  }
}

const nothing = (): undefined => undefined;

/** The last names of the pointers, as JSON writes them. A name that JSON can write in two ways is none. */
function namesOf(parts: CostParts): readonly string[] | undefined {
  const names = parts.flat().map((pointer) => pointer.at(-1) ?? '');
  return names.every((name) => /^[a-z_]\w*$/i.test(name)) ? names.map((name) => `"${name}"`) : undefined;
}
