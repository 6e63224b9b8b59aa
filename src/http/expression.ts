import { RE2JS } from 're2js';

const MAX_LENGTH = 100;

/**
 * A regular expression from the configuration, for untrusted text. JavaScript's engine backtracks, and one text could block
 * the process for hours. RE2 needs linear time for every expression.
 */
export class Expression {
  readonly source: string;
  readonly #compiled: RE2JS;

  /** Throws if `source` is invalid, or uses look-around or back references, which RE2 does not support. */
  constructor(source: string) {
    this.source = source;
    this.#compiled = RE2JS.compile(source);
  }

  /** Whether the expression matches anywhere in `text`. */
  test(text: string): boolean {
    return this.#compiled.test(text);
  }
}

/** Parses an expression of at most 100 characters, or returns the problem. */
export function parseExpression(source: string): { value: Expression } | { problem: string } {
  if (source === '') return { problem: 'is empty and would match every text' };
  if (source.length > MAX_LENGTH)
    return { problem: `has ${source.length} characters; the maximum is ${MAX_LENGTH}` };
  try {
    return { value: new Expression(source) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return {
      problem: `is not a valid RE2 expression (look-around and back references are not supported): ${why}`,
    };
  }
}
