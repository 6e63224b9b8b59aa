/** Not yet declared by TypeScript: https://tc39.es/proposal-json-parse-with-source/ */
interface SourceTextJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
}

const json = JSON as unknown as SourceTextJson;

/**
 * The value of a text, which `JSON.stringify` writes with the same numbers: a number that is not what JavaScript would write
 * (an integer above 2^53, `1.0`, `1e400`) is kept as its text. Undefined if the text is not JSON. Throws a `RangeError` if it
 * is nested too deeply.
 */
export function exactJson(text: string): unknown {
  try {
    return json.parse(text, (_key, value, { source }) =>
      typeof value === 'number' && source !== undefined && String(value) !== source
        ? json.rawJSON(source)
        : value,
    );
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether a value of `exactJson` is an object or a list. */
export const isContainer = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !json.isRawJSON(value);
