/** A JSON Pointer (RFC 6901), split into its tokens. A token that is `*` alone stands for every item of a list or object. */
export type Pointer = readonly string[];

/** Undefined when `text` is no pointer: it must be empty or begin with `/`, `~` is written `~0` and `/` within a token `~1`; at most one `*`. */
export function parsePointer(text: string): Pointer | undefined {
  if (text === '') return [];
  if (!text.startsWith('/') || /~(?![01])/.test(text)) return undefined;
  const tokens = text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  return tokens.filter((token) => token === '*').length > 1 ? undefined : tokens;
}

/** Every value that the pointer reaches: at most one unless it has a `*`; none where the path ends early. */
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
