import type * as z from 'zod';
import { keysOf, leafOf } from '../fields/field.ts';
import type { Path } from '../read/problem.ts';

/** Values as one part of the file (or nobody) set them. */
export interface Layer {
  /** `defaults`, `upstreams.stripe`, `route charges`; undefined for the built-in values. */
  readonly name: string | undefined;
  /** Where its keys stand in the file. */
  readonly path: Path;
  readonly values: object;
  /** Where a key's value comes from, for layers that are not in the file itself. */
  readonly told?: (key: string) => string;
}

/** Who set a value. */
export interface Origin {
  readonly layer: Layer;
  /** The key's full path in the file. */
  readonly path: Path;
  /** 0 for built-in; a layer further inside has a higher one. */
  readonly depth: number;
}

export interface Inherited<T> {
  readonly values: T;
  /** By the dotted path of each single value: `retry.backoff.base`. */
  readonly origins: Map<string, Origin>;
}

/** Everything set: what remains of a schema's type once the built-in values lie below it. */
export type Complete<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]-?: Complete<Exclude<T[K], undefined>> }
    : T;

/** Merges section by section; the last layer that set a value wins. The first must be complete. Lists are values. */
export function inherit<T>(layers: readonly Layer[]): Inherited<Complete<T>> {
  const values = {};
  const origins = new Map<string, Origin>();
  layers.forEach((layer, depth) => {
    const visit = (from: object, into: Record<string, unknown>, keys: readonly string[]): void => {
      for (const [key, value] of Object.entries(from)) {
        if (value === undefined) continue;
        const path = [...keys, key];
        if (isSection(value)) {
          visit(value, (into[key] ??= {}) as Record<string, unknown>, path);
        } else {
          into[key] = value;
          origins.set(path.join('.'), { layer, path: [...layer.path, ...path], depth });
        }
      }
    };
    visit(layer.values, values, []);
  });
  return { values: values as Complete<T>, origins };
}

const isSection = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The built-in values of a schema as they would stand in a file. */
function builtInText(schema: z.ZodType): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(keysOf(schema) ?? {})) {
    if (key === '') continue; // of lists and of names that anybody may choose, nothing is built in
    const leaf = leafOf(child);
    const value = leaf === undefined ? builtInText(child) : leaf.builtIn;
    if (value !== undefined && (leaf !== undefined || Object.keys(value).length > 0)) result[key] = value;
  }
  return result;
}

/** The built-in values, read by the same rules as a file. */
export function builtIn(schema: z.ZodType): Layer {
  return { name: undefined, path: [], values: schema.parse(builtInText(schema)) as object };
}
