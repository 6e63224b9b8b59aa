/** A JSON Pointer (RFC 6901) as a list of tokens. The token `*` matches every item of a list or object. */
export type Pointer = readonly string[];

/** Parses a pointer; undefined if invalid. Each token begins with `/`, with `~0` for `~` and `~1` for `/`. At most one is `*`. */
export function parsePointer(text: string): Pointer | undefined {
  if (text === '') return [];
  if (!text.startsWith('/') || /~(?![01])/.test(text)) return undefined;
  const tokens = text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  return tokens.filter((token) => token === '*').length > 1 ? undefined : tokens;
}

/** The values at a pointer: at most one unless it has a `*`, none if the path does not exist. */
export function valuesAt(document: unknown, pointer: Pointer): readonly unknown[] {
  let found: unknown[] = [document];
  for (const token of pointer) found = found.flatMap((value) => below(value, token));
  return found;
}

function below(value: unknown, token: string): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  if (token === '*') return Object.values(value);
  if (Array.isArray(value))
    return /^(0|[1-9]\d*)$/.test(token) && token in value ? [value[Number(token)]] : [];
  return Object.hasOwn(value, token) ? [(value as Record<string, unknown>)[token]] : [];
}
