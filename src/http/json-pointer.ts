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
  let value = document;
  for (let at = 0; at < pointer.length; at++) {
    const token = pointer[at] as string;
    if (typeof value !== 'object' || value === null) return NONE;
    if (token === '*') {
      const rest = pointer.slice(at + 1);
      return Object.values(value).flatMap((item) => valuesAt(item, rest));
    }
    if (Array.isArray(value) ? !INDEX.test(token) || !(token in value) : !Object.hasOwn(value, token))
      return NONE;
    value = (value as Record<string, unknown>)[token];
  }
  return [value];
}

const INDEX = /^(0|[1-9]\d*)$/;

const NONE: readonly unknown[] = [];
