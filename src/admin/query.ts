import { AdminProblem } from './response.ts';

/** The parameters of a query, each at most once unless `repeated`. Throws 400 for one that is unknown or given twice. */
export function parametersOf(
  query: URLSearchParams,
  { single, repeated = [] }: { readonly single: readonly string[]; readonly repeated?: readonly string[] },
): (name: string) => string | undefined {
  for (const name of query.keys()) {
    if (!single.includes(name) && !repeated.includes(name))
      throw new AdminProblem(
        400,
        `unknown parameter "${name}"; write one of ${[...single, ...repeated].join(', ')}`,
      );
    if (single.includes(name) && query.getAll(name).length > 1)
      throw new AdminProblem(400, `parameter "${name}" is given twice`);
  }
  return (name) => query.get(name) || undefined;
}
