/** The part of JSON Schema that the documents use. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
}

type Named = Readonly<Record<string, Schema>>;

/** The places where `value` does not match `schema`. */
export function violations(value: unknown, schema: Schema, named: Named, path = '$'): string[] {
  if (schema.$ref !== undefined) {
    const target = named[schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)];
    return target === undefined
      ? [`${path}: ${schema.$ref} is nowhere`]
      : violations(value, target, named, path);
  }
  if (!isOf(value, schema.type)) return [`${path}: ${JSON.stringify(value)} is no ${schema.type}`];
  const found: string[] = [];
  if (schema.enum !== undefined && !schema.enum.includes(value))
    found.push(`${path}: ${String(value)} is none of ${schema.enum.join()}`);
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(String(value)))
    found.push(`${path}: pattern`);
  if (schema.format === 'date-time' && Number.isNaN(Date.parse(String(value))))
    found.push(`${path}: no moment`);
  if (schema.minimum !== undefined && (value as number) < schema.minimum) found.push(`${path}: too small`);
  if (Array.isArray(value)) {
    const { items } = schema;
    return [
      ...found,
      ...(items === undefined
        ? []
        : value.flatMap((item, i) => violations(item, items, named, `${path}[${i}]`))),
    ];
  }
  if (typeof value === 'object' && value !== null)
    found.push(...inObject(value as Record<string, unknown>, schema, named, path));
  return found;
}

function inObject(value: Record<string, unknown>, schema: Schema, named: Named, path: string): string[] {
  const missing = (schema.required ?? [])
    .filter((name) => !(name in value))
    .map((name) => `${path}.${name}: missing`);
  const wrong = Object.entries(value).flatMap(([name, inner]) => {
    const known = schema.properties?.[name] ?? schema.additionalProperties;
    if (known === false) return [`${path}.${name}: not documented`];
    return typeof known === 'object' ? violations(inner, known, named, `${path}.${name}`) : [];
  });
  return [...missing, ...wrong];
}

function isOf(value: unknown, type: string | undefined): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case undefined:
      return true;
    default:
      return typeof value === type;
  }
}
