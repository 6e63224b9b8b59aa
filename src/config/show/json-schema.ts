import * as z from 'zod';
import { fieldOf } from '../fields/field.ts';
import { fileSchema } from '../keys/schema.ts';

/** JSON Schema (draft 2020-12) of config.yaml, for editors. */
export function configJsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(fileSchema, { io: 'input', override: annotate });
  return { $schema, title: 'Breakwater config.yaml', ...rest, patternProperties: { '^x-': true } };
}

type Override = NonNullable<z.core.ToJSONSchemaParams['override']>;

const annotate: Override = ({ zodSchema, jsonSchema, path }) => {
  const builtIn = fieldOf(zodSchema)?.builtIn;
  if (builtIn !== undefined) jsonSchema.default = builtIn;
  const key = path.at(-1);
  if (path.at(-2) === 'properties' && typeof key === 'string' && jsonSchema.id === undefined)
    jsonSchema.title ??= key;
  if (jsonSchema.id !== undefined) {
    jsonSchema.title = jsonSchema.id;
    delete jsonSchema.id; // its $defs entry has the name already, and as a keyword it belongs to draft 4
  }
  if (jsonSchema.type === 'object') {
    // Most keys are optional, because an outer layer may set them. Only an upstream needs its URL.
    if (jsonSchema.title === 'upstream') jsonSchema.required = ['url'];
    // A section whose keys are all commented out is null in YAML.
    else Object.assign(jsonSchema, { type: ['object', 'null'] });
  }
};
