/** The sources of `${…}`. */
export interface Lookup {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a text file; throws when it cannot. */
  readonly readFile: (path: string) => string;
  /** The path relative to the working directory, for messages. Default: the path itself. */
  readonly locate?: (path: string) => string;
}

export interface Interpolated {
  readonly text: string;
  /** A part came from outside the file, so the text may be a secret. */
  readonly replaced: boolean;
  readonly problems: readonly string[];
}

/** `$$`, `${…}`, or a `${` without its `}`. */
const EXPRESSION = /\$(?:\$|\{([^}]*)(\}?))/g;
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Replaces `${NAME}`, `${NAME:-default}` and `${file:path}`; `$$` is a dollar sign. The default also replaces an empty NAME, as
 * in a shell. One newline at the end of a file is removed, and an empty file is a problem. Every expression that cannot be replaced is one problem.
 */
export function interpolate(text: string, lookup: Lookup): Interpolated {
  if (!text.includes('$')) return { text, replaced: false, problems: [] };
  const problems: string[] = [];
  let replaced = false;
  const result = text.replace(EXPRESSION, (whole: string, inner: string | undefined, close: string) => {
    if (inner === undefined) return '$';
    replaced = true;
    const found =
      close === ''
        ? { problem: `"${whole}" is not closed; write $$ for a dollar sign` }
        : resolve(inner, lookup);
    if ('value' in found) return found.value;
    problems.push(found.problem);
    return '';
  });
  return { text: result, replaced, problems };
}

function resolve(inner: string, lookup: Lookup): { value: string } | { problem: string } {
  if (inner.startsWith('file:')) return fromFile(inner.slice('file:'.length), lookup);
  const match = NAME.exec(inner);
  if (match === null) {
    return {
      problem: `"\${${inner}}" is not understood; write \${NAME}, \${NAME:-default} or \${file:/path}, and $$ for a dollar sign`,
    };
  }
  const [, name = '', fallback] = match;
  const value = Object.hasOwn(lookup.env, name) ? lookup.env[name] : undefined;
  if (value !== undefined && value !== '') return { value };
  if (fallback !== undefined) return { value: fallback };
  return {
    problem: `environment variable ${name} is ${value === undefined ? 'not set' : 'empty'}; set it, or write \${${name}:-default}`,
  };
}

function fromFile(path: string, lookup: Lookup): { value: string } | { problem: string } {
  try {
    const value = lookup.readFile(path).replace(/\r?\n$/, '');
    // A pipe that a reload reads again is empty, and so is a file that is just being written.
    return value === '' ? { problem: `${path} is empty; write the value into this file` } : { value };
  } catch (error) {
    return { problem: `cannot read ${path}: ${reasonOf(error)}` };
  }
}

/** The reason of a file error, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'is a folder';
  return error instanceof Error ? error.message : String(error);
}
