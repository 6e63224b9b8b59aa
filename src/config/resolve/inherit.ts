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
  /** Sections that a layer does not touch are those of the layers below it, so none is changed in place: see `replace`. */
  values: T;
  /** By the dotted path of each single value: `retry.backoff.base`. */
  readonly origins: LayeredOrigins;
}

/** Origins of values, layer upon layer. */
export class LayeredOrigins {
  readonly #below: LayeredOrigins | undefined;
  readonly #own = new Map<string, Origin>();

  constructor(below?: LayeredOrigins) {
    this.#below = below;
  }

  get(key: string): Origin | undefined {
    return this.#own.get(key) ?? this.#below?.get(key);
  }

  set(key: string, origin: Origin): void {
    this.#own.set(key, origin);
  }

  /** Those below `prefix` that are not built in. */
  written(prefix: string): [string, Origin][] {
    const found = new Map<string, Origin>();
    this.#collect(prefix, found);
    return [...found];
  }

  #collect(prefix: string, found: Map<string, Origin>): void {
    if (this.#below !== undefined) this.#below.#collect(prefix, found);
    for (const [key, origin] of this.#own)
      if (isWritten(origin) && key.startsWith(prefix)) found.set(key, origin);
  }
}

/** A schema's type in which every key has a value. */
export type Complete<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]-?: Complete<Exclude<T[K], undefined>> }
    : T;

interface Merged extends Inherited<object> {
  /** Results with one more layer. */
  readonly further: WeakMap<Layer, Merged>;
}

/** The result for a first layer, and from there for each list of layers that others continue. */
const MERGED: Merged['further'] = new WeakMap();

/**
 * Merges layers section by section. The last layer that sets a value wins; the first must be complete. Lists are not merged. Results
 * for the same first layers share what the last layer leaves alone.
 */
export function inherit<T>(layers: readonly Layer[]): Inherited<Complete<T>> {
  let below: Merged | undefined;
  layers.slice(0, -1).forEach((layer, depth) => {
    const known = (below?.further ?? MERGED).get(layer);
    const merged = known ?? withLayer(below, layer, depth);
    if (known === undefined) (below?.further ?? MERGED).set(layer, merged);
    below = merged;
  });
  const { values, origins } = withLayer(below, layers.at(-1) as Layer, layers.length - 1);
  return { values: values as Complete<T>, origins };
}

function withLayer(below: Merged | undefined, layer: Layer, depth: number): Merged {
  const origins = new LayeredOrigins(below?.origins);
  const merge = (from: object, outer: unknown, keys: readonly string[]): object => {
    const into: Record<string, unknown> = isSection(outer) ? { ...outer } : {};
    for (const [key, value] of Object.entries(from)) {
      if (value === undefined) continue;
      const path = [...keys, key];
      if (isSection(value)) {
        into[key] = merge(value, into[key], path);
      } else {
        into[key] = value;
        origins.set(path.join('.'), { layer, path: [...layer.path, ...path], depth });
      }
    }
    return into;
  };
  return { values: merge(layer.values, below?.values, []), origins, further: new WeakMap() };
}

/** Replaces one value in a copy of its sections. */
export function replace(inherited: Inherited<unknown>, path: string, value: unknown): void {
  const copied = (at: unknown, [key, ...rest]: readonly string[]): unknown =>
    key === undefined
      ? value
      : { ...(at as object), [key]: copied((at as Record<string, unknown>)[key], rest) };
  inherited.values = copied(inherited.values, path.split('.'));
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
