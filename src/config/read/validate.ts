import type * as z from 'zod';
import { didYouMean } from '../fields/did-you-mean.ts';
import { emptyOf, keysOf } from '../fields/field.ts';
import type { Path } from './problem.ts';
import { formerKey } from './renamed.ts';
import { synonym } from './synonyms.ts';

/** A problem whose line is not known yet. `key`: it is about the key, not about its value. */
interface Finding {
  readonly path: Path;
  readonly about: 'key' | 'value';
  readonly message: string;
}

export interface Validated<T> {
  readonly findings: readonly Finding[];
  /** The valid part of the file; undefined if nothing is usable. */
  readonly input: T | undefined;
}

/** Wrong values are removed and the rest is parsed again. After so many rounds removing does not help. */
const MAX_ROUNDS = 4;

/** Checks every value of a file. Wrong values are reported and removed, so that the rest can be checked too. */
export function validate<S extends z.ZodType>(value: unknown, schema: S): Validated<z.output<S>> {
  const findings: Finding[] = [];
  let rest = withoutEmptySections(value, schema);
  if (!isMap(rest)) {
    return {
      findings: [{ path: [], about: 'value', message: `the file must be ${expected('object')}` }],
      input: undefined,
    };
  }
  // Keys x-… hold anchors: their content is used only by aliases.
  rest = Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith('x-')));
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const result = schema.safeParse(rest, { reportInput: true });
    if (result.success) return { findings, input: result.data };
    const found = result.error.issues.flatMap((issue) => translate(issue, [], schema));
    if (round === 0) findings.push(...found);
    rest = found.reduce((left, finding) => without(left, finding.path), rest);
  }
  return { findings, input: undefined };
}

/** `defaults:` with nothing below it, because all of it is commented out, is an empty section. */
function withoutEmptySections(value: unknown, schema: z.ZodType): unknown {
  const keys = keysOf(schema);
  if (keys === undefined) return value;
  if (value === null) return emptyOf(schema);
  if (Array.isArray(value))
    return value.map((item) => (keys[''] === undefined ? item : withoutEmptySections(item, keys[''])));
  if (!isMap(value)) return value;
  const entries = Object.entries(value).map(([key, child]) => {
    const childSchema = keys[key] ?? keys[''];
    return [key, childSchema === undefined ? child : withoutEmptySections(child, childSchema)];
  });
  return Object.fromEntries(entries);
}

function translate(issue: z.core.$ZodIssue, prefix: Path, schema: z.ZodType): Finding[] {
  const path = [...prefix, ...(issue.path as Path)];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      about: 'key',
      message: unknownKey(path, key, schema),
    }));
  }
  if (issue.code === 'invalid_union') {
    // The last branch is the section, the first one its shorthand.
    const branch = isMap(issue.input) ? issue.errors.at(-1) : issue.errors[0];
    return (branch ?? []).flatMap((inner) => translate(inner, path, schema));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, about: 'key', message: issue.issues[0]?.message ?? issue.message }];
  }
  const message = issue.code === 'invalid_type' ? `must be ${expected(issue.expected)}` : issue.message;
  return [{ path, about: 'value', message }];
}

function expected(type: string): string {
  return type === 'array' ? 'a list (lines that start with "- ")' : 'a map of keys';
}

/** Planned keys: a better message than "did you mean". */
const LATER: ReadonlySet<string> = new Set(['coalesce', 'tracing']);

function unknownKey(path: Path, key: string, whole: z.ZodType): string {
  const schema = path.reduce<z.ZodType | undefined>((at, part) => at && below(at, part), whole);
  if (key === 'connect' && path.at(-1) === 'timeouts') {
    return 'not allowed in a route, because all routes of an upstream share its connections; write it in the upstream';
  }
  const former = formerKey(path, key);
  if (former !== undefined) return former;
  if (LATER.has(key)) return 'not available in this version; remove it';
  const known = namesBelow(schema);
  const meant = synonym(key, known) ?? didYouMean(key, known);
  if (meant !== undefined) return `unknown key; did you mean "${meant}"?`;
  const inside = known.flatMap((name) =>
    namesBelow(schema && below(schema, name)).map((inner) => [inner, `${name}.${inner}`] as const),
  );
  const meantInside = didYouMean(
    key,
    inside.map(([inner]) => inner),
  );
  const first = inside.find(([inner]) => inner === meantInside);
  if (first !== undefined) return `unknown key; did you mean "${first[1]}"?`;
  return `unknown key; write one of ${known.join(', ')}`;
}

/** The keys of a section; none for maps whose keys are names. */
function namesBelow(schema: z.ZodType | undefined): string[] {
  return Object.keys((schema && keysOf(schema)) ?? {}).filter((name) => name !== '');
}

function below(schema: z.ZodType, part: string | number): z.ZodType | undefined {
  const keys = keysOf(schema);
  return typeof part === 'string' ? (keys?.[part] ?? keys?.['']) : keys?.[''];
}

/** A copy without the value at `path`. An item of a list becomes an empty map, so that the others keep their index. */
function without(value: unknown, path: Path): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return {};
  if (Array.isArray(value)) {
    return value.map((item, index) => (index === first ? without(item, rest) : item));
  }
  if (!isMap(value)) return value;
  const copy = { ...value };
  if (rest.length === 0) delete copy[first];
  else copy[first] = without(copy[first], rest);
  return copy;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
