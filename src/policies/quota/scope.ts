/** The scope of a learned limit. `/model`: a JSON pointer into the request body; its value names the scope. */
export type LimitScope = 'auto' | 'credential' | 'path' | `/${string}`;

/** A longer name is cut, because it comes from a caller or from the upstream. */
const LONGEST_NAME = 64;

/** The scope of a limit with a name: a model, or a resource of the API. */
export function namedScope(kind: string, name: string): string {
  return `${kind} ${name.slice(0, LONGEST_NAME)}`;
}
