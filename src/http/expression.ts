import { RE2JS } from 're2js';

const MAX_LENGTH = 100;

/**
 * A regular expression of an operator for texts that others write. JavaScript's own engine goes back and tries again, and
 * one text can stop the process for hours. RE2 reads each character once, whatever the expression is.
 */
export class Expression {
  readonly source: string;
  readonly #compiled: RE2JS;

  /** Throws for what is no expression, and for what cannot be found in linear time: look-around and back references. */
  constructor(source: string) {
    this.source = source;
    this.#compiled = RE2JS.compile(source);
  }

  /** Whether it is found anywhere in `text`. */
  test(text: string): boolean {
    return this.#compiled.test(text);
  }
}

/** The expression, or what is wrong with it. */
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
