import * as z from 'zod';
import { type Parsed, quote } from './units.ts';

// A parser compiled for each of a few hundred small schemas costs more than it saves: each is used once, at start and reload.
z.config({ jitless: true });

/** A key, as messages, `explain`, the options table and the JSON Schema describe it. */
export interface Field {
  readonly kind: Kind;
  /** The documentation of the key. docs/keys.md and config.schema.json are generated from it. */
  readonly doc: string;
  /** Built-in value as the file would have it; undefined: none. */
  readonly builtIn: BuiltIn | undefined;
  /** The allowed values, in words. */
  readonly type: string;
  /** The word for the value null; default `off`. */
  readonly nullWord?: string;
}

export type Kind = 'duration' | 'size' | 'rate' | 'percentage' | 'window' | 'other';
export type BuiltIn = string | number | boolean | readonly (string | number)[];

type Json = Record<string, unknown>;

/** The field of every schema that `field` made. */
const registered = z.registry<Field>();

export const fieldOf = (schema: z.core.$ZodType): Field | undefined => registered.get(schema);

/** The schema of a single value. `parse` turns the value in the file into the value that the program uses. `json`: its JSON Schema, for editors. */
export function field<T>(about: Field & { readonly json: Json }, parse: (found: unknown) => Parsed<T>) {
  const { json, ...rest } = about;
  const schema = z.unknown().transform((found, context): T => {
    const result: Parsed<T> =
      found === null ? { problem: `has no value; write ${about.type}, or remove the key` } : parse(found);
    if ('value' in result) return result.value;
    context.issues.push({ code: 'custom', message: result.problem, input: found });
    return z.NEVER;
  });
  schema.register(z.globalRegistry, { ...json, description: about.doc });
  schema.register(registered, rest);
  return schema.optional();
}

/** The schema of a map of keys, all optional. `id`: the name of its definition in the JSON Schema, for a section that is used in several places. */
export function section<S extends z.ZodRawShape>(doc: string, shape: S, id?: string) {
  return z
    .strictObject(shape)
    .register(z.globalRegistry, id === undefined ? { description: doc } : { description: doc, id });
}

interface Wrong {
  readonly problem: string;
}

export interface Words<V> {
  readonly type: string;
  readonly json: Json;
  /** The section that a word stands for; a problem; or undefined for a value that is not understood. */
  readonly expand: (found: unknown) => V | Wrong | undefined;
}

/** The schema of a section that can also be one value: `concurrency: 20` stands for `{ mode: fixed, max: 20 }`. */
export function shorthand<S extends z.ZodType>(keys: S, words: Words<z.output<S>>): z.ZodType<z.output<S>> {
  const word = z.unknown().transform((found, context): z.output<S> => {
    const value = words.expand(found);
    const wrong = isWrong(value);
    if (value !== undefined && !wrong) return value;
    const message = wrong ? value.problem : `${quote(found)} is not understood; write ${words.type}`;
    context.issues.push({ code: 'custom', message, input: found });
    return z.NEVER;
  });
  word.register(z.globalRegistry, words.json);
  const either: z.ZodType = z.union([word, keys]);
  const about = z.globalRegistry.get(keys);
  if (about !== undefined) either.register(z.globalRegistry, { ...about });
  if (about?.id !== undefined) z.globalRegistry.remove(keys);
  return either as z.ZodType<z.output<S>>;
}

const isWrong = (value: unknown): value is Wrong =>
  typeof value === 'object' && value !== null && 'problem' in value;

/** The keys of a section, in optional and shorthand wrappers too; undefined for a single value. The key `''` is any name or index. */
export function keysOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  if (schema instanceof z.ZodOptional) return keysOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodUnion) return keysOf(schema.options.at(-1) as z.ZodType);
  if (schema instanceof z.ZodObject) return schema.shape as Record<string, z.ZodType>;
  if (schema instanceof z.ZodRecord) return { '': schema.valueType as z.ZodType };
  if (schema instanceof z.ZodArray) return { '': schema.element as z.ZodType };
  return undefined;
}

/** True for a list of sections. */
export function isList(schema: z.ZodType): boolean {
  return schema instanceof z.ZodOptional
    ? isList(schema.unwrap() as z.ZodType)
    : schema instanceof z.ZodArray;
}

/** The empty list or map of a schema; undefined for a single value. */
export function emptyOf(schema: z.ZodType): object | undefined {
  if (schema instanceof z.ZodOptional) return emptyOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodArray) return [];
  return keysOf(schema) && {};
}

/** The field of a single value, in an optional wrapper too; undefined for a section. */
export function leafOf(schema: z.ZodType): Field | undefined {
  return fieldOf(schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema);
}
