import type * as z from 'zod';
import { keysOf, leafOf } from '../fields/field.ts';
import type { Path } from '../read/problem.ts';

/** The values that one part of the file sets, or the built-in ones. */
export interface Layer {
  /** `defaults`, `upstreams.stripe`, `route charges`; undefined for the built-in values. */
  readonly name: string | undefined;
  /** Path of its keys in the file. */
  readonly path: Path;
  readonly values: object;
  /** Describes the origin of a key, for layers that are not in the file itself (presets). */
  readonly describe?: (key: string) => string;
}

/** Where a value was set. */
export interface Origin {
  readonly layer: Layer;
  /** The key's full path in the file. */
  readonly path: Path;
  /** 0 for built-in values; higher for inner layers. */
  readonly depth: number;
}

/** False for a built-in value. */
export const isWritten = ({ layer }: Origin): boolean => layer.name !== undefined;

export interface Inherited<T> {
  readonly values: T;
  /** By the dotted path of each single value: `retry.backoff.base`. */
  readonly origins: Map<string, Origin>;
}

/** A schema's type in which every key has a value. */
export type Complete<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]-?: Complete<Exclude<T[K], undefined>> }
    : T;

/** Merges layers section by section. The last layer that sets a value wins; the first must be complete. Lists are not merged. */
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

/** The built-in values of a schema, in the form of the file. */
function builtInText(schema: z.ZodType): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(keysOf(schema) ?? {})) {
    if (key === '') continue; // nothing is built in for lists, and for maps whose keys are names
    const leaf = leafOf(child);
    const value = leaf === undefined ? builtInText(child) : leaf.builtIn;
    if (value !== undefined && (leaf !== undefined || Object.keys(value).length > 0)) result[key] = value;
  }
  return result;
}

/** The built-in values as a layer. They are parsed like a file. */
export function builtIn(schema: z.ZodType): Layer {
  return { name: undefined, path: [], values: schema.parse(builtInText(schema)) as object };
}
