export interface Position {
  /** 1-based; 0 if the file could not be read. */
  readonly line: number;
  readonly column: number;
  /** Undefined: the main file. */
  readonly file?: string | undefined;
}

/** `config.yaml:12`; `main` is the main file. */
export const placeText = ({ file, line }: Position, main: string): string => `${file ?? main}:${line}`;

/** An error or a warning about a configuration, with the fix. */
export interface Problem extends Position {
  readonly file: string;
  /** `upstreams.stripe.routes[0].retry`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** The line of the file, for an error of syntax. It may contain a secret, so it is shown by `check` only, and never logged. */
  readonly excerpt?: string;
}

export type Path = readonly (string | number)[];

/** `config.yaml:14:23  upstreams.stripe.retry.backoff.base: "100" has no unit; write 100ms or 100s` */
export function formatProblem({ file, line, column, path, message }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}  ${path === '' ? '' : `${path}: `}${message}`;
}

/** The line of an error of syntax with a caret below its place; '' for other problems. */
export function formatExcerpt({ line, column, excerpt }: Problem): string {
  if (excerpt === undefined) return '';
  const from = Math.max(0, column - EXCERPT_BEFORE);
  const shown = excerpt.slice(from, from + EXCERPT_LENGTH).replaceAll('\t', ' ');
  const margin = `  ${line} | `;
  return `${margin}${shown}\n${' '.repeat(margin.length + column - 1 - from)}^\n`;
}

/** A long line is cut to this many characters, and this many are shown before the error. */
const EXCERPT_LENGTH = 100;
const EXCERPT_BEFORE = 60;

export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^([\w-]+|<<)$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}
