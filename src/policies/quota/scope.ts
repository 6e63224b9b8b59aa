/** `/model`: a JSON pointer into the request body, whose value names what is limited. */
export type LimitScope = 'auto' | 'credential' | 'path' | `/${string}`;

/** A name comes from a caller or the upstream; a longer one is cut. */
const LONGEST_NAME = 64;

/** The scope of a limit that has a name: a model, or a resource of the API. */
export function namedScope(kind: string, name: string): string {
  return `${kind} ${name.slice(0, LONGEST_NAME)}`;
}
